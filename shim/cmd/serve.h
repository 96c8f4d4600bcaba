/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SHIM_SERVE_H
#define MOSS_SHIM_SERVE_H

/* The shim as a resident program: one agent, its socket (see shim/client/client.h), signals, until it is told to stop. */

#include "runtime/base/error.h"
#include "shim/swap/core.h"

typedef struct ServeSpec {
    const char *store_path, *agent;
    bool resume;    /* leave HALTED… */
    const Side *to; /* …on this side; NULL: on what is current */
    /* The agent is ready (0), or the start has failed: called once, before serve() returns. */
    void (*started)(int r, const char *why, void *userdata);
    void *userdata;
} ServeSpec;

/* Returns when the agent has been stopped, or could not be started. */
int serve(const ServeSpec *spec, Error *e);

#endif
