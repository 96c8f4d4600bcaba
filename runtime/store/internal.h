/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_STORE_INTERNAL_H
#define MOSS_STORE_INTERNAL_H

/* What the files of the store share. */

#include "store.h"

struct Store {
    char *path;
    int fd, layers, generations, tmp; /* O_RDONLY directories */
    int writing;                      /* holds the shared lock once something was written; see store_begin_writing() */
    int pinned;                       /* holds it from store_pin() to store_unpin() */
};

/* <store>/lock with this flock(2): an fd. -EBUSY where LOCK_NB does not get it. */
int store_lock(Store *store, int operation, Error *e);

/* Takes the shared lock of <store>/lock until store_free(), so that store_collect() leaves what is not yet named by a generation alone. */
int store_begin_writing(Store *store, Error *e);

/* Makes a tree fit to be a lower layer, and the same tree for every reader:
 *   - an opaque directory carries both trusted.overlay.opaque (when we may) and user.overlay.opaque, so that an overlay mounted with
 *     or without `userxattr` shows the same;
 *   - what an overlay notes for itself (origin, impure, nlink, uuid) goes;
 *   - anything else of an overlay's (redirect, metacopy, …) is refused, since it makes sense only in the stack it comes from. */
int tree_normalise(int dirfd, Error *e);

/* Like tree_digest(), but what it reads is dropped from the page cache before, so that the disk answers and not memory. */
int tree_digest_uncached(int dirfd, char ret_digest[static DIGEST_SIZE], Error *e);

/* How a snapshot is put together; the later ones are for kernels that cannot do the earlier ones. */
typedef enum SnapshotWay {
    SNAPSHOT_GIVEN,    /* fsopen(2) on the fds that were given (an unattached tmpfs as the upper needs Linux 6.15) */
    SNAPSHOT_DETACHED, /* the same on layers that are opened again in this mount namespace */
    SNAPSHOT_PRIVATE,  /* the same in a helper with a mount namespace of its own, where the tmpfs is attached */
    SNAPSHOT_LEGACY,   /* mount(2) there: before Linux 6.7 there is no `lowerdir+` */
    _SNAPSHOT_WAY_MAX,
} SnapshotWay;
int snapshot_mount_way(SnapshotWay way, const int *lowers, size_t n, const SnapshotUpper *upper, int *ret_upper_fd,
                       Error *e);

#endif
