/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_PLACEMENT_H
#define MOSS_OCI_PLACEMENT_H

/* Where a process may run and have its memory: sets of CPUs and of memory nodes as the specification writes them ("0-3,7"). */

#include "config.h"

#define ID_SET_BITS 8192 /* as many as Linux can have CPUs */
#define ID_SET_WORD (8 * sizeof(unsigned long))

typedef struct IdSet {
    unsigned long bits[ID_SET_BITS / (8 * sizeof(unsigned long))];
} IdSet;

/* -EINVAL where it is no list, or an empty one. */
int id_set_parse(const char *list, IdSet *ret);

/* Both act on the calling process, for itself and what it forks. */
int placement_memory(const ConfigMemoryPolicy *policy, Error *e);
/* `list` NULL or "": all CPUs that its cgroup gives it. `what` is the member in errors. */
int placement_cpus(const char *list, const char *what, Error *e);

#endif
