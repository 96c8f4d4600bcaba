/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_CARRY_H
#define MOSS_SWAP_CARRY_H

/* The mounts of an engine's container that stay when its root is replaced: all that is mounted directly on that root, with what lies below.
 *
 *     fd = carry_open(pid, e)           on the host: the first process's list of mounts
 *     carry_list(fd, &carry, e)         which they are now
 *     carry_check(&carry, state, e)     before the first time only: none is in the way of the state volume
 *     carry_take(&carry, ours, e)       in the container, where the old root is still "/": copies, of all but what MOSS mounts itself
 *     carry_attach(&carry, root, e)     where the new root covers it: at the same places
 *     carry_done(&carry)
 *
 * The agent can write to the old root, so nothing is believed of a path there but what is mounted: its id must be the one that the kernel listed.
 * Sources: proc_pid_mountinfo(5), statx(2) STATX_MNT_ID, open_tree(2). */

#include <sys/types.h>

#include "runtime/base/error.h"

typedef struct Carried {
    char *path;
    uint64_t id; /* of the mount that is seen there */
    int mnt;     /* the copy, or -EBADF */
} Carried;

typedef struct Carry {
    Carried *list;
    size_t n;
} Carry;

int carry_open(pid_t pid, Error *e);
int carry_list(int mountinfo, Carry *ret, Error *e);
int carry_check(const Carry *c, const char *state_path, Error *e);
int carry_take(Carry *c, const char *const *except, Error *e);
int carry_attach(const Carry *c, int root, Error *e);
void carry_done(Carry *c);

/* The text of a mountinfo file; for carry_list() and tests. */
int carry_parse(char *text, Carry *ret, Error *e);

#endif
