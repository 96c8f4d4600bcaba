/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/trial/trial.h"

const char *trial_end_name(TrialEnd end)
{
    static const char *const names[] = {
        [TRIAL_DONE] = "done",
        [TRIAL_AGENT_ENDED] = "agent_ended",
        [TRIAL_TIMED_OUT] = "timed_out",
        [TRIAL_OUT_OF_MEMORY] = "out_of_memory",
        [TRIAL_BAD_TRANSCRIPT] = "bad_transcript",
    };

    return names[end];
}

json_t *trial_result_json(const TrialResult *r)
{
    return json_pack("{s:s s:O s:i s:s s:s s:f s:b s:O? s:I s:I s:I s:b s:b}", "label", r->label, "task",
                     json_object_get(r->task, "id"), "repeat", (int) r->repeat, "end", trial_end_name(r->end), "why",
                     r->why, "score", r->score, "passed", r->passed, "grades", r->grades, "wall_usec",
                     (json_int_t) r->wall_usec, "cpu_usec", (json_int_t) r->cpu_usec, "memory_peak",
                     (json_int_t) r->memory_peak, "memory_by_cgroup", r->memory_by_cgroup, "processes_by_cgroup",
                     r->processes_by_cgroup);
}

void trial_result_done(TrialResult *r)
{
    free(r->label);
    free(r->log);
    json_decref(r->task);
    json_decref(r->transcript);
    json_decref(r->grades);
    json_decref(r->executed);
    *r = (TrialResult){};
}
