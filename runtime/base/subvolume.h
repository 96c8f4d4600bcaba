/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_SUBVOLUME_H
#define MOSS_BASE_SUBVOLUME_H

/* btrfs subvolumes, which can be snapshotted at once whatever they hold. linux/btrfs.h has the calls. */

#include "macro.h"

/* Is this directory one? No also where the file system is another one. */
bool subvolume_is(int fd);

/* A directory that is a subvolume where the file system has them and lets us, else a plain one. */
int subvolume_or_directory(int dirfd, const char *name, unsigned mode);

/* A writable snapshot of `from` under the name `name`, on the disk when it returns. -EOPNOTSUPP: it could not be the whole state, for there are subvolumes
 * within, which a snapshot leaves out. */
int subvolume_snapshot(int from, int dirfd, const char *name);

/* Removes `name`, whatever it is and holds: at once where it is a subvolume, else like rm_rf_at(), also with subvolumes within. */
int subvolume_rm_rf(int dirfd, const char *name);

#endif
