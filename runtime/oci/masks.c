/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "filesystem.h"
#include "mounts.h"
#include "rootfs.h"
#include "runtime/base/fd.h"

static int find(const Mounts *m, const char *path)
{
    const char *in_proc = startswith(path, "/proc/"), *in_sys = startswith(path, "/sys/");

    if (in_proc && m->proc >= 0)
        return rootfs_open(m->proc, in_proc, ROOTFS_EXISTING);
    if (in_sys && m->sys >= 0)
        return rootfs_open(m->sys, in_sys, ROOTFS_EXISTING);
    return rootfs_open(m->root, path, ROOTFS_EXISTING);
}

/* The first of each kind that was attached; the others are copies of it, as a detached tree cannot be cloned before Linux 6.15. */
typedef struct Covers {
    int directory, file; /* or -EBADF: not needed yet */
} Covers;

/* A mount of the host must not be its master: criu could not give that back. */
static int null_device(const Mounts *m)
{
    struct mount_attr attr = {.propagation = MS_PRIVATE};
    _cleanup_close_ int tree = mounts_clone(m->null, false);

    if (tree < 0)
        return tree;
    return mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? -errno : TAKE_FD(tree);
}

static int cover(int *first, int made, int target)
{
    _cleanup_close_ int tree = *first < 0 ? made : mounts_clone(*first, false);
    int r;

    if (tree < 0)
        return tree;
    r = rootfs_attach(tree, target);
    if (r >= 0 && *first < 0)
        *first = TAKE_FD(tree);
    return r;
}

static int mask(const Mounts *m, const char *path, Covers *c, Error *e)
{
    _cleanup_close_ int target = find(m, path);
    struct stat st;
    int r;

    if (target == -ENOENT || target == -ENOTDIR)
        return 0; /* nothing to hide */
    if (target < 0 || fstat(target, &st) < 0)
        return error_errnof(e, target < 0 ? target : -errno, "cannot mask %s", path);
    if (S_ISDIR(st.st_mode))
        r = cover(&c->directory, c->directory < 0 ? filesystem_empty(m->config->mount_label) : -EBADF, target);
    else
        r = cover(&c->file, c->file < 0 ? null_device(m) : -EBADF, target);
    return r < 0 ? error_errnof(e, r, "cannot mask %s", path) : 0;
}

static int protect(const Mounts *m, const char *path, Error *e)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    _cleanup_close_ int target = find(m, path), tree = -EBADF;
    int r;

    if (target == -ENOENT || target == -ENOTDIR)
        return 0;
    if (target < 0)
        return error_errnof(e, target, "cannot make %s read-only", path);
    tree = mounts_clone(target, true);
    if (tree < 0)
        return error_errnof(e, tree, "cannot make %s read-only", path);
    r = mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 ? -errno
                                                                                       : rootfs_attach(tree, target);
    return r < 0 ? error_errnof(e, r, "cannot make %s read-only", path) : 0;
}

int masks_apply(Mounts *m, Error *e)
{
    Covers c = {-EBADF, -EBADF};
    int r = 0;

    for (const char **p = m->config->readonly_paths; r >= 0 && p && *p; p++)
        r = protect(m, *p, e);
    for (const char **p = m->config->masked_paths; r >= 0 && p && *p; p++)
        r = mask(m, *p, &c, e);
    fd_closep(&c.directory);
    fd_closep(&c.file);
    return r;
}
