/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CONTROL_SUPERVISOR_H
#define MOSS_CONTROL_SUPERVISOR_H

/* One worker process (worker.h) for each agent of a store: begun when the agent is added, ended when it is removed, begun anew, ever more slowly, when
 * it dies. Only one supervisor runs for a store. */

#include "worker.h"

typedef struct SupervisorSpec {
    const char *store_path;
    unsigned interval_seconds;
    void (*say)(const char *agent, const char *text); /* agent NULL: about all of them */
    void (*ready)(void);                              /* all workers that there are to be have begun */
} SupervisorSpec;

/* Runs until SIGTERM, SIGINT or SIGHUP; all workers have ended when it returns. -EBUSY: there is one already. */
int supervisor_run(const SupervisorSpec *spec, Error *e);

#endif
