/* SPDX-License-Identifier: Apache-2.0 */
#include "subvolume.h"

#include <linux/btrfs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "fd.h"

#define SUBVOLUME_INODE 256U /* of the top of every subvolume, and of nothing else */

static bool is_btrfs(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && fs.f_type == BTRFS_SUPER_MAGIC;
}

bool subvolume_is(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && st.st_ino == SUBVOLUME_INODE && is_btrfs(fd);
}

int subvolume_or_directory(int dirfd, const char *name, unsigned mode)
{
    struct btrfs_ioctl_vol_args args = {};

    if (is_btrfs(dirfd) && strlen(name) < sizeof(args.name)) {
        memcpy(args.name, name, strlen(name) + 1);
        if (ioctl(dirfd, BTRFS_IOC_SUBVOL_CREATE, &args) == 0)
            return fchmodat(dirfd, name, mode, 0) < 0 ? -errno : 0;
    }
    return mkdirat(dirfd, name, mode) < 0 ? -errno : 0;
}

/* 1 if there are subvolumes within. */
static int has_subvolumes(int fd)
{
    _cleanup_free_ struct btrfs_ioctl_get_subvol_rootref_args *args = calloc(1, sizeof(*args));

    if (!args)
        return -ENOMEM;
    if (ioctl(fd, BTRFS_IOC_GET_SUBVOL_ROOTREF, args) < 0 && errno != EOVERFLOW)
        return -errno;
    return args->num_items > 0;
}

int subvolume_snapshot(int from, int dirfd, const char *name)
{
    struct btrfs_ioctl_vol_args_v2 args = {.fd = from};
    int r = has_subvolumes(from);

    if (r < 0)
        return r;
    if (r > 0)
        return -EOPNOTSUPP;
    if (strlen(name) >= sizeof(args.name))
        return -ENAMETOOLONG;
    memcpy(args.name, name, strlen(name) + 1);
    return ioctl(dirfd, BTRFS_IOC_SNAP_CREATE_V2, &args) < 0 ? -errno : 0;
}

/* ---- removal ---- */

static bool destroy(int dirfd, const char *name)
{
    struct btrfs_ioctl_vol_args args = {};

    if (strlen(name) >= sizeof(args.name))
        return false;
    memcpy(args.name, name, strlen(name) + 1);
    return ioctl(dirfd, BTRFS_IOC_SNAP_DESTROY, &args) == 0;
}

/* The subvolumes below a directory, the innermost first; what else is there stays. */
static int destroy_below(int fd, unsigned depth)
{
    _cleanup_closedir_ DIR *d = fdopendir(fd);
    struct dirent *de;

    if (!d) {
        close(fd);
        return -ENOMEM;
    }
    if (depth > 256)
        return -ELOOP;
    while (errno = 0, (de = readdir(d))) {
        bool subvolume;
        int sub, r;

        if (de->d_type != DT_DIR || streq(de->d_name, ".") || streq(de->d_name, ".."))
            continue;
        sub = openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub < 0)
            return -errno;
        subvolume = subvolume_is(sub);
        r = destroy_below(sub, depth + 1);
        if (r < 0)
            return r;
        if (subvolume)
            (void) destroy(dirfd(d), de->d_name); /* else rm_rf_at() says what is the matter */
    }
    return -errno;
}

int subvolume_rm_rf(int dirfd, const char *name)
{
    _cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0 && is_btrfs(fd)) {
        if (subvolume_is(fd) && destroy(dirfd, name))
            return 0;
        (void) destroy_below(TAKE_FD(fd), 0);
    }
    fd_closep(&fd);
    return rm_rf_at(dirfd, name);
}
