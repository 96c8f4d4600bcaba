/* SPDX-License-Identifier: Apache-2.0 */
/* moss evo status: what runs, how far it is, what waits. */
#include <stdio.h>

#include "evolve/cmd/evo.h"
#include "evolve/control/status.h"
#include "runtime/base/json.h"

static const char *text_at(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static void print_evolution(const json_t *p, bool running)
{
    const json_t *scores = json_object_get(p, "scores"), *used = json_object_get(p, "used");
    const char *end = text_at(p, "end"), *stage = text_at(p, "stage");

    if (streq(stage, "end")) {
        printf("evolution    %s of batch %s: %s\n", text_at(p, "evolution"), text_at(p, "batch"), end);
        printf("             %s\n", text_at(p, "why"));
    } else {
        printf("evolution    %s of batch %s: %s, iteration %lld (%s)%s\n", text_at(p, "evolution"), text_at(p, "batch"),
               stage, (long long) json_integer_value(json_object_get(p, "iteration")), text_at(p, "depth"),
               running ? "" : "; interrupted: `moss evo start` goes on");
    }
    if (json_number_value(json_object_get(scores, "baseline")) >= 0)
        printf("score        %.2f before, %.2f best\n", json_number_value(json_object_get(scores, "baseline")),
               json_number_value(json_object_get(scores, "best")));
    printf("used         %lld candidates, %lld trials, %lld s\n",
           (long long) json_integer_value(json_object_get(used, "candidates")),
           (long long) json_integer_value(json_object_get(used, "trials")),
           (long long) (json_integer_value(json_object_get(used, "wall_usec")) / 1000000));
}

static void print_status(const json_t *o)
{
    const json_t *position = json_object_get(o, "evolution"), *batches = json_object_get(o, "batches"), *b;
    const json_t *wish = json_object_get(o, "wish");
    bool running = json_is_true(json_object_get(o, "running"));
    size_t i;

    printf("agent        %s%s%.12s\n", text_at(o, "agent"), *text_at(o, "generation") ? ", generation " : "",
           text_at(o, "generation"));
    if (running)
        printf("walked by    process %lld\n", (long long) json_integer_value(json_object_get(o, "pid")));
    if (json_is_object(position))
        print_evolution(position, running);
    else
        printf("evolution    none yet\n");
    json_array_foreach (batches, i, b)
        printf("batch        %s  %-11s  %zu tasks  %s\n", text_at(b, "id"), text_at(b, "state"),
               json_object_size(json_object_get(b, "tasks")), text_at(b, "created"));
    if (json_is_object(wish))
        printf("asked for    %s, by the %s, %s: `moss evo start %s`\n", text_at(wish, "batch"), text_at(wish, "by"),
               text_at(wish, "at"), text_at(wish, "batch"));
}

int evo_status(const EvoContext *c, int argc, _unused_ char **argv)
{
    _cleanup_json_ json_t *o = NULL;
    Error e = {};
    int r;

    if (argc > 1)
        return evo_usage("status [--json]\n\nShows what runs, how far it is, and what waits.");
    r = evolution_status(c->store_path, c->agent_name, &o, &e);
    if (r < 0)
        return evo_fail(c, r, &e);
    if (c->json)
        return evo_print(o);
    print_status(o);
    return 0;
}
