/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_SPAWN_H
#define MOSS_OCI_SPAWN_H

/* A process in the namespaces and the cgroup that it is meant for, from its first instruction on.
 *
 * One clone3(2) does it where all namespaces are new. Where some are joined, a short-lived helper process joins them and makes the child for us
 * (CLONE_PARENT), so the runtime itself never enters a namespace of the container's. Either way the child is a child of the caller, unless it is to be an orphan. */

#include "config.h"

typedef struct SpawnSpec {
    uint64_t new_namespaces;  /* CLONE_NEW* */
    int join[NS_MAX];         /* namespaces to enter first; -EBADF: not this one */
    int join_process;         /* pidfd of a process whose `join_flags` namespaces are entered first; or -EBADF */
    uint64_t join_flags;      /* CLONE_NEW* */
    const Config *maps;       /* the id maps for a new user namespace; NULL: there is none */
    const char *time_offsets; /* NULL: none */
    int root;                 /* after joining: change root to this directory; or -EBADF */
    int cgroup;               /* or -EBADF: stay in ours */
    unsigned keep_fds;        /* with join_process: fds below this one, and… */
    int keep_fd;              /* …this one are the child's to have, and no others */
    bool orphan;              /* with join_process: not our child, but that of the first process of its PID namespace */
    void (*child)(void *, int); /* gets `arg` and its end of the synchronisation socket; does not return */
    void *arg;
} SpawnSpec;

#define SPAWN_SPEC_INIT                                                                                                \
    (SpawnSpec)                                                                                                        \
    {                                                                                                                  \
        .join = {-EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF}, .join_process = -EBADF,              \
        .root = -EBADF, .cgroup = -EBADF, .keep_fd = -EBADF                                                            \
    }

typedef struct Spawned {
    pid_t pid;
    int pidfd;
    int sync;
} Spawned;

/* On failure nothing is left running. A process that joins those of a container (join_process) is seen by them from the start, and they may be able to look at what it has
 * open: so it is born with nothing open but what it keeps, and its cgroup is that of the helper process, which they do not see. */
int spawn(const SpawnSpec *spec, Spawned *ret, Error *e);
/* Closes all fds from `low` on but those listed (in any order, -EBADF is none). */
int close_all_but(unsigned low, const int *keep, size_t n);
/* Kills what is not disowned, and reaps it. */
void spawned_done(Spawned *s);

#endif
