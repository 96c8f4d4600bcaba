/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_EPOCH_H
#define MOSS_SWAP_EPOCH_H

/* agents/NAME/epochs/N: copies of the state volume. A name that is only digits is complete and durable; "N.tmp" is being made and is garbage after a crash. On btrfs
 * they are subvolumes.
 * What lies in an epoch was written by the agent, and is hostile. */

#include "core.h"
#include "mirror.h"

/* An O_RDONLY fd of the directory. */
int epoch_open(int agent_dir, int64_t epoch, Error *e);

/* Clones epoch `from`, in which nobody writes, to `to`: as a snapshot where it is a btrfs subvolume, else by reflink or copy, and then only what the passes of precopy.h have not
 * done (`known` of the last one; NULL: there were none). Made as "to.tmp", on the disk before the rename, which is on the disk when this returns. A failure leaves
 * nothing behind. What is there under the name `to` already is left of a swap that was cut off, and replaced. */
int epoch_clone(int agent_dir, int64_t from, int64_t to, const MirrorIndex *known, Error *e);

/* ---- while `from` is written to, for precopy.h ---- */

/* Would such passes save epoch_clone() anything? */
bool epoch_wants_precopy(int agent_dir, int64_t from);
/* One pass: the first (`known` is NULL) or a later one. What it copied is on the disk. */
int epoch_precopy(int agent_dir, int64_t from, int64_t to, const MirrorIndex *known, MirrorIndex *seen, Error *e);

/* A copy for a rehearsal, epochs/rehearsal.tmp: of no single moment, unless it is a snapshot. */
int epoch_copy_for_rehearsal(int agent_dir, int64_t from, Error *e);
int epoch_open_rehearsal(int agent_dir, Error *e);
void epoch_drop_rehearsal(int agent_dir);

/* Removes every epoch that swap_keeps() does not keep, and every "*.tmp". */
int epoch_collect(int agent_dir, const Head *head, Error *e);

/* Gives a tree, its top included, to one user: the state volume that the operator brought belongs to the agent. Never follows symlinks. Durable when it returns: once there is a
 * head, nobody does it again. */
int epoch_own(int fd, uid_t uid, gid_t gid, Error *e);

#endif
