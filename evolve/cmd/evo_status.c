/* SPDX-License-Identifier: Apache-2.0 */
/* moss evo status: what runs, how far it is, what waits. */
#include <stdio.h>

#include "evolve/cmd/evo.h"
#include "evolve/evidence/batch.h"
#include "evolve/stage/engine.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "shim/client/client.h"

/* The position of the newest evolution; stays NULL when there is none. */
static int newest_position(const EvoContext *c, json_t **ret, Error *e)
{
    _cleanup_(ledger_freep) Ledger *ledger = NULL;
    _cleanup_json_ json_t *ids = NULL;
    Error why = {};
    int r;

    if ((r = ledger_open(c->agent_directory, &ledger, e)) < 0 || (r = ledger_evolutions(ledger, &ids, e)) < 0)
        return r;
    for (size_t i = json_array_size(ids); i > 0; i--) {
        r = ledger_read_json(ledger, json_string_value(json_array_get(ids, i - 1)), "position.json", ret, &why);
        if (r != -ENOENT)
            return r < 0 ? error_setf(e, r, "%s", why.text) : 0;
    }
    return 0;
}

static int status_collect(const EvoContext *c, json_t **ret, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(c->store_path, c->agent_name, e);
    _cleanup_json_ json_t *position = NULL, *batches = NULL;
    _cleanup_free_ char *generation = NULL;
    int64_t epoch = 0;
    Error none = {};
    pid_t pid;
    int r;

    if (dir < 0)
        return dir;
    if ((r = engine_running(c->agent_directory, &pid, e)) < 0 || (r = newest_position(c, &position, e)) < 0 ||
        (r = batch_list(dir, &batches, e)) < 0)
        return r;
    /* An agent that was added and never started has none: that is no error here. */
    (void) shim_head(c->store_path, c->agent_name, &generation, &epoch, &none);
    *ret = json_pack("{s:b, s:s, s:b, s:i, s:s?, s:I, s:O?, s:O}", "ok", 1, "agent", c->agent_name, "running", pid > 0,
                     "pid", (int) pid, "generation", generation, "epoch", (json_int_t) epoch, "evolution", position,
                     "batches", batches);
    return *ret ? 0 : -ENOMEM;
}

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
}

int evo_status(const EvoContext *c, int argc, _unused_ char **argv)
{
    _cleanup_json_ json_t *o = NULL;
    Error e = {};
    int r;

    if (argc > 1)
        return evo_usage("status [--json]\n\nShows what runs, how far it is, and what waits.");
    r = status_collect(c, &o, &e);
    if (r < 0)
        return evo_fail(c, r, &e);
    if (c->json)
        return evo_print(o);
    print_status(o);
    return 0;
}
