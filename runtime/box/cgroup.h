/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BOX_CGROUP_H
#define MOSS_BOX_CGROUP_H

/* cgroup v2 directories, by fd.
 *
 * The hierarchy is found through /proc/self/mountinfo, so the "unified" mount of a hybrid host counts. MOSS keeps its own below one
 * directory: "moss" at the top of the hierarchy as root, below the own cgroup otherwise. Every process is born in its cgroup
 * (CLONE_INTO_CGROUP), nothing is ever moved into one; cgroup.kill (Linux 5.14) plus "populated 0" in cgroup.events is the proof of death.
 * Source: Documentation/admin-guide/cgroup-v2.rst. */

#include <sys/types.h>

#include "runtime/base/error.h"

/* The top of the hierarchy itself, for whoever has paths of its own in it. Returns an O_PATH|O_DIRECTORY fd, or -EOPNOTSUPP where there is no
 * cgroup2 mount. */
int cgroup_open_top(Error *e);

/* The top of MOSS's own part, made where it is missing: below the root for the system, below our own cgroup for a user. Returns an O_PATH|O_DIRECTORY fd, or -EOPNOTSUPP where there is no writable cgroup2. */
int cgroup_open_base(Error *e);

/* The cgroup of a process (0: of ours) as a path below the top without its leading slash, which the caller frees. */
int cgroup_path_of(pid_t pid, char **ret, Error *e);

/* Makes (or opens) `path` below `parent`, several levels if it has slashes, with every controller that the parent can delegate:
 * none where it has processes itself, as the container of an engine has (see cgroup_pass_on()). Returns an O_PATH|O_DIRECTORY fd. */
int cgroup_make(int parent, const char *path, Error *e);
/* The same, and whether it was there already: then it may be frozen, or others' processes be in it. */
int cgroup_make_or_find(int parent, const char *path, bool *ret_found, Error *e);

/* Lets what is below have the controller. -EBUSY: there are processes in the cgroup itself. The kernel would still pass on some of the controllers (cpu, pids), but that
 * makes it the root of a threaded domain, and below one no process can be born: cgroup-v2.rst, "Threads". */
int cgroup_pass_on(int cgroup, const char *controller);

/* Is `controller` ("memory", "pids", …) there for this cgroup? */
bool cgroup_has(int cgroup, const char *controller);

/* Writes a control file; the error names the file, the value and who refused it. */
int cgroup_set(int cgroup, const char *file, const char *value, Error *e);
/* Reads a single number, or the number behind `key` of a flat-keyed file (key NULL: single). "max" reads as UINT64_MAX. */
int cgroup_get(int cgroup, const char *file, const char *key, uint64_t *ret);

/* Kills everything below and waits until it is unpopulated (-ETIMEDOUT after `timeout_usec`: something is stuck in the kernel). */
int cgroup_kill(int cgroup, uint64_t timeout_usec);

/* Kills and removes `path` below `parent` with all that is below it. Missing is success. */
int cgroup_remove(int parent, const char *path, Error *e);

#endif
