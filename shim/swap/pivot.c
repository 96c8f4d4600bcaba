/* SPDX-License-Identifier: Apache-2.0 */
#include "pivot.h"

#include <grp.h>
#include <linux/magic.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "carry.h"
#include "runtime/base/apart.h"
#include "runtime/base/fd.h"
#include "runtime/box/mounts.h"
#include "runtime/oci/kept-container.h"

#define LAYERS_MAX 128U
#define SHM_SIZE (UINT64_C(64) << 20)
#define COVERS_MAX 8U

/* ---- on the host: detached mounts ---- */

static int map_ids(const Container *c, int mnt, const char *what, Error *e)
{
    int r = c->userns < 0 || c->same_ids ? 0 : mount_map_ids(mnt, c->userns);

    return r < 0 ? error_errnof(e, r, "%s: its file system cannot map ids", what) : 0;
}

static int clone_mapped(const Container *c, int fd, const char *what, Error *e)
{
    _cleanup_close_ int mnt = mount_clone(fd, e);
    int r = mnt < 0 ? mnt : map_ids(c, mnt, what, e);

    return r < 0 ? r : TAKE_FD(mnt);
}

static int build_upper(const Container *c, const PivotSpec *spec, int top_layer, Error *e)
{
    _cleanup_close_ int dir = mount_new_tmpfs(spec->upper_size, 0755, 0, 0, e);
    struct stat st;
    int r;

    if (dir < 0)
        return dir;
    if (fstat(top_layer, &st) < 0 || mkdirat(dir, "upper", 0700) < 0 || mkdirat(dir, "work", 0700) < 0 ||
        fchownat(dir, "upper", st.st_uid, st.st_gid, 0) < 0 || fchmodat(dir, "upper", st.st_mode & 07777, 0) < 0)
        return error_errnof(e, -errno, "upper directory");
    /* Not a clone of it: kernels before 6.15 clone no mount that was never attached. */
    r = c->userns < 0 || c->same_ids ? 0 : mount_map_ids(dir, c->userns);
    /* A tmpfs maps ids since Linux 6.3; before, what is in it gets those of the host. */
    if (r == -EINVAL && (fchownat(dir, "upper", c->base + st.st_uid, c->base + st.st_gid, 0) < 0 ||
                         fchownat(dir, "work", c->base, c->base, 0) < 0))
        return error_errnof(e, -errno, "upper directory");
    return r < 0 && r != -EINVAL ? error_errnof(e, r, "upper directory") : TAKE_FD(dir);
}

typedef struct OverlaySpec {
    uint32_t root; /* the container's, on the host */
    const int *lowers;
    size_t n;
    const SnapshotUpper *up;
    int mnt; /* what comes of it, or -errno */
    Error *error;
} OverlaySpec;

static void mount_as(void *userdata)
{
    OverlaySpec *o = userdata;

    (void) setfsgid(o->root);
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0) { /* the capabilities stay */
        o->mnt = error_errnof(o->error, -errno, "securebits");
        return;
    }
    (void) setfsuid(o->root);
    o->mnt = snapshot_mount(o->lowers, o->n, o->up, NULL, o->error);
}

/* An overlay works in its upper with the ids that its maker has as it makes it, and in mounts with the ids of the container the host's root is nobody: it is
 * made as the container's root. */
static int mount_as_root_of(const Container *c, const int *lowers, size_t n, const SnapshotUpper *up, Error *e)
{
    OverlaySpec o = {c->base, lowers, n, up, -EBADF, e};
    int r = run_apart(mount_as, &o, true);

    return r < 0 ? error_errnof(e, r, "the process that mounts") : o.mnt;
}

static int build_overlay(const Container *c, const PivotSpec *spec, const int *layers, size_t n, Error *e)
{
    _cleanup_close_ int upper = build_upper(c, spec, layers[0], e), root = -EBADF;
    SnapshotUpper up = {.dir_fd = upper};
    int lowers[LAYERS_MAX], r = 0;
    size_t i = 0;

    if (upper < 0)
        return upper;
    for (; i < n && r >= 0; i++)
        r = lowers[i] = clone_mapped(c, layers[i], "layer", e);
    if (r >= 0)
        r = root = mount_as_root_of(c, lowers, n, &up, e);
    while (i-- > 0)
        fd_closep(&lowers[i]);
    if (r < 0)
        return r;
    r = mount_add_attr(root, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
    return r < 0 ? error_errnof(e, r, "root") : TAKE_FD(root);
}

static int build_root(const Container *c, const PivotSpec *spec, Error *e)
{
    _cleanup_(generation_freep) Generation *g = NULL;
    int layers[LAYERS_MAX], root, r;

    r = generation_load(spec->store, spec->generation, &g, e);
    if (r < 0)
        return r;
    if (g->n_layers > LAYERS_MAX)
        return error_setf(e, -E2BIG, "generation %.12s: %zu layers, at most %u are mounted", g->digest, g->n_layers,
                          LAYERS_MAX);
    r = generation_open_layers(spec->store, g, layers, e);
    if (r < 0)
        return r;
    root = build_overlay(c, spec, layers, g->n_layers, e);
    for (size_t i = 0; i < g->n_layers; i++)
        close(layers[i]);
    return root < 0 ? error_wrapf(e, root, "generation %.12s", g->digest) : root;
}

static int build_state(const Container *c, const PivotSpec *spec, Error *e)
{
    _cleanup_close_ int mnt = clone_mapped(c, spec->state, "state", e);
    int r;

    if (mnt < 0)
        return mnt;
    r = mount_add_attr(mnt, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
    return r < 0 ? error_errnof(e, r, "state") : TAKE_FD(mnt);
}

/* A mount of that file alone; -EBADF where there is none. */
static int build_notify(const PivotSpec *spec, Error *e)
{
    _cleanup_close_ int mnt = -EBADF;
    int r;

    if (spec->notify < 0)
        return -EBADF;
    mnt = mount_clone(spec->notify, e);
    if (mnt < 0)
        return mnt;
    r = mount_add_attr(mnt, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    return r < 0 ? error_errnof(e, r, CONTAINER_NOTIFY) : TAKE_FD(mnt);
}

/* ---- in the container ---- */

/* A copy of what is mounted at `path` in the root that is to go. The agent may have written to that root: it must be what we mounted there. */
static int keep_mount(const char *path, long magic, bool recursive, Error *e)
{
    _cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct statfs fs;
    int mnt;

    if (fd < 0 || fstatfs(fd, &fs) < 0)
        return error_errnof(e, -errno, "%s", path);
    if (fs.f_type != magic)
        return error_setf(e, -EUCLEAN, "%s is not what was mounted there", path);
    mnt = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));
    return mnt < 0 ? error_errnof(e, -errno, "%s", path) : mnt;
}

/* A mount as fresh_shm() makes it, with nothing in it. */
static bool is_unused(int dev, const char *name)
{
    int fd = openat(dev, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct stat st, above;
    const struct dirent *de;

    if (!d || fstat(fd, &st) < 0 || fstat(dev, &above) < 0 || st.st_dev == above.st_dev ||
        st.st_mode != (S_IFDIR | 01777) || st.st_uid != 0 || st.st_gid != 0)
        return false;
    while (errno = 0, (de = readdir(d)))
        if (!streq(de->d_name, ".") && !streq(de->d_name, ".."))
            return false;
    return errno == 0;
}

/* What one incarnation left in /dev/shm is not for the next. A mount that is taken off has all processors waited for, so an unused one stays. */
static int fresh_shm(int dev, Error *e)
{
    _cleanup_close_ int mnt = -EBADF, at = -EBADF;

    if (is_unused(dev, "shm"))
        return 0;
    if (fchdir(dev) < 0)
        return error_errnof(e, -errno, "/dev");
    while (umount2("shm", MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        ;
    mnt = mount_new_tmpfs(SHM_SIZE, 01777, 0, 0, e);
    if (mnt < 0)
        return mnt;
    at = mount_attach(mnt, dev, "/shm", e);
    return at < 0 ? at : 0;
}

/* What is made detached, on the host. */
typedef struct Mounts {
    int root, state, notify;
} Mounts;

static int move_in(const Mounts *m, const char *state_path, Error *e)
{
    _cleanup_close_ int proc = -EBADF, dev = -EBADF, at_proc = -EBADF, at_dev = -EBADF, at_state = -EBADF,
                        at_notify = -EBADF;
    int root = m->root;
    int r;

    if ((proc = keep_mount("/proc", PROC_SUPER_MAGIC, false, e)) < 0)
        return proc;
    if ((dev = keep_mount("/dev", TMPFS_MAGIC, true, e)) < 0)
        return dev;
    if ((r = mount_cover_root(root, e)) < 0)
        return r;
    if ((at_proc = mount_attach(proc, root, "/proc", e)) < 0)
        return at_proc;
    if ((at_dev = mount_attach(dev, root, "/dev", e)) < 0)
        return at_dev;
    if ((r = fresh_shm(at_dev, e)) < 0)
        return r;
    if ((at_state = mount_attach(m->state, root, state_path, e)) < 0)
        return at_state;
    if (m->notify >= 0 && (at_notify = mount_attach(m->notify, root, CONTAINER_NOTIFY, e)) < 0)
        return at_notify;
    return mount_pivot(root, e);
}

/* The engine's container keeps what the engine mounted in it. `mountinfo`: that of its first process. */
static int move_in_engine(const Container *c, int mountinfo, const Mounts *m, const char *state_path, Error *e)
{
    _cleanup_(carry_done) Carry carry = {};
    _cleanup_close_ int at_state = -EBADF, at_notify = -EBADF;
    const char *const ours[] = {state_path, CONTAINER_NOTIFY, NULL};
    int root = m->root, r;

    if ((r = carry_list(mountinfo, &carry, e)) < 0 || (r = carry_take(&carry, ours, e)) < 0 ||
        (r = mount_cover_root(root, e)) < 0 || (r = carry_attach(&carry, root, e)) < 0)
        return r;
    at_state = mount_attach(m->state, root, state_path, e);
    if (at_state < 0)
        return at_state;
    if (m->notify >= 0 && (at_notify = mount_attach(m->notify, root, CONTAINER_NOTIFY, e)) < 0)
        return at_notify;
    r = kept_container_readonly(c->engine) ? mount_add_attr(root, MOUNT_ATTR_RDONLY) : 0;
    return r < 0 ? error_errnof(e, r, "root") : mount_pivot(root, e);
}

static int mount_id(int fd, uint64_t *ret)
{
    struct statx st;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
        return -errno;
    *ret = st.stx_mnt_id;
    return 0;
}

/* Who was killed on the way here has left something on top of moss-init's root: what we are in then. It goes, as if it had never been. */
static int uncover_root(int init_root, int mntns, Error *e)
{
    for (unsigned tries = 0; tries < COVERS_MAX; tries++) {
        _cleanup_close_ int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        uint64_t top_id, init_id;

        if (top < 0 || mount_id(top, &top_id) < 0 || mount_id(init_root, &init_id) < 0)
            return error_errnof(e, -errno, "root of the container");
        if (top_id == init_id)
            return 0;
        if (umount2("/", MNT_DETACH) < 0 || setns(mntns, CLONE_NEWNS) < 0)
            return error_errnof(e, -errno, "cannot remove what an interrupted swap left of a root");
    }
    return error_setf(e, -ELOOP, "the container's root is covered again and again");
}

static int open_of_init(const Container *c, const char *name, int flags, Error *e)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int) c->pid, name);
    fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? error_errnof(e, -errno, "%s", path) : fd;
}

typedef struct Move {
    const Container *container;
    const char *state_path;
    Mounts mounts;
    int result;
    Error *error;
} Move;

static int enter_and_move(const Container *c, const Mounts *m, const char *state_path, Error *e)
{
    _cleanup_close_ int mountinfo = c->engine ? carry_open(c->pid, e) : -EBADF, /* the host's /proc knows it */
        init_root = open_of_init(c, "root", O_PATH | O_DIRECTORY, e),
                        mntns = init_root < 0 ? init_root : open_of_init(c, "ns/mnt", O_RDONLY, e);
    int r;

    if (c->engine && mountinfo < 0)
        return mountinfo;
    if (mntns < 0)
        return mntns;
    if (setns(c->pidfd, CLONE_NEWNS | (c->userns < 0 ? 0 : CLONE_NEWUSER)) < 0)
        return error_errnof(e, -errno, "cannot enter the container");
    r = uncover_root(init_root, mntns, e);
    if (r < 0)
        return r;
    if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return error_errnof(e, -errno, "cannot enter the container");
    return c->engine ? move_in_engine(c, mountinfo, m, state_path, e) : move_in(m, state_path, e);
}

static void move_apart(void *userdata)
{
    Move *m = userdata;

    m->result = enter_and_move(m->container, &m->mounts, m->state_path, m->error);
}

int container_root(Container *c, const PivotSpec *spec, Error *e)
{
    return build_root(c, spec, e);
}

int container_pivot(Container *c, const PivotSpec *spec, Error *e)
{
    _cleanup_close_ int root = spec->root >= 0 ? fcntl(spec->root, F_DUPFD_CLOEXEC, 3) : build_root(c, spec, e),
                        old = open_of_init(c, "root", O_PATH | O_DIRECTORY, e), state = -EBADF, notify = -EBADF;
    Move move;
    int r;

    if (root < 0)
        return root;
    if (old < 0)
        return old;
    state = build_state(c, spec, e);
    if (state < 0)
        return state;
    notify = build_notify(spec, e);
    if (notify < 0 && spec->notify >= 0)
        return notify;
    move = (Move){c, spec->state_path, {root, state, notify}, 0, e};
    r = run_apart(move_apart, &move, false);
    r = r < 0 ? error_errnof(e, r, "the process that enters") : move.result;
    if (r < 0)
        return error_wrapf(e, r, "cannot pivot to generation %.12s", spec->generation);
    container_settle(c);
    c->left = TAKE_FD(old);
    return 0;
}

void container_settle(Container *c)
{
    fd_closep(&c->left);
}
