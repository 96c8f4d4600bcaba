/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_FD_H
#define MOSS_BASE_FD_H

/* File descriptors, and directory trees through them.
 *
 * Every fd made here is close-on-exec. An fd variable starts at -EBADF. Paths below a directory that others can write are
 * opened with openat_beneath(), which never leaves that directory and never follows a symlink out of it. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include "error.h"

static inline void fd_closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -EBADF;
}
#define _cleanup_close_ _cleanup_(fd_closep)

DEFINE_TRIVIAL_CLEANUP(FILE *, fclose)
DEFINE_TRIVIAL_CLEANUP(DIR *, closedir)
#define _cleanup_fclose_ _cleanup_(fclosep)
#define _cleanup_closedir_ _cleanup_(closedirp)

/* All of `len` bytes, through EINTR and short writes. */
int fd_write_all(int fd, const void *data, size_t len);

/* Reads until `size` bytes or the end; returns how many. */
ssize_t fd_read_full(int fd, void *buf, size_t size);

/* openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS: a path that leaves `dirfd` gives -EXDEV. Where openat2 is missing or
 * blocked the path is walked component by component with O_NOFOLLOW, which refuses symlinks (-ELOOP) instead of resolving
 * them: stricter, never laxer. Returns an fd. */
int openat_beneath(int dirfd, const char *path, int flags, mode_t mode);
/* That walk itself, for those who must not follow a symlink: -ENOTDIR or -ELOOP, but with O_PATH a symlink at the end is opened as such. Slashes in front are
 * nothing: the path is taken from `dirfd`. */
int openat_walk(int dirfd, const char *path, int flags, mode_t mode);

/* mkdir -p below `dirfd` without following symlinks; what is there already must be directories. */
int mkdirat_p(int dirfd, const char *path, mode_t mode);

/* mkdir -p of a path that is the operator's own choice: symlinks on the way are followed. */
int mkdir_p(const char *path, mode_t mode);

/* Removes `name` below `dirfd` with all it holds, without following symlinks or crossing into another mount. Missing is success. */
int rm_rf_at(int dirfd, const char *name);

/* Copies the tree below directory `from` into the existing directory `to`: regular files (by reflink where the file system can),
 * directories, symlinks, fifos, hard links among them, modes, times, xattrs; owners and device nodes when the caller may. Sockets are
 * left out, holes stay holes. */
int copy_tree_at(int from, int to);
/* The same with the path and the cause of a failure. */
int copy_tree(int from, int to, Error *e);

/* The same file through the mount namespace that we are in now, for an O_PATH fd from another one (of the parent of a clone(CLONE_NEWNS)): found by
 * its name, compared by its inode; -ESTALE if something else is there. Returns an O_PATH fd. Allocates nothing. */
int fd_reopen_path(int fd);

/* /proc/self/fd/N, for calls that take only paths. */
#define FD_PATH_MAX (sizeof("/proc/self/fd/") + 10)
const char *fd_path(int fd, char buf[static FD_PATH_MAX]);

#endif
