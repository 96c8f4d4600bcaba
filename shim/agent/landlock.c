/* SPDX-License-Identifier: Apache-2.0 */
#include "sections.h"

#define LIST_MAX 256U
#define PORT_MAX 65535U

/* Whether the paths are there is for the container to say, when the agent is started in it. */
static int parse_paths(const Section *s, const char *key, const char *const **ret, Error *e)
{
    _cleanup_free_ const char **paths = NULL;
    size_t n = 0;
    int r = json_want_strings(s->o, s->at, key, &paths, e);

    if (r < 0 || !paths)
        return r;
    for (; paths[n]; n++)
        if (!streq(paths[n], "/") && !path_is_clean_absolute(paths[n]))
            return section_error(s, key, e, "\"%.100s\" must be an absolute path, without . and ..", paths[n]);
    if (n > LIST_MAX)
        return section_error(s, key, e, "has %zu paths, at most %u are taken", n, LIST_MAX);
    *ret = TAKE_PTR(paths);
    return 0;
}

static int parse_ports(const Section *s, const char *key, unsigned lowest, LandlockPorts *ret, Error *e)
{
    _cleanup_free_ uint16_t *ports = NULL;
    json_t *list = NULL, *port;
    size_t i;
    int r = json_want(s->o, s->at, key, JSON_ARRAY, &list, e);

    if (r < 0 || !list)
        return r;
    if (json_array_size(list) > LIST_MAX)
        return section_error(s, key, e, "has %zu ports, at most %u are taken", json_array_size(list), LIST_MAX);
    ports = calloc(json_array_size(list) + 1, sizeof(*ports));
    if (!ports)
        return error_errnof(e, -ENOMEM, "%s", s->at.file);
    json_array_foreach (list, i, port) {
        json_int_t v = json_is_integer(port) ? json_integer_value(port) : -1;

        if (v < (json_int_t) lowest || v > (json_int_t) PORT_MAX)
            return section_error(s, key, e, "must be whole numbers from %u to %u", lowest, PORT_MAX);
        ports[i] = (uint16_t) v;
    }
    *ret = (LandlockPorts){TAKE_PTR(ports), json_array_size(list)};
    return 0;
}

int agent_parse_landlock(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"write", "execute", "bind", "connect", "scoped", NULL};
    LandlockPlan *plan = calloc(1, sizeof(*plan));
    int r = plan ? json_only(s->o, s->at, known, e) : error_errnof(e, -ENOMEM, "%s", s->at.file);

    a->landlock = plan;
    if (r >= 0)
        r = parse_paths(s, "write", &plan->write, e);
    if (r >= 0)
        r = parse_paths(s, "execute", &plan->execute, e);
    if (r >= 0 && plan->execute && !plan->execute[0])
        return section_error(s, "execute", e, "is empty, must name at least what run.command needs");
    if (r >= 0)
        r = parse_ports(s, "bind", 0, &plan->bind, e);
    if (r >= 0)
        r = parse_ports(s, "connect", 1, &plan->connect, e);
    return r < 0 ? r : json_want_bool(s->o, s->at, "scoped", &plan->scoped, e);
}

void agent_free_landlock(Agent *a)
{
    if (!a->landlock)
        return;
    free((void *) a->landlock->write);
    free((void *) a->landlock->execute);
    free((void *) a->landlock->bind.list);
    free((void *) a->landlock->connect.list);
    free((void *) a->landlock);
}
