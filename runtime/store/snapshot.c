/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/process.h"
#include "store.h"

/* Overlay mounts that are attached nowhere. Nothing is allocated here, because the child of a box calls this between clone and exec.
 *
 * In the initial user namespace overlayfs keeps its marks in trusted.* attributes, elsewhere it may only use user.* ones ("userxattr"). Sources:
 * Documentation/filesystems/overlayfs.rst and fs/overlayfs/params.c ("lowerdir+" is Linux 6.7 or 6.8 and takes any length; a single value of
 * fsconfig(2) has at most 255 bytes). */

#define VALUE_MAX 256

static int set_string(int fs, const char *key, const char *value)
{
    return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

/* The kernel's own words about a failed fsconfig(2) come out of the context's fd. */
static int fs_error(int fs, int code, const char *what, Error *e)
{
    char text[300];
    ssize_t n = read(fs, text, sizeof(text) - 1);

    if (n <= 2)
        return error_errnof(e, code, "overlay: %s", what);
    text[n] = '\0';
    return error_errnof(e, code, "overlay: %s (%s)", what, text + 2);
}

static int mount_tmpfs(uint64_t size, Error *e)
{
    _cleanup_close_ int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
    char text[32];
    int fd;

    snprintf(text, sizeof(text), "%llu", (unsigned long long) size);
    if (fs < 0 || set_string(fs, "size", text) < 0 || set_string(fs, "mode", "0755") < 0 ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return error_errnof(e, -errno, "cannot make a tmpfs of %s bytes", text);
    fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
    return fd < 0 ? error_errnof(e, -errno, "cannot mount a tmpfs of %s bytes", text) : fd;
}

/* All in one value, for kernels without "lowerdir+". */
static int set_lowers_joined(int fs, const int *lowers, size_t n)
{
    char value[VALUE_MAX], path[FD_PATH_MAX];
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        int k = snprintf(value + len, sizeof(value) - len, "%s%s", i ? ":" : "", fd_path(lowers[i], path));

        if (k < 0 || (size_t) k >= sizeof(value) - len)
            return -E2BIG;
        len += (size_t) k;
    }
    return set_string(fs, "lowerdir", value);
}

static int set_lowers(int fs, const int *lowers, size_t n, Error *e)
{
    char path[FD_PATH_MAX];
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        r = set_string(fs, "lowerdir+", fd_path(lowers[i], path));
        if (r == -EINVAL && i == 0)
            return (r = set_lowers_joined(fs, lowers, n)) < 0 ? fs_error(fs, r, "lower layers", e) : 0;
    }
    return r < 0 ? fs_error(fs, r, "lower layers", e) : 0;
}

/* The upper and work directories below `dir_fd`, made if missing, set in the context. */
static int set_upper(int fs, int dir_fd, Error *e)
{
    static const char *const names[] = {"upper", "work"};
    char path[FD_PATH_MAX], value[FD_PATH_MAX + 8];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char key[16];
        int r;

        if (mkdirat(dir_fd, names[i], i == 0 ? 0755 : 0700) < 0 && errno != EEXIST)
            return error_errnof(e, -errno, "cannot make the %s directory of a snapshot", names[i]);
        snprintf(key, sizeof(key), "%sdir", names[i]);
        snprintf(value, sizeof(value), "%s/%s", fd_path(dir_fd, path), names[i]);
        r = set_string(fs, key, value);
        if (r < 0)
            return fs_error(fs, r, names[i], e);
    }
    return 0;
}

static int overlay(const int *lowers, size_t n, int dir_fd, unsigned attr, Error *e)
{
    static const char *const options[][2] = {{"source", "moss"}, {"redirect_dir", "off"}, {"metacopy", "off"}};
    _cleanup_close_ int fs = fsopen("overlay", FSOPEN_CLOEXEC);
    int fd, r;

    if (fs < 0)
        return error_errnof(e, -errno, "this kernel has no overlay file system");
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        r = set_string(fs, options[i][0], options[i][1]);
        if (r < 0)
            return fs_error(fs, r, options[i][0], e);
    }
    if (!process_in_initial_userns() && fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
        return fs_error(fs, -errno, "userxattr", e);
    r = set_lowers(fs, lowers, n, e);
    if (r < 0)
        return r;
    r = dir_fd >= 0 ? set_upper(fs, dir_fd, e) : 0;
    if (r < 0)
        return r;
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return fs_error(fs, -errno, "cannot be made", e);
    fd = fsmount(fs, FSMOUNT_CLOEXEC, attr);
    return fd < 0 ? fs_error(fs, -errno, "cannot be mounted", e) : fd;
}

int snapshot_mount(const int *lowers, size_t n, const SnapshotUpper *upper, int *ret_upper_fd, Error *e)
{
    _cleanup_close_ int tmpfs = -EBADF, fd = -EBADF;
    int dir_fd = upper->dir_fd;

    if (n == 0)
        return error_setf(e, -EINVAL, "a snapshot needs at least one layer");
    if (dir_fd == 0) {
        tmpfs = mount_tmpfs(upper->tmpfs_size, e);
        if (tmpfs < 0)
            return tmpfs;
        dir_fd = tmpfs;
    }
    fd = overlay(lowers, n, dir_fd, 0, e);
    if (fd >= 0 && ret_upper_fd) {
        int up = openat(dir_fd, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (up < 0)
            return error_errnof(e, -errno, "cannot open the upper directory of a snapshot");
        *ret_upper_fd = up;
    }
    return fd < 0 ? fd : TAKE_FD(fd);
}

int snapshot_mount_read_only(const int *lowers, size_t n, Error *e)
{
    _cleanup_close_ int copy = -EBADF;
    struct mount_attr ro = {.attr_set = MOUNT_ATTR_RDONLY};

    if (n == 0)
        return error_setf(e, -EINVAL, "a snapshot needs at least one layer");
    if (n > 1)
        return overlay(lowers, n, -EBADF, MOUNT_ATTR_RDONLY, e);
    /* overlayfs wants two layers where there is no upper; one is simply bound. */
    copy = open_tree(lowers[0], "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (copy < 0 || mount_setattr(copy, "", AT_EMPTY_PATH, &ro, sizeof(ro)) < 0)
        return error_errnof(e, -errno, "cannot mount a layer read-only");
    return TAKE_FD(copy);
}
