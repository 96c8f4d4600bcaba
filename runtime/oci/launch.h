/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_LAUNCH_H
#define MOSS_OCI_LAUNCH_H

/* What the container's side does between its birth and execve: of the first process (launch_init) and of one that comes later (launch_exec). Both are
 * SpawnSpec.child functions with a Launch for `arg`. The steps and who waits for whom:
 *
 *     runtime                        child
 *     maps, (systemd driver: scope), oom_score_adj
 *     GO (pid)                 →
 *     state, limits                  keyring, names, network, mounts, devices, sysctls
 *                              ←     RUNTIME_HOOKS, only if there are hooks to be run before READY
 *     prestart, createRuntime
 *     GO                       →
 *                                    createContainer hooks, masks, terminal, new root, identity, search for the program
 *                              ←     READY
 *     GO                       →     (create: waits for `start` at its socket)
 *                                    filter
 *                              ←     LISTENER, only if the filter notifies
 *     hands it over
 *     GO                       →     startContainer hooks, execve
 */

#include "console.h"
#include "hooks.h"
#include "kept.h"
#include "mounts.h"
#include "process.h"

typedef struct Launch {
    const Config *config;         /* of the container */
    const ConfigProcess *process; /* to be run: config->process, or that of exec; without args it only waits */
    const char *process_at;       /* for errors of its capabilities */
    State state;                  /* for hooks; its pid comes with the first GO */
    Mounts mounts;
    CapSets caps;
    SeccompFilter filter;
    int start;   /* listening socket that `start` connects to, or -EBADF: go on at once */
    int console; /* socket that gets the terminal's master, or -EBADF */
    Kept kept;   /* moss-init is to be executed, not the process's program, which has no name then */
    int (*before_filter)(void *userdata, int sync, Error *e); /* see ExecOptions */
    void *userdata;
    bool plain_lines; /* the terminal's output goes to what is none */
    bool new_keyring;
    bool no_pivot;
    bool new_session; /* setsid(2) */
    bool new_cgroup;  /* a cgroup namespace is to be made by the child itself, as it comes into its cgroup only then */
    unsigned preserve_fds; /* beyond the standard streams */
} Launch;

#define LAUNCH_INIT                                                                                                    \
    (Launch)                                                                                                           \
    {                                                                                                                  \
        .start = -EBADF, .console = -EBADF, .kept = KEPT_INIT, .new_session = true, .mounts = MOUNTS_INIT              \
    }

/* Are there hooks before READY? They may look at the container's state, so they wait until it is written. */
bool launch_has_hooks(const Config *c);

void launch_init(void *launch, int sync);
void launch_exec(void *launch, int sync);

/* Connects to a created container's socket and lets it go on; waits until it has executed its program. */
int launch_start(int state_dir, Config *config, const State *state, Error *e);

#endif
