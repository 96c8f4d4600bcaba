/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "internal.h"
#include "mounts.h"
#include "runtime/base/fd.h"

/* The mounts that a privileged parent makes for a box.
 *
 * Everything from disk is idmapped: an id in the box is the same id on disk, though the processes have ids of their own on the host. What cannot be
 * idmapped (a layer on a file system without FS_ALLOW_IDMAP; the upper before Linux 6.15, which copies no mount that was never attached) is used as it is:
 *   a layer or source   its owners appear as nobody's; what others may read can be read
 *   the upper           belongs to the box's host ids, and box_shift_upper() puts that right before it is collected */

#define DEPTH_MAX 512

size_t box_count_mounts(const BoxSpec *spec)
{
    size_t n = spec->root.n_lowers + 2;

    for (size_t i = 0; i < spec->n_mounts; i++)
        n += spec->mounts[i].kind == BOX_BIND || spec->mounts[i].kind == BOX_DEV;
    return n;
}

/* A detached copy, idmapped where that can be; *ret_mapped (may be NULL) says if. */
static int clone_mapped(int fd, int userns, bool *ret_mapped, Error *e)
{
    _cleanup_close_ int mnt = mount_clone(fd, e);
    int r;

    if (mnt < 0)
        return mnt;
    r = mount_map_ids(mnt, userns);
    if (r < 0 && r != -EINVAL)
        return error_errnof(e, r, "cannot map the ids of a mount");
    if (ret_mapped)
        *ret_mapped = r >= 0;
    return TAKE_FD(mnt);
}

/* A directory that holds "upper" and "work", the first looking like the topmost layer. */
static int make_upper(const BoxSpec *spec, int *ret_upper, Error *e)
{
    _cleanup_close_ int dir = -EBADF, upper = -EBADF;
    struct stat st;
    bool fresh;

    dir = spec->root.upper_fd
              ? mount_clone(spec->root.upper_fd, e)
              : mount_new_tmpfs(spec->root.upper_size ? spec->root.upper_size : BOX_UPPER_MIN, 0755, 0, 0, e);
    if (dir < 0)
        return dir;
    if (fstat(spec->root.lowers[0], &st) < 0)
        return error_errnof(e, -errno, "topmost layer");
    fresh = mkdirat(dir, "upper", 0700) == 0;
    if ((!fresh && errno != EEXIST) || (mkdirat(dir, "work", 0700) < 0 && errno != EEXIST))
        return error_errnof(e, -errno, "cannot make the upper directory");
    upper = openat(dir, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (upper < 0)
        return error_errnof(e, -errno, "cannot open the upper directory");
    if (fresh && (fchownat(upper, "", st.st_uid, st.st_gid, AT_EMPTY_PATH) < 0 ||
                  fchmodat(dir, "upper", st.st_mode & 07777, 0) < 0))
        return error_errnof(e, -errno, "cannot make the upper directory");
    *ret_upper = TAKE_FD(upper);
    return TAKE_FD(dir);
}

static uint32_t shifted(uint32_t id, uint32_t base)
{
    return id < BOX_IDS ? base + id : id;
}

static int give_upper(int dir, uint32_t base)
{
    struct stat st;

    if (fstatat(dir, "upper", &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        fchownat(dir, "upper", shifted(st.st_uid, base), shifted(st.st_gid, base), AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return fchownat(dir, "work", base, base, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* The directory for the upper as the child makes its root of it, and what is only to be parked there: a mount is not to be closed while it is attached nowhere, as that waits for a
 * grace period of RCU. Takes `dir`. */
static int copy_upper(const BoxSpec *spec, Box *box, int dir, int *ret, Error *e)
{
    Error why = {};
    bool mapped = false;

    ret[1] = dir;
    ret[0] = clone_mapped(dir, box->userns, &mapped, &why);
    if (ret[0] == -EINVAL) {
        /* Such a kernel also wants each mount of an overlay attached by whom makes it: snapshot_mount() does that apart. */
        ret[0] = dir;
        ret[1] = mount_clone(spec->root.lowers[0], e);
        box->unattached = true;
    }
    if (ret[0] < 0)
        return error_setf(e, ret[0], "%s", why.text);
    if (ret[1] < 0)
        return ret[1];
    box->upper_shifted = !mapped;
    if (!mapped && give_upper(dir, box->base) < 0)
        return error_errnof(e, -errno, "cannot give the box its upper directory");
    return 0;
}

/* The layers, and the directory for the upper with ids mapped: an overlay works with the ids of whom it was mounted by, and those must be in the map. */
static int make_root(const BoxSpec *spec, Box *box, int *fds, Error *e)
{
    _cleanup_close_ int dir = -EBADF, upper = -EBADF;
    size_t n = spec->root.n_lowers;
    int r;

    dir = make_upper(spec, &upper, e);
    if (dir < 0)
        return dir;
    r = copy_upper(spec, box, TAKE_FD(dir), fds + n, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        fds[i] = clone_mapped(spec->root.lowers[i], box->userns, NULL, e);
        if (fds[i] < 0)
            return error_wrapf(e, fds[i], "layer %zu of the root", i);
    }
    box->upper = TAKE_FD(upper);
    return 0;
}

static int make_bind(const BoxMount *m, const Box *box, Error *e)
{
    _cleanup_close_ int opened = -EBADF, mnt = -EBADF;
    uint64_t attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    int r;

    if (!m->source_fd) {
        opened = open(m->source, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (opened < 0)
            return error_errnof(e, -errno, "%s, to be mounted at %s", m->source, m->target);
    }
    mnt = clone_mapped(m->source_fd ? m->source_fd : opened, box->userns, NULL, e);
    attr |= (m->read_only ? MOUNT_ATTR_RDONLY : 0) | (m->no_exec ? MOUNT_ATTR_NOEXEC : 0);
    r = mnt < 0 ? mnt : mount_add_attr(mnt, attr);
    return r < 0 ? error_wrapf(e, r, "mount at %s", m->target) : TAKE_FD(mnt);
}

int box_make_mounts(const BoxSpec *spec, Box *box, int *fds, Error *e)
{
    size_t n = spec->root.n_lowers + 1;
    int r = make_root(spec, box, fds, e);

    for (size_t i = 0; r >= 0 && i < spec->n_mounts; i++) {
        const BoxMount *m = &spec->mounts[i];

        if (m->kind == BOX_BIND)
            r = fds[++n] = make_bind(m, box, e);
        else if (m->kind == BOX_DEV)
            r = fds[++n] = mount_new_dev(true, e);
    }
    return r < 0 ? r : 0;
}

static uint32_t unshifted(uint32_t id, uint32_t base)
{
    return id - base < BOX_IDS ? id - base : id;
}

static int shift_directory(int dirfd, uint32_t base, unsigned depth);

static int shift_entry(int dirfd, const char *name, uint32_t base, unsigned depth)
{
    _cleanup_close_ int fd = -EBADF;
    struct stat st;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (st.st_uid - base < BOX_IDS || st.st_gid - base < BOX_IDS) {
        if (fchownat(dirfd, name, unshifted(st.st_uid, base), unshifted(st.st_gid, base), AT_SYMLINK_NOFOLLOW) < 0)
            return -errno;
        /* chown(2) takes set-id bits away. */
        if (S_ISREG(st.st_mode) && st.st_mode & 06000 && fchmodat(dirfd, name, st.st_mode & 07777, 0) < 0)
            return -errno;
    }
    if (!S_ISDIR(st.st_mode))
        return 0;
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : shift_directory(TAKE_FD(fd), base, depth + 1);
}

static int shift_directory(int dirfd, uint32_t base, unsigned depth)
{
    _cleanup_closedir_ DIR *d = fdopendir(dirfd);
    struct dirent *de;

    if (!d || depth > DEPTH_MAX) {
        if (!d)
            close(dirfd);
        return -ELOOP;
    }
    while (errno = 0, (de = readdir(d))) {
        int r;

        if (streq(de->d_name, ".") || streq(de->d_name, ".."))
            continue;
        r = shift_entry(dirfd, de->d_name, base, depth);
        if (r < 0)
            return r;
    }
    return -errno;
}

int box_shift_upper(Box *box)
{
    struct stat st;
    int fd, r;

    if (!box->upper_shifted)
        return 0;
    fd = openat(box->upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = fd < 0 ? -errno : shift_directory(fd, box->base, 0);
    if (r >= 0 && (fstat(box->upper, &st) < 0 || fchownat(box->upper, "", unshifted(st.st_uid, box->base),
                                                          unshifted(st.st_gid, box->base), AT_EMPTY_PATH) < 0))
        r = -errno;
    if (r >= 0)
        box->upper_shifted = false;
    return r;
}
