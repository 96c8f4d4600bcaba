/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_PROCESS_H
#define MOSS_OCI_PROCESS_H

/* From a set-up process to the user's program: limits, identity, capabilities, working directory, execve. All of it happens in that process itself, in the
 * order of the declarations. */

#include "config.h"
#include "runtime/box/caps.h"
#include "runtime/box/seccomp.h"

/* A process for whoever goes on to watch it. */
typedef struct Executed {
    pid_t pid;
    int pidfd;
    int listener; /* what before_filter has sent with sync_send_listener(), or -EBADF */
} Executed;

/* Scheduling, I/O priority, resource limits. */
int process_limits(const ConfigProcess *p, Error *e);

/* Labels that take effect at the next execve, through `procfs`, an fd of a verified procfs. */
int process_labels(const ConfigProcess *p, int procfs, Error *e);
/* Does the host have what the labels need? To be asked before anything is made. */
int process_labels_check(const ConfigProcess *p, const char *mount_label, Error *e);

/* Makes the standard streams belong to the program's user, so that it can open /dev/stdout anew. */
void process_own_streams(const ConfigProcess *p);

/* Groups, user, capabilities, working directory. With `seccomp_pending` CAP_SYS_ADMIN is kept, if there is no other way to install the filter; process_exec()
 * drops it. */
int process_become(const ConfigProcess *p, const CapSets *caps, bool seccomp_pending, Error *e);

/* Finds the program in PATH of its environment. "executable file not found in $PATH", "no such file or directory" and
 * "permission denied" are what container engines look for in errors. */
int process_find(const ConfigProcess *p, char *ret_path, size_t size, Error *e);

/* Installs the filter; file descriptors from `keep_fds` on will be closed by execve. The listener of a filter that notifies goes to `sync`, and SYNC_GO
 * must come from there. From here on this process can do no more than its program. */
int process_confine(const ConfigProcess *p, const CapSets *caps, const SeccompFilter *filter, unsigned keep_fds,
                    int sync, Error *e);

/* Replaces this process; returns only on failure. */
int process_exec(const ConfigProcess *p, const char *path, Error *e);

#endif
