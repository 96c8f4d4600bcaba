/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks: of a batch's file, or written by hand. */
#include "evolve/evidence/task.h"
#include "evolve/grade/grade.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_json_ json_t *o = fuzz_json(data, size);
    const json_t *turns = json_object_get(o, "turns"), *graders = json_object_get(o, "graders");
    char id[TASK_ID_SIZE];
    Error e = {};

    /* a digest that is right, as by someone who knows how */
    if (turns && graders && json_object_get(o, "id") && task_id(turns, graders, id) >= 0)
        json_object_set_new(o, "id", json_string(id));
    if (!o || task_check(o, "input", &e) < 0)
        return 0;
    (void) grade_check_task(o, &e);
    for (size_t i = 0; i < task_widths(o) && i < 8; i++)
        json_decref(task_at_width(o, i));
    return 0;
}
