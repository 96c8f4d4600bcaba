/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_TRIAL_BUILD_H
#define MOSS_TRIAL_BUILD_H

/* Building a candidate in a box: root = overlay of the base layer and a tmpfs of limits.diskBytes, the source read-only at /src, no network, the build command of
 * agent.json, its time limit. What the build wrote to its root (but for /tmp, /src, /state, /moss, /dev, /proc, /sys) becomes the candidate's layer. All of it belongs to
 * the container's root there, without set-id bits; devices (but whiteouts) make the build fail. */

#include "runtime/store/store.h"
#include "shim/agent/agent.h"

typedef struct BuildSpec {
    const Agent *agent;
    int base_layer;   /* O_PATH fd */
    int source;       /* O_PATH directory fd, mounted read-only at /src */
    int cgroup;       /* directory of the parent cgroup; 0: none */
    const char *name; /* of the box */
} BuildSpec;

typedef struct BuildResult {
    bool ok;
    char why[200]; /* "exit 1", "not done after 60 s", "no space left: 64 MiB are allowed", … */
    char *log;     /* last 16 KiB of its output */
    uint64_t wall_usec;
} BuildResult;

/* Builds into `draft` (see store.h), which the caller seals for good candidates or drops; its fd can serve as a lower for trials before. 0: the build ran, look at ret->ok.
 * -errno: the host failed. The draft's fd is -EBADF unless ret->ok. ret->log is freed by build_result_done(). */
int build_run(const BuildSpec *spec, Store *store, LayerDraft *ret_draft, BuildResult *ret, Error *e);
void build_result_done(BuildResult *r);

#endif
