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

/* One empty, read-only directory covers all masked ones. The first gets the tmpfs itself, the others copies of that mount: a detached tree cannot be cloned before Linux 6.15. */
static int mask(const Mounts *m, const char *path, int *empty, bool *attached, Error *e)
{
    _cleanup_close_ int target = find(m, path), tree = -EBADF;
    struct stat st;
    int r;

    if (target == -ENOENT || target == -ENOTDIR)
        return 0; /* nothing to hide */
    if (target < 0 || fstat(target, &st) < 0)
        return error_errnof(e, target < 0 ? target : -errno, "cannot mask %s", path);
    if (S_ISDIR(st.st_mode) && *empty < 0 && (*empty = filesystem_empty(m->config->mount_label)) < 0)
        return error_errnof(e, *empty, "cannot mask %s: no empty directory", path);
    if (S_ISDIR(st.st_mode) && !*attached) {
        r = rootfs_attach(*empty, target);
        *attached = r >= 0;
    } else {
        tree = mounts_clone(S_ISDIR(st.st_mode) ? *empty : m->null, false);
        r = tree < 0 ? tree : rootfs_attach(tree, target);
    }
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
    _cleanup_close_ int empty = -EBADF;
    bool attached = false;
    int r;

    for (const char **p = m->config->readonly_paths; p && *p; p++)
        if ((r = protect(m, *p, e)) < 0)
            return r;
    for (const char **p = m->config->masked_paths; p && *p; p++)
        if ((r = mask(m, *p, &empty, &attached, e)) < 0)
            return r;
    return 0;
}
