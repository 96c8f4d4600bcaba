/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_ROOTFS_H
#define MOSS_OCI_ROOTFS_H

/* Paths below the container's root, whose content is hostile.
 *
 * Everything goes through one fd of the root. A path is resolved as if that directory were "/": symlinks, absolute ones too, and ".." stay inside, magic
 * links of procfs are refused (-ELOOP). Where openat2(2) is missing or blocked the path is walked with O_NOFOLLOW, one component at a
 * time, which refuses symlinks on procfs altogether: stricter, never laxer. */

#include <limits.h>

#include "runtime/base/error.h"

typedef enum RootfsKind {
    ROOTFS_EXISTING,
    ROOTFS_DIRECTORY, /* made with all its parents (mode 0755) where it is missing */
    ROOTFS_FILE, /* made empty where it is missing, its parents too; what is there may be anything but a directory */
} RootfsKind;

/* Returns an O_PATH fd of what `path` names. A dangling symlink leads to the place inside the root where it points. */
int rootfs_open(int root, const char *path, RootfsKind kind);

/* The same for places that only an ordinary directory may be: -ELOOP where any component is a symlink. Made if missing. */
int rootfs_open_plain_directory(int root, const char *path);

/* After -ENOTDIR, for the error: the shortest part of `path` that is there and no directory. */
const char *rootfs_obstacle(int root, const char *path, char part[static PATH_MAX]);

/* Attaches the detached tree on `target`, which must be an fd. */
int rootfs_attach(int tree, int target);

#endif
