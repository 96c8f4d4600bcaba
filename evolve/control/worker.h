/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CONTROL_WORKER_H
#define MOSS_CONTROL_WORKER_H

/* What `moss daemon` does for one agent, in a process of its own: reads what is new in the sessions every so often, and serves the control socket. Hostile sessions
 * and clients of one agent cannot hold up another. agent.json is read again when it changes; one that is broken changes nothing, which is said. */

#include <jansson.h>

#include "runtime/base/error.h"
#include "shim/agent/agent.h"

#define CATCH_UP_SECONDS 1800U

typedef struct WorkerSpec {
    const char *store_path, *agent;
    unsigned interval_seconds;                        /* where agent.json says nothing */
    void (*say)(const char *agent, const char *text); /* for the operator, one line */
} WorkerSpec;

/* Runs until SIGTERM, SIGINT or SIGHUP, which are to be blocked. -EBUSY: another daemon serves an agent of this name. */
int worker_run(const WorkerSpec *spec, Error *e);

/* Reads what is new now. *ret: {"at","new_chunks"} or, when it failed, {"at","error"}; NULL: this agent has nothing that could be read. */
int worker_catch_up(const char *store_path, const Agent *agent, json_t **ret, Error *e);

#endif
