/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BOX_MOUNTS_H
#define MOSS_BOX_MOUNTS_H

/* Mounts by fd: made detached (fsopen, open_tree), given their properties (mount_setattr), and attached onto a target that was resolved
 * beneath a root's fd. No path inside a root is ever resolved a second time. Nothing here allocates, so all may be called between clone and exec.
 * Every function that makes a mount returns its fd. Sources: mount_setattr(2), move_mount(2), Documentation/filesystems/mount_api.rst. */

#include <sys/types.h>

#include "runtime/base/error.h"

/* Ids as the user namespace of the caller sees them. `size` 0: the kernel's default of half of the memory. */
int mount_new_tmpfs(uint64_t size, mode_t mode, uid_t uid, gid_t gid, Error *e);

/* A procfs of the caller's PID namespace, a devpts of its own. */
int mount_new_proc(Error *e);
int mount_new_devpts(Error *e);

/* A detached copy of the mount at the O_PATH fd, of that directory or file alone (what is mounted below it stays behind). It is private: a copy
 * of a shared mount is its peer, and whatever was mounted on the copy would appear on the original, too. */
int mount_clone(int fd, Error *e);

/* Adds MOUNT_ATTR_* to a detached mount. */
int mount_add_attr(int mnt, uint64_t attr);

/* Maps the owners of a detached mount by a user namespace: id N on disk appears as what N is in there. -EINVAL where the file system cannot. */
int mount_map_ids(int mnt, int userns);

/* A detached /dev: devices as nodes (for the host's root), or nothing but places for them. Both have fd, stdin, stdout, stderr, ptmx, shm and an
 * empty pts. */
int mount_new_dev(bool nodes, Error *e);

/* Attaches a detached mount at `target` (absolute, within `root`), which is made if it is missing: a directory or an empty file as what is mounted. A
 * symlink on the way, or a target of the wrong kind, is an error. Returns an O_PATH fd of what is mounted now. */
int mount_attach(int mnt, int root, const char *target, Error *e);

/* Attaches what mount_new_dev(nodes) has made, binds the host's devices to their places where there are no nodes, and puts a devpts on pts. */
int mount_attach_dev(int mnt, bool nodes, int root, const char *target, Error *e);

/* Makes `path` (as a target) a directory of this owner. */
int mount_directory(int root, const char *path, uid_t uid, gid_t gid, Error *e);

/* Cuts the mount namespace off from what happens in the one that it was copied from. Before anything else. */
int mount_make_private(Error *e);

/* Attaches a detached mount of a directory somewhere out of the way, in what mount_pivot() will take off as a whole. */
int mount_park(int mnt, Error *e);

/* Makes `root`, a detached mount, the root of the calling process's mount namespace and everything else of that unreachable, in two steps, so that
 * mounts can be attached below it in between: after the first the new root covers the old one, which is then still the process's root. */
int mount_cover_root(int root, Error *e);
int mount_pivot(int root, Error *e);

#endif
