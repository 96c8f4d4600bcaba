/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_TRIAL_TRIAL_H
#define MOSS_TRIAL_TRIAL_H

/* Trials: one task replayed against one build of the agent, in boxes that leave nothing behind.
 *
 * A trial is two boxes that share one user and one network namespace (loopback only) and nothing else:
 *   the replayer   root: the agent's base layer and a small tmpfs; the operator's replay directory read-only at /moss/replay; the task's turns (no grader) as
 *                  standard input, which MOSS_TASK names as a path; MOSS_OUT=/moss/out. It brings the model server inside, waits for the agent's
 *                  port and posts the turns;
 *   the agent      root: overlay of the candidate's layers and a small tmpfs; a fresh state volume; the run command of agent.json, uid and gid of agent.json,
 *                  environment with MOSS_GENERATION, MOSS_NONCE and MOSS_TRIAL=1.
 * The trial ends when the replayer has ended, when the agent's box ends early, or at the time limit. Then everything in both boxes is killed,
 * the transcript (bounded, checked) is graded outside, and mounts, cgroups and directories are gone.
 *
 * A pool runs several trials at once. It needs a cgroup of its own, since it names the boxes in it:
 *
 *     trial_pool_new(agent, base_layer, cgroup, jobs, &pool, e);
 *     trial_pool_submit(pool, &spec, e);  … as many as one likes: they queue
 *     while (trial_pool_pending(pool)) trial_pool_next(pool, &result, e);
 *     trial_pool_free(pool);   kills what runs */

#include <jansson.h>

#include "runtime/base/error.h"
#include "runtime/box/box.h"
#include "shim/agent/agent.h"

typedef struct TrialPool TrialPool;

typedef struct TrialSpec {
    const char *label; /* for the record: candidate */
    const int *lowers; /* of the agent's root, topmost first; must stay open until the result came */
    size_t n_lowers;
    const char *generation; /* digest or provisional name: goes into the environment */
    const json_t *task;     /* {"id","turns":[…],"graders":[…]}; a reference is held */
    unsigned repeat;
    bool trace;            /* run the trace command and collect the executed lines */
    uint64_t timeout_usec; /* 0: agent.json's */
    void *cookie;
} TrialSpec;

typedef enum TrialEnd {
    TRIAL_DONE,        /* the transcript is complete */
    TRIAL_AGENT_ENDED, /* the agent exited before the replay was over */
    TRIAL_TIMED_OUT,
    TRIAL_OUT_OF_MEMORY,
    TRIAL_BAD_TRANSCRIPT, /* the replayer failed or its file is not what it must be */
} TrialEnd;

typedef struct TrialResult {
    char *label;
    void *cookie;
    unsigned repeat;
    json_t *task; /* reference */
    TrialEnd end;
    char why[200];      /* one line for people, when end is not TRIAL_DONE */
    double score;       /* 0…1: share of passed graders */
    bool passed;        /* all graders */
    json_t *transcript; /* or NULL */
    json_t *grades;     /* [{"grader":…,"passed":bool,"why":…}] */
    json_t *executed;   /* with trace: array of "path:line", else NULL */
    char *log;          /* the last 8 KiB of what the agent printed */
    uint64_t wall_usec, cpu_usec, memory_peak;
    bool memory_by_cgroup, processes_by_cgroup;
} TrialResult;

int trial_pool_new(const Agent *agent, int base_layer, int cgroup, unsigned jobs, TrialPool **ret, Error *e);
int trial_pool_submit(TrialPool *pool, const TrialSpec *spec, Error *e);
size_t trial_pool_pending(const TrialPool *pool); /* queued and running */
/* Waits for the next finished trial (in any order). -ENODATA: none is pending. -errno: the host failed (no namespace, no memory…), not the candidate. */
int trial_pool_next(TrialPool *pool, TrialResult *ret, Error *e);
/* Drops what is queued and kills what runs with this cookie: their results are not delivered. */
void trial_pool_cancel(TrialPool *pool, const void *cookie);
TrialPool *trial_pool_free(TrialPool *pool);
static inline void trial_pool_freep(TrialPool **p)
{
    trial_pool_free(*p);
}
void trial_result_done(TrialResult *r);
/* The record that goes to the ledger: everything but transcript and log. */
json_t *trial_result_json(const TrialResult *r);
const char *trial_end_name(TrialEnd end);

#endif
