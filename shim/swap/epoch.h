/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_EPOCH_H
#define MOSS_SWAP_EPOCH_H

/* agents/NAME/epochs/N: copies of the state volume. A name that is only digits is complete and durable; "N.tmp" is being made and is garbage after a crash.
 * What lies in an epoch was written by the agent, and is hostile. */

#include "core.h"
#include "runtime/base/error.h"

/* An O_RDONLY fd of the directory. */
int epoch_open(int agent_dir, int64_t epoch, Error *e);

/* Copies epoch `from`, in which nobody writes, to `to`, by reflink where the file system can: copy to "to.tmp", syncfs, rename, fsync. A failure leaves
 * nothing behind. What is there under the name `to` already is left of a swap that was cut off, and replaced. */
int epoch_clone(int agent_dir, int64_t from, int64_t to, Error *e);

/* A copy for a rehearsal, epochs/rehearsal.tmp, while `from` may be written to: files that vanish meanwhile are tried again, nothing is synced. Returns its fd. */
int epoch_clone_for_rehearsal(int agent_dir, int64_t from, Error *e);
void epoch_drop_rehearsal(int agent_dir);

/* Removes every epoch that swap_keeps() does not keep, and every "*.tmp". */
int epoch_collect(int agent_dir, const Head *head, Error *e);

/* Gives a tree, its top included, to one user: the state volume that the operator brought belongs to the agent. Never follows symlinks. */
int epoch_own(int fd, uid_t uid, gid_t gid, Error *e);

#endif
