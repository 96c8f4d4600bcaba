/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_RESCTRL_H
#define MOSS_OCI_RESCTRL_H

/* linux.intelRdt: a share of the processor's caches and memory bandwidth, through a mounted resctrl file system (Documentation/filesystems/resctrl.rst,
 * config-linux.md, "IntelRdt").
 *
 *     resctrl_apply(rdt, id, pid, true, e)    when the first process is there; makes the groups, or checks those that are there
 *     resctrl_apply(rdt, id, pid, false, e)   each later process that comes from outside
 *     resctrl_release(rdt, id)                what was made for this container alone is removed
 *
 * A container that does not ask for it costs nothing. resctrl_join() and those below do the same in any directory, for tests. */

#include "config.h"

/* -EOPNOTSUPP where the host has no such file system. */
int resctrl_apply(const ConfigRdt *rdt, const char *id, pid_t pid, bool first, Error *e);
void resctrl_release(const ConfigRdt *rdt, const char *id);
/* New lines for the class of a container that is there; NULL: none. */
int resctrl_update(const ConfigRdt *rdt, const char *id, const char *l3, const char *mem, Error *e);

int resctrl_join(int root, const ConfigRdt *rdt, const char *id, pid_t pid, Error *e);
int resctrl_enter(int root, const ConfigRdt *rdt, const char *id, pid_t pid, Error *e);
void resctrl_leave(int root, const ConfigRdt *rdt, const char *id);

#endif
