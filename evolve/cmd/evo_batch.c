/* SPDX-License-Identifier: Apache-2.0 */
/* moss evo batch: one batch with its tasks. */
#include <stdio.h>

#include "evolve/cmd/evo.h"
#include "evolve/evidence/batch.h"
#include "evolve/evidence/task.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"

/* A sealed batch by its id, or the open one. */
static int load(const EvoContext *c, const char *id, Batch **ret, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(c->store_path, c->agent_name, e);
    _cleanup_(batch_freep) Batch *open_batch = NULL;
    Error none = {};
    int r = dir;

    if (r >= 0 && id) {
        r = batch_load(dir, id, ret, e);
        if (r != -ENOENT)
            return r;
    }
    if (r < 0 && r != -ENOENT)
        return r;
    r = batch_load_open(c->store_path, c->agent, &open_batch, id ? &none : e);
    if (r < 0)
        return id ? -ENOENT : r;
    if (id && !streq(id, open_batch->id))
        return -ENOENT;
    *e = (Error){};
    *ret = TAKE_PTR(open_batch);
    return 0;
}

/* Words are users' words: error texts defuse what a terminal would act on. */
static void print_words(const char *front, const char *words)
{
    Error shown = {};

    error_setf(&shown, 0, "%s%.200s", front, words ? words : "");
    printf("%s\n", shown.text);
}

static void print_batch(const Batch *b)
{
    json_t *cluster, *task;
    size_t i;

    printf("%s is %s; %zu chunks\n", b->id, batch_state_name(b->state),
           json_array_size(json_object_get(b->json, "chunks")));
    json_array_foreach (json_object_get(b->json, "clusters"), i, cluster) {
        printf("\n%s  %s, %lld times\n", json_string_value(json_object_get(cluster, "name")),
               json_string_value(json_object_get(cluster, "rule")),
               (long long) json_integer_value(json_object_get(cluster, "n")));
        print_words("      ", json_string_value(json_object_get(cluster, "words")));
    }
    printf("\n");
    json_array_foreach (b->tasks, i, task) {
        const json_t *turns = json_object_get(task, "turns");

        printf("%s  %-7s  %-5s  %zu turns, %zu graders, %zu widths\n", json_string_value(json_object_get(task, "id")),
               json_string_value(json_object_get(task, "kind")), json_string_value(json_object_get(task, "cluster")),
               json_array_size(turns), json_array_size(json_object_get(task, "graders")), task_widths(task));
    }
}

int evo_batch(const EvoContext *c, int argc, char **argv)
{
    _cleanup_(batch_freep) Batch *b = NULL;
    Error e = {};
    int r;

    if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
        return evo_usage("batch [BATCH] [--json]\n\nOne batch with its tasks; without a name the open one.");
    r = load(c, argc == 2 ? argv[1] : NULL, &b, &e);
    if (r < 0)
        return evo_fail(c, r, &e);
    if (c->json) {
        _cleanup_json_ json_t *o = json_copy(b->json);

        json_object_set(o, "tasks", b->tasks);
        return evo_print(o);
    }
    print_batch(b);
    return 0;
}
