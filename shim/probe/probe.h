/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_PROBE_H
#define MOSS_PROBE_H

/* Runs one probe against one incarnation, in the loop, and says how it went, once. httpGet and tcpSocket connect from a socket of the container's network
 * namespace; exec runs in the container, in a cgroup leaf of its own that is killed at the time limit. */

#include "runtime/base/loop.h"
#include "runtime/box/seccomp.h"
#include "shim/agent/agent.h"
#include "shim/swap/container.h"

typedef struct Probe Probe;

typedef struct ProbeContext {
    Loop *loop;
    Container *container;
    const Agent *agent;
    const SeccompFilter *filter;
    const char *const *env; /* of exec */
    const char *nonce, *generation;
} ProbeContext;

/* `done` is called from the loop, never from within probe_start(); the probe is freed by then. `why` is NULL when it passed. */
typedef void (*ProbeDone)(bool ok, const char *why, void *userdata);

/* `context` and `spec` must live as long as the probe. */
int probe_start(const ProbeContext *context, const ProbeSpec *spec, ProbeDone done, void *userdata, Probe **ret);
/* Ends one that still runs; `done` is not called. */
Probe *probe_cancel(Probe *probe);

#endif
