/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SHIM_SERVE_H
#define MOSS_SHIM_SERVE_H

/* The shim as a resident program: one agent, its socket (see shim/client/client.h), signals, until it is told to end.
 *
 * It ends with its agent when it is asked to stop, or at SIGINT (the second time at once), or when an agent that it started itself does not become ready. It ends
 * alone, and the next one takes the agent over, at SIGTERM, when it is asked to detach, and whatever else ends it. A halted agent it keeps as it is, with its
 * sockets, until it is told to recover. */

#include "runtime/base/error.h"
#include "shim/swap/core.h"

typedef struct ServeSpec {
    const char *store_path, *agent;
    const char *
        container; /* an engine's, just started: directory of its state. `started` comes as soon as the agent was. NULL: none */
    bool resume;    /* leave HALTED… */
    const Side *to; /* …on this side; NULL: on what is current */
    bool stop;      /* end what an earlier shim left; -ENOENT: nothing */
    /* The agent is ready (0), or the start has failed, or it is halted (-EHOSTDOWN), which does not end the shim: called once, before serve() returns. */
    void (*started)(int r, const char *why, void *userdata);
    void *userdata;
} ServeSpec;

/* Returns when the shim has ended, or could not start the agent. */
int serve(const ServeSpec *spec, Error *e);

/* Waits until the shim of this agent has ended, with all that it has started for itself: the next one can start. -ETIMEDOUT. */
int serve_wait_end(const char *agent, uint64_t timeout_usec, Error *e);

#endif
