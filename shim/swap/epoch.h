/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_EPOCH_H
#define MOSS_SWAP_EPOCH_H

/* agents/NAME/epochs/N: copies of the state volume. "N.tmp" is being made and is garbage after a crash, and so is an N that the head does not keep. The candidate's is complete and
 * durable before the head says TRYING; that it is there under its name before then spares the swap a commit of the file system. On btrfs they are subvolumes.
 * What lies in an epoch was written by the agent, and is hostile. */

#include "core.h"
#include "mirror.h"

/* An O_RDONLY fd of the directory. */
int epoch_open(int agent_dir, int64_t epoch, Error *e);

/* Clones epoch `from`, in which nobody writes, to `to`, durably: as a snapshot where it is a btrfs subvolume, else by reflink or copy; where passes of precopy.h went before
 * (`known` is that of the last one) only what these have not done. A failure leaves nothing behind. What is there under the name `to` from a swap that was cut off is replaced. */
int epoch_clone(int agent_dir, int64_t from, int64_t to, const MirrorIndex *known, Error *e);

/* ---- while `from` is written to, for precopy.h ---- */

/* Would such passes save epoch_clone() anything? */
bool epoch_wants_precopy(int agent_dir, int64_t from);
/* One pass: the first (`known` is NULL), or the second, which leaves the copy under its name. What it copied is on the disk. */
int epoch_precopy(int agent_dir, int64_t from, int64_t to, const MirrorIndex *known, MirrorIndex *seen, Error *e);

/* A copy for a rehearsal, epochs/rehearsal.tmp: of no single moment, unless it is a snapshot. */
int epoch_copy_for_rehearsal(int agent_dir, int64_t from, Error *e);
int epoch_open_rehearsal(int agent_dir, Error *e);
void epoch_drop_rehearsal(int agent_dir);

/* Room on the disk for an old generation that is come back to while a candidate's state, which may have filled the disk, is set aside: EPOCH_RESERVE bytes, kept in
 * epochs/reserve.tmp from before the drain until it is given up, or collected. Where the file system reserves nothing there is none. */
#define EPOCH_RESERVE (INT64_C(16) << 20)
int epoch_reserve(int agent_dir, Error *e);
void epoch_give_up_reserve(int agent_dir);

/* Removes every epoch that swap_keeps() does not keep, and every "*.tmp". */
int epoch_collect(int agent_dir, const Head *head, Error *e);

/* Gives a tree, its top included, to one user: the state volume that the operator brought belongs to the agent. Never follows symlinks. Durable when it returns: once there is a
 * head, nobody does it again. */
int epoch_own(int fd, uid_t uid, gid_t gid, Error *e);

#endif
