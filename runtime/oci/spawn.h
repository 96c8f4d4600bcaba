/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_SPAWN_H
#define MOSS_OCI_SPAWN_H

/* A process in the namespaces and the cgroup that it is meant for, from its first instruction on.
 *
 * One clone3(2) does it where all namespaces are new. Where some are joined, a short-lived helper process joins them and makes the child for us
 * (CLONE_PARENT), so the runtime itself never enters a namespace of the container's. Either way the child is a child of the caller. */

#include "config.h"

typedef struct SpawnSpec {
    uint64_t new_namespaces;    /* CLONE_NEW* */
    int join[NS_MAX];           /* namespaces to enter first; -EBADF: not this one */
    int join_process;           /* pidfd of a process whose `join_flags` namespaces are entered first; or -EBADF */
    uint64_t join_flags;        /* CLONE_NEW* */
    const Config *maps;         /* the id maps for a new user namespace; NULL: there is none */
    const char *time_offsets;   /* NULL: none */
    int root;                   /* after joining: change root to this directory; or -EBADF */
    int cgroup;                 /* or -EBADF: stay in ours */
    void (*child)(void *, int); /* gets `arg` and its end of the synchronisation socket; does not return */
    void *arg;
} SpawnSpec;

#define SPAWN_SPEC_INIT                                                                                                \
    (SpawnSpec)                                                                                                        \
    {                                                                                                                  \
        .join = {-EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF}, .join_process = -EBADF,              \
        .root = -EBADF, .cgroup = -EBADF                                                                               \
    }

typedef struct Spawned {
    pid_t pid;
    int pidfd;
    int sync;
} Spawned;

/* On failure nothing is left running. */
int spawn(const SpawnSpec *spec, Spawned *ret, Error *e);
/* Kills what is not disowned, and reaps it. */
void spawned_done(Spawned *s);

#endif
