/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_TRIAL_RUN_H
#define MOSS_TRIAL_RUN_H

/* One trial as a state machine without a loop of its own: the pool polls the fds and calls trial_run_step() when something happened.
 *
 *     trial_run_start()   both boxes run, or the trial is over already (run->over: the agent could not be executed), or -errno: the host failed
 *     trial_run_poll()    which fds to wait for, and until when
 *     trial_run_step()    looks at everything; run->over afterwards: `result` is complete, the boxes are gone
 *     trial_run_done()    kills and frees whatever is left */

#include <poll.h>

#include "evolve/trial/trial.h"

#define TRIAL_LOG_MAX 8192
#define TRIAL_POLL_FDS 3

typedef struct TrialRun {
    const Agent *agent;
    TrialSpec spec; /* the task is referenced */
    Box *replayer, *candidate;
    int log_fd; /* non-blocking end of the pipe that the candidate prints to */
    char log[TRIAL_LOG_MAX];
    size_t log_len;
    uint64_t began, deadline;
    bool over;
    TrialResult result;
} TrialRun;

int trial_run_start(TrialRun *run, int base_layer, int cgroup, const char *name, Error *e);
void trial_run_poll(const TrialRun *run, struct pollfd fds[static TRIAL_POLL_FDS], uint64_t *deadline);
int trial_run_step(TrialRun *run, Error *e);
void trial_run_done(TrialRun *run);

#endif
