/* SPDX-License-Identifier: Apache-2.0 */
#include "mounts.h"

#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "runtime/base/fd.h"

typedef struct Option {
    const char *key;
    const char *value;
} Option;

static int new_mount(const char *type, const Option *options, size_t n, unsigned attr, Error *e)
{
    _cleanup_close_ int fs = fsopen(type, FSOPEN_CLOEXEC);
    int fd;

    if (fs < 0)
        return error_errnof(e, -errno, "this kernel gives no %s", type);
    for (size_t i = 0; i < n; i++)
        if (fsconfig(fs, FSCONFIG_SET_STRING, options[i].key, options[i].value, 0) < 0)
            return error_errnof(e, -errno, "%s: option %s=%s", type, options[i].key, options[i].value);
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return error_errnof(e, -errno, "cannot make a %s", type);
    fd = fsmount(fs, FSMOUNT_CLOEXEC, attr);
    return fd < 0 ? error_errnof(e, -errno, "cannot mount a %s", type) : fd;
}

int mount_new_tmpfs(uint64_t size, mode_t mode, uid_t uid, gid_t gid, Error *e)
{
    char bytes[24], inodes[24], bits[16], user[16], group[16];
    const Option options[] = {
        {"source", "moss"}, {"mode", bits}, {"uid", user}, {"gid", group}, {"size", bytes}, {"nr_inodes", inodes},
    };

    snprintf(bits, sizeof(bits), "%o", mode);
    snprintf(user, sizeof(user), "%u", uid);
    snprintf(group, sizeof(group), "%u", gid);
    snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long) size);
    /* Inodes cost kernel memory that `size` does not count. */
    snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long) (size / 1024 + 1024));
    return new_mount("tmpfs", options, ARRAY_SIZE(options) - (size ? 0 : 2), MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, e);
}

int mount_new_proc(Error *e)
{
    const Option options[] = {{"source", "proc"}};

    return new_mount("proc", options, ARRAY_SIZE(options), MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, e);
}

int mount_new_devpts(Error *e)
{
    const Option options[] = {{"source", "devpts"}, {"mode", "0620"}, {"ptmxmode", "0666"}};

    return new_mount("devpts", options, ARRAY_SIZE(options), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, e);
}

int mount_clone(int fd, Error *e)
{
    struct mount_attr attr = {.propagation = MS_PRIVATE};
    _cleanup_close_ int mnt = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (mnt < 0 || mount_setattr(mnt, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return error_errnof(e, -errno, "cannot clone a mount");
    return TAKE_FD(mnt);
}

int mount_add_attr(int mnt, uint64_t attr)
{
    struct mount_attr a = {.attr_set = attr};

    return mount_setattr(mnt, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0 ? -errno : 0;
}

int mount_map_ids(int mnt, int userns)
{
    struct mount_attr a = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t) userns};

    return mount_setattr(mnt, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0 ? -errno : 0;
}

/* ---- /dev ---- */

typedef struct Device {
    const char *name;
    unsigned major, minor;
} Device;

/* Documentation/admin-guide/devices.txt */
static const Device devices[] = {
    {"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};

static int fill_dev(int dev, bool nodes)
{
    static const char *const links[][2] = {
        {"/proc/self/fd", "fd"},       {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"},
        {"/proc/self/fd/2", "stderr"}, {"pts/ptmx", "ptmx"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
        mode_t type = nodes ? S_IFCHR : S_IFREG;

        if (mknodat(dev, devices[i].name, type | 0666, makedev(devices[i].major, devices[i].minor)) < 0 ||
            fchmodat(dev, devices[i].name, 0666, 0) < 0)
            return -errno;
    }
    for (size_t i = 0; i < ARRAY_SIZE(links); i++)
        if (symlinkat(links[i][0], dev, links[i][1]) < 0)
            return -errno;
    if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 0755) < 0 || fchmodat(dev, "shm", 01777, 0) < 0)
        return -errno;
    return 0;
}

int mount_new_dev(bool nodes, Error *e)
{
    const Option options[] = {{"source", "dev"}, {"mode", "0755"}, {"size", "16777216"}, {"nr_inodes", "4096"}};
    _cleanup_close_ int mnt = -EBADF;
    int r;

    mnt = new_mount("tmpfs", options, ARRAY_SIZE(options), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, e);
    if (mnt < 0)
        return mnt;
    r = fill_dev(mnt, nodes);
    return r < 0 ? error_errnof(e, r, "cannot fill /dev") : TAKE_FD(mnt);
}

static int bind_device(int host, int dev, const Device *d)
{
    _cleanup_close_ int node = -EBADF, mnt = -EBADF, place = -EBADF;
    struct stat st;

    node = openat(host, d->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (node < 0 || fstat(node, &st) < 0)
        return -errno;
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(d->major, d->minor))
        return -ENODEV;
    mnt = open_tree(node, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    place = openat(dev, d->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (mnt < 0 || place < 0 || move_mount(mnt, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

static int bind_devices(int dev, Error *e)
{
    _cleanup_close_ int host = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (host < 0)
        return error_errnof(e, -errno, "/dev");
    for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
        int r = bind_device(host, dev, &devices[i]);

        if (r < 0)
            return error_errnof(e, r, "cannot bind the host's /dev/%s", devices[i].name);
    }
    return 0;
}

/* ---- targets ---- */

static int make_file(int root, const char *path)
{
    _cleanup_close_ int parent = -EBADF, fd = -EBADF;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char dir[PATH_MAX];
    int r;

    if (slash) {
        snprintf(dir, sizeof(dir), "%.*s", (int) (slash - path), path);
        r = mkdirat_p(root, dir, 0755);
        if (r < 0)
            return r;
        parent = openat_beneath(root, dir, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
        if (parent < 0)
            return parent;
    }
    fd = openat(parent >= 0 ? parent : root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : 0;
}

/* An O_PATH fd of `path` with no symlink anywhere in it. openat2(2) would follow symlinks that stay beneath; here one is always an error. */
static int open_plain(int root, const char *path)
{
    _cleanup_close_ int at = -EBADF;
    const char *p = path;

    while (*(p += strspn(p, "/"))) {
        char name[NAME_MAX + 1];
        size_t n = strcspn(p, "/");
        struct stat st;
        int fd;

        if (n > NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(name, p, n);
        name[n] = '\0';
        if (streq(name, ".."))
            return -EXDEV;
        fd = openat(at >= 0 ? at : root, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        fd_closep(&at);
        at = fd;
        if (fstat(at, &st) < 0)
            return -errno;
        if (S_ISLNK(st.st_mode))
            return -ELOOP;
        p += n;
    }
    return at >= 0 ? TAKE_FD(at) : -EBUSY;
}

static int open_target(int root, const char *path, bool directory)
{
    int fd = open_plain(root, path), r;

    if (fd != -ENOENT)
        return fd;
    r = directory ? mkdirat_p(root, path, 0755) : make_file(root, path);
    return r < 0 ? r : open_plain(root, path);
}

int mount_attach(int mnt, int root, const char *target, Error *e)
{
    _cleanup_close_ int place = -EBADF;
    const char *path = target + strspn(target, "/");
    struct stat what, where;

    if (fstat(mnt, &what) < 0)
        return error_errnof(e, -errno, "mount at %s", target);
    place = open_target(root, path, S_ISDIR(what.st_mode));
    if (place == -ELOOP)
        return error_setf(e, place, "mount at %s: there is a symlink in that path", target);
    if (place < 0 || fstat(place, &where) < 0)
        return error_errnof(e, place < 0 ? place : -errno, "mount at %s", target);
    if (S_ISDIR(what.st_mode) != S_ISDIR(where.st_mode))
        return error_setf(e, -ENOTDIR, "mount at %s: that is %s directory, what is to be mounted there is %s", target,
                          S_ISDIR(where.st_mode) ? "a" : "no", S_ISDIR(what.st_mode) ? "one" : "none");
    if (move_mount(mnt, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return error_errnof(e, -errno, "mount at %s", target);
    fd_closep(&place);
    place = fcntl(mnt, F_DUPFD_CLOEXEC, 3);
    return place < 0 ? error_errnof(e, -errno, "mount at %s", target) : TAKE_FD(place);
}

int mount_attach_dev(int mnt, bool nodes, int root, const char *target, Error *e)
{
    _cleanup_close_ int dev = mount_attach(mnt, root, target, e), pts = -EBADF, at = -EBADF;
    int r;

    if (dev < 0)
        return dev;
    if (!nodes && (r = bind_devices(dev, e)) < 0)
        return r;
    pts = mount_new_devpts(e);
    if (pts < 0)
        return pts;
    at = mount_attach(pts, dev, "/pts", e);
    return at < 0 ? at : 0;
}

int mount_directory(int root, const char *path, uid_t uid, gid_t gid, Error *e)
{
    _cleanup_close_ int fd = open_target(root, path + strspn(path, "/"), true);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errnof(e, fd < 0 ? fd : -errno, "directory %s", path);
    if (!S_ISDIR(st.st_mode))
        return error_errnof(e, -ENOTDIR, "directory %s", path);
    return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? error_errnof(e, -errno, "directory %s", path) : 0;
}

int mount_make_private(Error *e)
{
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
               ? error_errnof(e, -errno, "cannot make the mounts private")
               : 0;
}

int mount_park(int mnt, Error *e)
{
    /* Not on "/": only the topmost of what lies there would be taken off. */
    if (move_mount(mnt, "", AT_FDCWD, "/dev", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_errnof(e, -errno, "cannot attach a layer");
    return 0;
}

int mount_cover_root(int root, Error *e)
{
    if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_errnof(e, -errno, "cannot attach the root");
    return 0;
}

int mount_pivot(int root, Error *e)
{
    /* pivot_root(2): with both arguments "." the old root ends up on top of the new one and can be taken off. */
    if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return error_errnof(e, -errno, "cannot pivot to the root");
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return error_errnof(e, -errno, "cannot leave the host's root");
    return 0;
}
