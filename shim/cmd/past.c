/* SPDX-License-Identifier: Apache-2.0 */
#include "past.h"

#include <stdio.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "shim/agent/agent.h"
#include "shim/client/files.h"

#define HISTORY_SHOWN 1000U

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static void print_json(const json_t *v)
{
    json_dumpf(v, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
    putchar('\n');
}

static int list_generations(const char *store, const char *name, json_t **ret, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(store, name, e);
    _cleanup_(agent_freep) Agent *agent = NULL;
    int r;

    if (dir < 0)
        return dir;
    r = agent_load_named(store, name, &agent, e);
    return r < 0 ? r : shim_generations(dir, agent->limit_generations, ret, e);
}

static void print_generation(const json_t *g)
{
    const json_t *epoch = json_object_get(g, "epoch"), *usec = json_object_get(g, "served_usec");

    printf("%-10s  %.12s  ", text_of(g, "role"), text_of(g, "generation"));
    if (json_is_integer(epoch))
        printf("%5" JSON_INTEGER_FORMAT "  ", json_integer_value(epoch));
    else
        printf("%5s  ", "-");
    if (json_is_integer(usec))
        printf("clients wrote to it for %.1f s", (double) json_integer_value(usec) / (double) USEC_PER_SEC);
    else if (usec)
        printf("clients wrote to it, for how long is not known");
    else if (*text_of(g, "time"))
        printf("until %s", text_of(g, "time"));
    putchar('\n');
}

int past_generations(const char *store, const char *agent, bool json, Error *e)
{
    _cleanup_json_ json_t *list = NULL;
    const json_t *item;
    size_t i;
    int r = list_generations(store, agent, &list, e);

    if (r < 0)
        return r;
    if (json) {
        print_json(list);
        return 0;
    }
    printf("%-10s  %-12s  %5s\n", "ROLE", "GENERATION", "EPOCH");
    json_array_foreach (list, i, item)
        print_generation(item);
    return 0;
}

static void print_swap(const json_t *s)
{
    const json_t *pause = json_object_get(s, "pause_usec"), *aside = json_object_get(s, "set_aside");

    printf("%4" JSON_INTEGER_FORMAT "  %s  %-11s  %.12s -> %.12s", json_integer_value(json_object_get(s, "txid")),
           text_of(s, "time"), text_of(s, "outcome"), text_of(s, "from"), text_of(s, "to"));
    if (json_is_integer(pause))
        printf("  paused %.3f s", (double) json_integer_value(pause) / (double) USEC_PER_SEC);
    if (json_is_object(aside))
        printf("  epoch %" JSON_INTEGER_FORMAT " set aside", json_integer_value(json_object_get(aside, "epoch")));
    printf("%s%s\n", *text_of(s, "reason") ? "  " : "", text_of(s, "reason"));
}

int past_history(const char *store, const char *agent, bool json, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(store, agent, e);
    _cleanup_json_ json_t *list = NULL;
    const json_t *item;
    size_t i;
    int r;

    if (dir < 0)
        return dir;
    r = shim_read_history(dir, HISTORY_SHOWN, &list, e);
    if (r < 0)
        return r;
    if (json) {
        print_json(list);
        return 0;
    }
    json_array_foreach (list, i, item)
        print_swap(item);
    return 0;
}

/* The number behind the slash. */
static int parse_epoch(const char *text, int64_t *ret, Error *e)
{
    char *end;
    long long n = strtoll(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end || strlen(text) > 15)
        return error_setf(e, -EINVAL, "\"%.40s\" is no number of an epoch", text);
    *ret = n;
    return 0;
}

int past_find(const char *store, const char *agent, const char *name, char *ret, int64_t *ret_epoch, Error *e)
{
    _cleanup_json_ json_t *list = NULL;
    const char *slash = strchr(name, '/');
    char generation[80];
    const json_t *item;
    int64_t epoch = -1;
    size_t i;
    int r = list_generations(store, agent, &list, e);

    if (r < 0)
        return r;
    snprintf(generation, sizeof(generation), "%.*s", slash ? (int) (slash - name) : (int) strlen(name), name);
    r = shim_find_generation(list, generation, ret, e);
    if (r < 0)
        return r;
    if (slash && (r = parse_epoch(slash + 1, &epoch, e)) < 0)
        return r;
    json_array_foreach (list, i, item)
        if (epoch < 0 && streq(text_of(item, "generation"), ret) && json_is_integer(json_object_get(item, "epoch")))
            epoch = json_integer_value(json_object_get(item, "epoch"));
    *ret_epoch = epoch;
    return 0;
}
