/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_PROBE_H
#define MOSS_PROBE_H

/* Runs one probe against one incarnation, in the loop, and says how it went, once.
 *
 * httpGet, httpPost, tcpSocket and grpc connect from a socket of the container's network namespace (to a UNIX socket: through the container's root), and what they
 * are answered counts only if it comes from a process of the incarnation, see peer.h. exec runs in the container, in a cgroup leaf of its own with the agent's limits, which is
 * killed with all that it has started when the probe ends or its time is over. Without a shell, unless the command names one. */

#include "runtime/base/loop.h"
#include "runtime/box/seccomp.h"
#include "shim/agent/agent.h"
#include "shim/swap/container.h"

#define PROBE_OUTPUT_MAX 4096U

typedef struct Probe Probe;

typedef struct ProbeContext {
    Loop *loop;
    Container *container;
    const Agent *agent;
    const SeccompFilter *filter;
    const char *const *env; /* of exec */
    const char *nonce, *generation;
} ProbeContext;

typedef struct ProbeResult {
    bool ok;
    const char *why; /* NULL when it passed */
    /* The first bytes that exec printed, or of the body that came. Whatever they are. */
    const char *output;
    size_t output_len;
} ProbeResult;

/* Called from the loop, never from within probe_start(); the probe is freed afterwards, and may not be cancelled in it. The result is good for this call. */
typedef void (*ProbeDone)(const ProbeResult *result, void *userdata);

/* `context`, `spec` and `name` (of the leaf of exec) must live as long as the probe. */
int probe_start(const ProbeContext *context, const ProbeSpec *spec, const char *name, ProbeDone done, void *userdata,
                Probe **ret);
/* Ends one that still runs; `done` is not called. */
Probe *probe_cancel(Probe *probe);

#endif
