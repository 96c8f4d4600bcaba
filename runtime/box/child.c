/* SPDX-License-Identifier: Apache-2.0 */
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "caps.h"
#include "internal.h"
#include "mounts.h"
#include "net.h"
#include "runtime/base/fd.h"
#include "runtime/base/socket.h"
#include "runtime/store/store.h"
#include "userns.h"

/* From the clone to the exec. The order matters:
 *
 *   ids and dumpable first, so that nobody of the host's unprivileged users can look at or into us; then everything that needs the host's mounts
 *   (procfs is only given while the old one is in sight), then the pivot; then limits, ids for good, capabilities, fds, and the filter last,
 *   because it forbids most of what comes before. */

/* ---- mounts ---- */

/* The detached mount for a BOX_BIND, from this mount namespace. */
static int clone_source(const BoxMount *m, Error *e)
{
    _cleanup_close_ int fd = -EBADF, mnt = -EBADF;
    uint64_t attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

    fd = m->source_fd ? fd_reopen_path(m->source_fd) : open(m->source, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errnof(e, m->source_fd ? fd : -errno, "source of the mount at %s", m->target);
    mnt = mount_clone(fd, e);
    if (mnt < 0)
        return error_wrapf(e, mnt, "mount at %s", m->target);
    attr |= (m->read_only ? MOUNT_ATTR_RDONLY : 0) | (m->no_exec ? MOUNT_ATTR_NOEXEC : 0);
    if (mount_add_attr(mnt, attr) < 0)
        return error_errnof(e, -errno, "mount at %s", m->target);
    return TAKE_FD(mnt);
}

static int make_mount(const BoxPlan *plan, const BoxMount *m, int root, const int *given, size_t *next, Error *e)
{
    _cleanup_close_ int mnt = -EBADF, at = -EBADF;

    switch (m->kind) {
    case BOX_DIRECTORY:
        return mount_directory(root, m->target, plan->spec->uid, plan->spec->gid, e);
    case BOX_DEV:
        mnt = plan->privileged ? given[(*next)++] : mount_new_dev(false, e);
        return mnt < 0 ? mnt : mount_attach_dev(mnt, plan->privileged, root, m->target, e);
    case BOX_BIND:
        mnt = plan->privileged ? given[(*next)++] : clone_source(m, e);
        break;
    case BOX_TMPFS:
        mnt = mount_new_tmpfs(m->size, m->mode ? m->mode : 0755, plan->spec->uid, plan->spec->gid, e);
        if (mnt >= 0 && (m->no_exec || m->read_only))
            (void) mount_add_attr(mnt, (m->no_exec ? MOUNT_ATTR_NOEXEC : 0) | (m->read_only ? MOUNT_ATTR_RDONLY : 0));
        break;
    case BOX_PROC:
        mnt = mount_new_proc(e);
        break;
    }
    if (mnt < 0)
        return mnt;
    at = mount_attach(mnt, root, m->target, e);
    return at < 0 ? at : 0;
}

/* An overlay takes layers from mounts of our own namespace: so those that were sent join it. */
static int park_layers(const BoxPlan *plan, const int *given, Error *e)
{
    int r = 0;

    for (size_t i = 0; i < plan->spec->root.n_lowers + 2 && r >= 0; i++)
        r = mount_park(given[i], e);
    return r;
}

/* The upper of an unprivileged box is made here and handed to the parent. */
static int make_root(const BoxPlan *plan, const int *given, Error *e)
{
    const BoxRoot *r = &plan->spec->root;
    _cleanup_close_ int upper = -EBADF, mnt = -EBADF;
    SnapshotUpper up = {.tmpfs_size = r->upper_size ? r->upper_size : BOX_UPPER_MIN, .dir_fd = r->upper_fd};
    BoxSays says = {.what = BOX_SAYS_UPPER};
    int q;

    if (plan->privileged)
        up.dir_fd = given[r->n_lowers];
    if (plan->privileged && !plan->unattached && (q = park_layers(plan, given, e)) < 0)
        return q;
    mnt = snapshot_mount(plan->privileged ? given : r->lowers, r->n_lowers, &up, &upper, e);
    if (mnt < 0)
        return mnt;
    if (mount_add_attr(mnt, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID) < 0)
        return error_errnof(e, -errno, "cannot restrict the root");
    q = plan->privileged ? 0 : socket_send_fd(plan->channel, &says, sizeof(says), upper);
    return q < 0 ? error_errnof(e, q, "cannot hand over the upper directory") : TAKE_FD(mnt);
}

static int enter_root(const BoxPlan *plan, const int *given, Error *e)
{
    const BoxSpec *spec = plan->spec;
    _cleanup_close_ int root = -EBADF;
    size_t next = spec->root.n_lowers + 2;
    int r;

    r = mount_make_private(e);
    if (r < 0)
        return r;
    root = make_root(plan, given, e);
    r = root < 0 ? root : mount_cover_root(root, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < spec->n_mounts; i++) {
        r = make_mount(plan, &spec->mounts[i], root, given, &next, e);
        if (r < 0)
            return r;
    }
    if (spec->root.read_only && mount_add_attr(root, MOUNT_ATTR_RDONLY) < 0)
        return error_errnof(e, -errno, "cannot make the root read-only");
    return mount_pivot(root, e);
}

/* ---- ids, names, network ---- */

static int become_root_of_box(const BoxPlan *plan, Error *e)
{
    const BoxSpec *spec = plan->spec;
    int r;

    if (!plan->privileged && !spec->join) {
        r = userns_map_self(spec->uid, plan->outer_uid, spec->gid, plan->outer_gid, e);
        if (r < 0)
            return r;
    }
    if (plan->privileged && (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
        return error_errnof(e, -errno, "cannot become root of the box");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return error_errnof(e, -errno, "cannot become undumpable");
    return 0;
}

static int name_and_connect(const BoxSpec *spec, Error *e)
{
    const char *hostname = spec->hostname ? spec->hostname : "box";

    /* Only now, in the cgroup that is to look like the top. */
    if (unshare(CLONE_NEWCGROUP) < 0)
        return error_errnof(e, -errno, "cannot have a cgroup namespace");
    if (sethostname(hostname, strlen(hostname)) < 0)
        return error_errnof(e, -errno, "hostname %s", hostname);
    return spec->flags & BOX_HOST_NETWORK || spec->join ? 0 : net_loopback_up(e);
}

/* ---- last things ---- */

static int set_stdio(const BoxPlan *plan, Error *e)
{
    const int given[] = {plan->spec->stdin_fd, plan->spec->stdout_fd, plan->spec->stderr_fd};
    int high[3];

    /* First out of the way, since one of them may be 0, 1 or 2 of ours. */
    for (size_t i = 0; i < 3; i++) {
        high[i] = fcntl(given[i] ? given[i] : plan->null_fd, F_DUPFD_CLOEXEC, 3);
        if (high[i] < 0)
            return error_errnof(e, -errno, "standard fd %zu", i);
    }
    for (size_t i = 0; i < 3; i++)
        if (dup2(high[i], (int) i) < 0)
            return error_errnof(e, -errno, "standard fd %zu", i);
    return 0;
}

static int become_program(const BoxPlan *plan, Error *e)
{
    const BoxSpec *spec = plan->spec;
    bool keep = spec->flags & BOX_KEEP_CAPS;
    static const CapSets none;

    (void) umask(022);
    /* Nothing can come back: an exec by uid 0 gets what the bounding set has. */
    if (!keep && caps_drop_bounding(0) < 0)
        return error_errnof(e, -errno, "cannot empty the bounding set");
    if (setresgid(spec->gid, spec->gid, spec->gid) < 0 || setresuid(spec->uid, spec->uid, spec->uid) < 0)
        return error_errnof(e, -errno, "cannot become uid %u, gid %u", spec->uid, spec->gid);
    if (!keep && caps_set(&none) < 0)
        return error_errnof(e, -errno, "cannot drop capabilities");
    /* A change of ids clears both of these. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return error_errnof(e, -errno, "prctl");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_errnof(e, -errno, "no_new_privs");
    return 0;
}

static int change_directory(const BoxSpec *spec, Error *e)
{
    const char *cwd = spec->cwd ? spec->cwd : "/";
    char where[PATH_MAX];

    if (chdir(cwd) < 0)
        return error_errnof(e, -errno, "working directory %s", cwd);
    /* "(unreachable)…" is what the kernel says of a directory outside of the root: getcwd(3). */
    if (syscall(SYS_getcwd, where, sizeof(where)) < 0 || where[0] != '/')
        return error_setf(e, -ENOENT, "working directory %s is not in the box", cwd);
    return 0;
}

static int run(const BoxPlan *plan, const int *given, Error *e)
{
    static char *const empty[] = {NULL};
    const BoxSpec *spec = plan->spec;
    int r;

    (void) umask(0);
    r = become_root_of_box(plan, e);
    if (r >= 0)
        r = enter_root(plan, given, e);
    if (r >= 0)
        r = name_and_connect(spec, e);
    if (r >= 0)
        r = set_stdio(plan, e);
    if (r >= 0)
        r = box_limits_to_process(plan, e);
    if (r >= 0)
        r = become_program(plan, e);
    if (r >= 0)
        r = change_directory(spec, e);
    if (r >= 0 && spec->landlock)
        r = landlock_apply(spec->landlock, e);
    if (r < 0)
        return r;
    if (syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) < 0)
        return error_errnof(e, -errno, "close_range");
    r = seccomp_install(&plan->filter);
    if (r < 0)
        return error_errnof(e, r, "seccomp filter %s", spec->seccomp ? spec->seccomp : "box");
    execve(spec->argv[0], (char *const *) spec->argv, spec->env ? (char *const *) spec->env : empty);
    return error_errnof(e, -errno, "cannot run %s", spec->argv[0]);
}

_Noreturn void box_child(const BoxPlan *plan)
{
    BoxSays says = {.what = BOX_SAYS_ERROR};
    BoxPlan own = *plan;
    int given[BOX_GIVEN_MAX], r = 0;
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    (void) setsid();
    (void) close(plan->far_channel);
    for (size_t i = 0; i < plan->n_given; i++)
        if (socket_receive_fd(plan->channel, &own.unattached, 1, &given[i]) <= 0)
            _exit(127); /* the parent gave up */
    r = run(&own, given, &says.error);
    if (says.error.code == 0)
        (void) error_errnof(&says.error, r, "cannot start");
    (void) socket_send_fd(plan->channel, &says, sizeof(says), -EBADF);
    _exit(127);
}
