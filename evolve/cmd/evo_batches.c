/* SPDX-License-Identifier: Apache-2.0 */
/* moss evo batches: all batches, the open one last. */
#include <stdio.h>

#include "evolve/cmd/evo.h"
#include "evolve/evidence/batch.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"

static void print_batch(const json_t *b, size_t n_tasks)
{
    const char *evolution = json_string_value(json_object_get(b, "evolution"));

    printf("%-8s %-12s %s  %3zu chunks in %zu clusters, %zu tasks%s%s\n", json_string_value(json_object_get(b, "id")),
           json_string_value(json_object_get(b, "state")), json_string_value(json_object_get(b, "created")),
           json_array_size(json_object_get(b, "chunks")), json_array_size(json_object_get(b, "clusters")), n_tasks,
           evolution ? ", evolution " : "", evolution ? evolution : "");
}

int evo_batches(const EvoContext *c, int argc, char **argv _unused_)
{
    _cleanup_close_ int dir = -EBADF;
    _cleanup_json_ json_t *list = NULL;
    _cleanup_(batch_freep) Batch *open_batch = NULL;
    Error e = {}, none = {};
    json_t *b;
    size_t i;
    int r;

    if (argc != 1)
        return evo_usage("batches [--json]\n\nAll batches of evidence, the open one last.");
    dir = agent_open_directory(c->store_path, c->agent_name, &e);
    r = dir < 0 ? dir : batch_list(dir, &list, &e);
    if (r < 0)
        return evo_fail(c, r, &e);
    r = batch_load_open(c->store_path, c->agent, &open_batch, &none);
    if (r < 0 && r != -ENODATA && r != -ENOENT) /* no evidence yet, or never started */
        return evo_fail(c, r, &none);
    if (c->json) {
        if (open_batch)
            json_array_append(list, open_batch->json);
        return evo_print(list);
    }
    json_array_foreach (list, i, b) {
        print_batch(b, json_object_size(json_object_get(b, "tasks")));
    }
    if (open_batch)
        print_batch(open_batch->json, json_array_size(open_batch->tasks));
    else if (json_array_size(list) == 0)
        printf("no evidence yet\n");
    return 0;
}
