/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_SPAWN_H
#define MOSS_SWAP_SPAWN_H

/* Starts a process in a container: the agent, or a probe.
 *
 * A helper enters the namespaces and has a brother there (CLONE_PARENT), which is thus our own child, born in the cgroup leaf that is given: we get its
 * exit status, and whatever it forks is found through the leaf. The process has no capability, no_new_privs, the system call filter, the Landlock rules if there are any, and nothing open but its
 * standard fds and, with `listen`, those that LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES tell it of. With `notify` its bind(2) and listen(2) calls are reported to us, see shim/hold/hold.h. */

#include "runtime/box/landlock.h"
#include "runtime/box/seccomp.h"
#include "shim/swap/container.h"
#include "shim/swap/listen.h"

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
} SpawnSpec;

typedef struct Spawned {
    pid_t pid;
    int pidfd;
    int notify; /* seccomp listener, -EBADF without */
} Spawned;

/* 0: the program runs. */
int container_spawn(Container *c, const SpawnSpec *spec, Spawned *ret, Error *e);

#endif
