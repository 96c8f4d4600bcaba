/* SPDX-License-Identifier: Apache-2.0 */

/* Overlays, put together without touching the mount table of the caller where the kernel lets us.
 *
 * What is probed and why, never a version compared:
 *   lowerdir+     one call a layer (Linux 6.7); its values are fds (6.13; O_PATH ones 6.15) or /proc/self/fd names. Before 6.5 fsconfig(2) takes any
 *                 option for overlay and complains at the end, and cuts values at 256 bytes: mount(2) with names of a few digits is used then.
 *   userxattr     always: user namespaces need it, and one way to read a layer is better than two. But a tmpfs before 6.6 stores no user.*
 *                 attributes, so an upper there takes trusted.* if we may set them; sealed layers carry both marks (see tree_normalise()).
 *   the upper     an overlay takes layers only from mounts of the caller's own mount namespace, and from unattached ones since 6.15. So a layer whose fd
 *                 came from elsewhere (the parent of a clone(CLONE_NEWNS)) is opened again by its name, and on older kernels the tmpfs is attached in a
 *                 private mount namespace for as long as it takes.
 *   redirect_dir  nofollow and not off, which may mean "follow" by configuration: a layer's redirects come from its maker.
 * Sources: Documentation/filesystems/overlayfs.rst; clone_private_mount() in fs/namespace.c; ovl_fs_params_verify() in fs/overlayfs/params.c. */

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "internal.h"
#include "runtime/base/apart.h"
#include "runtime/base/fd.h"

#define LOWERS_MAX 128U

typedef struct Plan {
    int lowers[LOWERS_MAX];
    size_t n;
    int base;  /* holds "upper" and "work"; -EBADF: read-only */
    int upper; /* O_PATH */
    bool attach;
    bool user_xattrs;
    int (*open)(int fd);
    const char *step; /* what is being done, for the message */
} Plan;

static void plan_done(Plan *p)
{
    for (size_t i = 0; i < p->n; i++)
        fd_closep(&p->lowers[i]);
    fd_closep(&p->base);
    fd_closep(&p->upper);
}

static int duplicate(int fd)
{
    int n = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    return n < 0 ? -errno : n;
}

/* The same directory through this mount namespace if it can be had by name, else the fd itself. */
static int reopen(int fd)
{
    char link[FD_PATH_MAX], path[PATH_MAX];
    ssize_t n = readlink(fd_path(fd, link), path, sizeof(path) - 1);
    struct stat a, b;

    if (n > 0) {
        _cleanup_close_ int again = -EBADF;

        path[n] = '\0';
        again = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (again >= 0 && fstat(fd, &a) == 0 && fstat(again, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
            return TAKE_FD(again);
    }
    return duplicate(fd);
}

/* In a mount namespace of its own: before Linux 6.15 an overlay takes no layer or upper on a mount that was never attached, as one with mapped ids is. The attempt says
 * which is one: all others are of another mount namespace, and stay. */
static int reopen_attached(int fd)
{
    (void) move_mount(fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
    return reopen(fd);
}

static int take_lowers(Plan *p, const int *lowers, size_t n)
{
    p->step = "cannot open the layers";
    for (; p->n < n; p->n++) {
        int fd = p->open(lowers[p->n]);

        if (fd < 0)
            return fd;
        p->lowers[p->n] = fd;
    }
    return 0;
}

/* Inodes of a tmpfs cost kernel memory that `size` does not count. */
static int make_tmpfs(uint64_t size, bool attach)
{
    _cleanup_close_ int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), mnt = -EBADF;
    char bytes[24], inodes[24];

    snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long) size);
    snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long) (size / 1024 + 1024));
    if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "source", "moss", 0) < 0 ||
        (size > 0 && fsconfig(fs, FSCONFIG_SET_STRING, "size", bytes, 0) < 0) ||
        (size > 0 && fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", inodes, 0) < 0) ||
        fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700", 0) < 0 ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    mnt = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
    if (mnt < 0 || (attach && move_mount(mnt, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0))
        return -errno;
    return TAKE_FD(mnt);
}

static bool takes_xattr(int dirfd, const char *name)
{
    char path[FD_PATH_MAX];

    fd_path(dirfd, path);
    if (setxattr(path, name, "y", 1, 0) < 0)
        return false;
    (void) removexattr(path, name);
    return true;
}

/* The root of an overlay has the mode and the owner of its topmost layer's. */
static int make_upper(Plan *p)
{
    struct stat st;
    bool fresh;

    if (fstat(p->lowers[0], &st) < 0)
        return -errno;
    fresh = mkdirat(p->base, "upper", 0700) == 0;
    if ((!fresh && errno != EEXIST) || (mkdirat(p->base, "work", 0700) < 0 && errno != EEXIST))
        return -errno;
    p->upper = openat(p->base, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (p->upper < 0)
        return -errno;
    if (!fresh)
        return 0;
    if (fchownat(p->upper, "", st.st_uid, st.st_gid, AT_EMPTY_PATH) < 0 && errno != EPERM && errno != EINVAL)
        return -errno; /* owners that a user namespace does not know stay with us */
    return fchmodat(p->base, "upper", st.st_mode & 07777, 0) < 0 ? -errno : 0;
}

static int prepare_upper(Plan *p, const SnapshotUpper *upper)
{
    int r;

    p->user_xattrs = true;
    if (!upper)
        return 0;
    p->step = "cannot make the upper directory";
    p->base = upper->dir_fd ? p->open(upper->dir_fd) : make_tmpfs(upper->tmpfs_size, p->attach);
    if (p->base < 0)
        return p->base;
    r = make_upper(p);
    if (r < 0)
        return r;
    if (!upper->dir_fd && !takes_xattr(p->upper, "user.moss") && takes_xattr(p->upper, "trusted.moss"))
        p->user_xattrs = false;
    return 0;
}

/* ---- the new mount API ---- */

static int set_string(int fs, const char *key, const char *value)
{
    return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

static int set_directory(int fs, const char *key, int fd)
{
    char path[FD_PATH_MAX];

    if (fsconfig(fs, FSCONFIG_SET_FD, key, NULL, fd) == 0)
        return 0;
    return set_string(fs, key, fd_path(fd, path));
}

/* Else everything is taken, and nothing understood. */
static bool knows_layers(void)
{
    _cleanup_close_ int fs = fsopen("overlay", FSOPEN_CLOEXEC);

    return fs >= 0 && set_string(fs, "moss-no-such-option", "1") < 0;
}

static int set_layers(const Plan *p, int fs)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < p->n; i++)
        r = set_directory(fs, "lowerdir+", p->lowers[i]);
    if (r < 0)
        return -ENOSYS;
    if (p->base >= 0) {
        _cleanup_close_ int work = openat(p->base, "work", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        r = work < 0 ? -errno : set_directory(fs, "upperdir", p->upper);
        if (r >= 0)
            r = set_directory(fs, "workdir", work);
    }
    return r;
}

static int set_options(const Plan *p, int fs)
{
    static const char *const options[][2] = {
        {"source", "moss"}, {"redirect_dir", "nofollow"}, {"index", "off"}, {"metacopy", "off"}, {"xino", "auto"},
    };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(options); i++)
        r = set_string(fs, options[i][0], options[i][1]);
    if (r >= 0 && p->user_xattrs && fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
        r = -errno;
    return r;
}

static int build_new(Plan *p)
{
    _cleanup_close_ int fs = fsopen("overlay", FSOPEN_CLOEXEC);
    int mnt, r;

    p->step = "cannot make an overlay";
    if (fs < 0)
        return -errno;
    r = set_layers(p, fs);
    if (r >= 0)
        r = set_options(p, fs);
    if (r < 0)
        return r;
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    mnt = fsmount(fs, FSMOUNT_CLOEXEC, p->base < 0 ? MOUNT_ATTR_RDONLY : 0);
    return mnt < 0 ? -errno : mnt;
}

/* An overlay without an upper needs two layers; one alone is shown as it is. */
static int build_single(Plan *p)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    _cleanup_close_ int mnt = -EBADF;

    p->step = "cannot clone the layer's mount";
    mnt = open_tree(p->lowers[0], "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (mnt < 0 || mount_setattr(mnt, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return -errno;
    return TAKE_FD(mnt);
}

/* ---- mount(2) ---- */

static int legacy_options(const Plan *p, char *options, size_t size)
{
    size_t n = (size_t) snprintf(options, size, "%sredirect_dir=nofollow,index=off,metacopy=off,xino=auto",
                                 p->user_xattrs ? "userxattr," : "");

    for (size_t i = 0; i < p->n && n < size; i++)
        n += (size_t) snprintf(options + n, size - n, "%s%d", i ? ":" : ",lowerdir=", p->lowers[i]);
    if (p->base >= 0 && n < size)
        n += (size_t) snprintf(options + n, size - n, ",upperdir=%d,workdir=%d/work", p->upper, p->base);
    return n < size ? 0 : -E2BIG;
}

/* Names are relative to /proc/self/fd: a few digits a layer, so that hundreds of them fit into the one page that mount(2) takes. */
static int build_legacy(Plan *p)
{
    _cleanup_close_ int scaffold = make_tmpfs(0, true), mnt = -EBADF;
    char options[4000], target[32];
    int r;

    p->step = "cannot make an overlay by mount(2)";
    if (scaffold < 0)
        return scaffold;
    r = legacy_options(p, options, sizeof(options));
    if (r < 0)
        return r;
    if (mkdirat(scaffold, "root", 0700) < 0 || chdir("/proc/self/fd") < 0)
        return -errno;
    snprintf(target, sizeof(target), "%d/root", scaffold);
    if (mount("overlay", target, "overlay", p->base < 0 ? MS_RDONLY : 0, options) < 0)
        return -errno;
    mnt = open_tree(scaffold, "root", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return mnt < 0 ? -errno : TAKE_FD(mnt);
}

/* ---- the ways ---- */

typedef struct Outcome {
    int mnt; /* or -errno */
    int upper;
    char step[80];
} Outcome;

/* What the kernel does, with a line in its log alone, when it cannot work in the upper. */
static bool came_out_read_only(int mnt)
{
    struct statvfs fs;

    return fstatvfs(mnt, &fs) == 0 && fs.f_flag & ST_RDONLY;
}

static Outcome build(SnapshotWay way, const int *lowers, size_t n, const SnapshotUpper *upper)
{
    _cleanup_(plan_done) Plan p = {.base = -EBADF,
                                   .upper = -EBADF,
                                   .attach = way > SNAPSHOT_DETACHED,
                                   .open = way == SNAPSHOT_GIVEN      ? duplicate
                                           : way == SNAPSHOT_DETACHED ? reopen
                                                                      : reopen_attached};
    Outcome o = {.mnt = -EBADF, .upper = -EBADF};
    int r;

    p.step = "cannot make an overlay";
    /* First of all, as a mount can be attached once. */
    r = way == SNAPSHOT_LEGACY || knows_layers() ? take_lowers(&p, lowers, n) : -ENOSYS;
    if (r >= 0)
        r = prepare_upper(&p, upper);
    if (r >= 0 && p.n == 1 && p.base < 0)
        r = build_single(&p);
    else if (r >= 0)
        r = way == SNAPSHOT_LEGACY ? build_legacy(&p) : build_new(&p);
    if (r >= 0 && p.base >= 0 && came_out_read_only(r)) {
        close(r);
        p.step = "the upper directory cannot be used for an overlay";
        r = -EROFS;
    }
    o.mnt = r;
    if (r >= 0)
        o.upper = TAKE_FD(p.upper);
    snprintf(o.step, sizeof(o.step), "%s", p.step);
    return o;
}

typedef struct Building {
    SnapshotWay way;
    const int *lowers;
    size_t n;
    const SnapshotUpper *upper;
    Outcome outcome;
} Building;

/* In a mount namespace of its own, which is gone with the process. */
static void build_aside(void *userdata)
{
    Building *b = userdata;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        b->outcome = (Outcome){.mnt = -errno, .upper = -EBADF, .step = "cannot have a mount namespace"};
    else
        b->outcome = build(b->way, b->lowers, b->n, b->upper);
}

static Outcome build_apart(SnapshotWay way, const int *lowers, size_t n, const SnapshotUpper *upper)
{
    Building b = {way, lowers, n, upper, {.upper = -EBADF}};
    int r = run_apart(build_aside, &b, true);

    return r < 0 ? (Outcome){.mnt = r, .upper = -EBADF, .step = "the process for mounting"} : b.outcome;
}

int snapshot_mount_way(SnapshotWay way, const int *lowers, size_t n, const SnapshotUpper *upper, int *ret_upper_fd,
                       Error *e)
{
    _cleanup_close_ int upper_fd = -EBADF;
    Outcome o = way <= SNAPSHOT_DETACHED ? build(way, lowers, n, upper) : build_apart(way, lowers, n, upper);

    upper_fd = o.upper;
    if (o.mnt < 0)
        return error_errnof(e, o.mnt, "%s of %zu layers", o.step, n);
    if (ret_upper_fd)
        *ret_upper_fd = TAKE_FD(upper_fd);
    return o.mnt;
}

static int mount_any_way(const int *lowers, size_t n, const SnapshotUpper *upper, int *ret_upper_fd, Error *e)
{
    int r = -ENOSYS;

    if (n == 0 || n > LOWERS_MAX)
        return error_setf(e, -EINVAL, "an overlay of %zu layers: must be from 1 to %u", n, LOWERS_MAX);
    /* -EINVAL is what older kernels say to a layer on an unattached mount. */
    for (SnapshotWay way = SNAPSHOT_GIVEN; way < _SNAPSHOT_WAY_MAX && (r == -ENOSYS || r == -EINVAL); way++)
        r = snapshot_mount_way(way, lowers, n, upper, ret_upper_fd, e);
    return r;
}

int snapshot_mount(const int *lowers, size_t n, const SnapshotUpper *upper, int *ret_upper_fd, Error *e)
{
    return mount_any_way(lowers, n, upper, ret_upper_fd, e);
}

int snapshot_mount_read_only(const int *lowers, size_t n, Error *e)
{
    return mount_any_way(lowers, n, NULL, NULL, e);
}
