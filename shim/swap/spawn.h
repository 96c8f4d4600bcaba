/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_SPAWN_H
#define MOSS_SWAP_SPAWN_H

/* Starts a process in a container: the agent, or a probe.
 *
 * A process of ours (runtime/base/apart.h) enters the namespaces and starts it there, born in the cgroup leaf that is given: whatever it forks is found
 * through the leaf. It has no capability, no_new_privs, the system call filter, the Landlock rules if there are any, and nothing open but its standard fds
 * and, with `listen`, those that LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES tell it of. With `notify` its bind(2) and listen(2) calls are reported to us, see
 * shim/hold/hold.h.
 *
 * A probe is our own child (CLONE_PARENT) and ends with us at the latest. The agent, which has `born`, is to outlive us, and how it ends must not be lost with us:
 * it is made an orphan of the container at once, so that moss-init is its parent. It runs its program only after `born`, in which moss-init is told who
 * it is; when we are killed before that, it ends. */

#include "runtime/box/landlock.h"
#include "runtime/box/seccomp.h"
#include "shim/swap/container.h"
#include "shim/swap/listen.h"

typedef struct Spawned {
    pid_t pid;
    int pidfd;
    int notify; /* seccomp listener, -EBADF without */
} Spawned;

typedef struct SpawnSpec {
    const char *const *argv; /* argv[0] is a path in the container */
    const char *const *env;
    const char *cwd;
    uid_t uid;
    gid_t gid;
    int output; /* its standard output and error */
    int cgroup; /* leaf */
    const SeccompFilter *filter;
    const LandlockPlan *landlock; /* NULL: none */
    uint64_t processes;           /* RLIMIT_NPROC, 0: as it is */
    const ListenFds *listen;      /* fds 3, 4, … of the agent; NULL: none */
    bool notify;
    int (*born)(const Spawned *spawned, void *userdata,
                Error *e); /* the agent; a negative answer ends it. NULL: a probe */
    void *userdata;
} SpawnSpec;

/* 0: the program runs. */
int container_spawn(Container *c, const SpawnSpec *spec, Spawned *ret, Error *e);

#endif
