/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_KEPT_CONTAINER_H
#define MOSS_OCI_KEPT_CONTAINER_H

/* A running container of an engine's as the shim of its agent sees it (see kept.h): what is known of it, and processes in it.
 *
 * A process gets what `exec` would give it of config.json: namespaces, system call filter, labels, limits, groups of nobody. It gets no capability, no_new_privs,
 * the standard streams of the container's first process, and of the engine's environment what it does not set itself. */

#include <sys/types.h>

#include "process.h"

typedef struct KeptContainer KeptContainer;

/* `state_dir`: the container's directory of state. -ESRCH: its first process has ended. */
int kept_container_open(const char *state_dir, KeptContainer **ret, Error *e);
KeptContainer *kept_container_free(KeptContainer *k);
DEFINE_TRIVIAL_CLEANUP(KeptContainer *, kept_container_free)

const char *kept_container_agent(const KeptContainer *k);
pid_t kept_container_pid(const KeptContainer *k);
int kept_container_pidfd(const KeptContainer *k);  /* of the first process; stays k's */
int kept_container_cgroup(const KeptContainer *k); /* stays k's */
int kept_container_dir(const KeptContainer *k);    /* of its state; stays k's */
/* Is its root to be read-only, as far as the engine goes? */
bool kept_container_readonly(const KeptContainer *k);

typedef struct KeptExec {
    const char *const *argv;
    const char *const *env;
    const char *cwd;
    uid_t uid;
    gid_t gid;
    const char *cgroup; /* below the container's */
    int output;         /* for its standard output and error, instead of the container's; or -EBADF */
    /* See ExecOptions in container.h. */
    int (*born)(void *userdata, const Executed *child, Error *e);
    int (*before_filter)(void *userdata, int sync, Error *e);
    void *userdata;
} KeptExec;

/* As container_exec_watched(). */
int kept_container_exec(const KeptContainer *k, const KeptExec *exec, Executed *ret, Error *e);

#endif
