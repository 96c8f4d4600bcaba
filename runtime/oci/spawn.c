/* SPDX-License-Identifier: Apache-2.0 */
#include "spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/process.h"
#include "sync.h"

int close_all_but(unsigned low, const int *keep, size_t n)
{
    unsigned fd = low;

    while (fd < ~0U) {
        unsigned stop = ~0U;

        for (size_t i = 0; i < n; i++)
            if (keep[i] >= 0 && (unsigned) keep[i] >= fd)
                stop = MIN(stop, (unsigned) keep[i]);
        if (stop > fd && syscall(SYS_close_range, fd, stop == ~0U ? ~0U : stop - 1, 0) < 0)
            return -errno;
        fd = stop == ~0U ? ~0U : stop + 1;
    }
    return 0;
}

static long clone_process(uint64_t flags, int cgroup, int *pidfd)
{
    struct clone_args args = {.flags = flags, .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD};

    if (pidfd) {
        args.flags |= CLONE_PIDFD;
        args.pidfd = (uint64_t) (uintptr_t) pidfd;
    }
    if (cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t) cgroup;
    }
    return syscall(SYS_clone3, &args, sizeof(args));
}

static int clone_error(int code, const SpawnSpec *s, Error *e)
{
    if (code == -EPERM && (s->new_namespaces & CLONE_NEWUSER))
        return error_errnof(e, code, "cannot make the container's process: are user namespaces allowed here?");
    if (code == -EPERM && s->new_namespaces)
        return error_errnof(e, code,
                            "cannot make the container's namespaces without privilege and without a user namespace");
    return error_errnof(e, code, "cannot make the container's process");
}

/* ---- the helper process ---- */

static _Noreturn void helper_fail(int sync, Error *e)
{
    (void) sync_send_error(sync, e);
    _exit(1);
}

/* Namespaces that the outer user namespace owns are entered with its rights, the others with those of the one that is joined. */
static int join_all(const SpawnSpec *s, Error *e)
{
    bool pending[NS_MAX] = {};

    for (unsigned k = 0; k < NS_MAX; k++) {
        if (s->join[k] < 0 || k == NS_USER)
            continue;
        if (setns(s->join[k], (int) namespace_flags[k]) == 0)
            continue;
        if (errno != EPERM || s->join[NS_USER] < 0)
            return error_errnof(e, -errno, "cannot join the %s namespace", namespace_names[k]);
        pending[k] = true;
    }
    if (s->join[NS_USER] >= 0 && setns(s->join[NS_USER], CLONE_NEWUSER) < 0)
        return error_errnof(e, -errno, "cannot join the user namespace");
    for (unsigned k = 0; k < NS_MAX; k++)
        if (pending[k] && setns(s->join[k], (int) namespace_flags[k]) < 0)
            return error_errnof(e, -errno, "cannot join the %s namespace", namespace_names[k]);
    if (s->join_process >= 0 && s->join_flags && setns(s->join_process, (int) s->join_flags) < 0)
        return error_errnof(e, -errno, "cannot join the namespaces of the container");
    return 0;
}

/* What the child is to be born with, and what it takes to get there. */
static int shed(const SpawnSpec *s, int sync, Error *e)
{
    const int keep[] = {sync, s->keep_fd, s->join_process, s->root};
    int r = s->join_process < 0 ? 0 : close_all_but(s->keep_fds, keep, ARRAY_SIZE(keep));

    return r < 0 ? error_errnof(e, r, "cannot close what is the host's") : 0;
}

/* The offsets of a time namespace can be set only while no process is in it. */
static int make_time_namespace(const SpawnSpec *s, int sync, Error *e)
{
    _cleanup_close_ int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);

    if (s->new_namespaces & CLONE_NEWUSER) {
        if (unshare(CLONE_NEWUSER) < 0)
            return error_errnof(e, -errno, "cannot make a user namespace");
        if (sync_send(sync, SYNC_MAP, 0) < 0)
            _exit(1);
        (void) sync_wait_go(sync);
        fd_closep(&fd);
        fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    }
    if (unshare(CLONE_NEWTIME) < 0)
        return error_errnof(e, -errno, "cannot make a time namespace");
    if (s->time_offsets && (fd < 0 || write(fd, s->time_offsets, strlen(s->time_offsets)) < 0))
        return error_errnof(e, -errno, "linux.timeOffsets");
    return 0;
}

static _Noreturn void bear(const SpawnSpec *s, uint64_t flags, int sync)
{
    Error e = {};
    int pidfd = -EBADF;
    long pid = clone_process(flags | (s->orphan ? 0 : CLONE_PARENT), s->join_process >= 0 ? -EBADF : s->cgroup, &pidfd);

    if (pid == 0) {
        s->child(s->arg, sync);
        _exit(1);
    }
    if (pid < 0) {
        clone_error(-errno, s, &e);
        helper_fail(sync, &e);
    }
    (void) sync_send_cloned(sync, pidfd);
    _exit(0);
}

static _Noreturn void helper_main(const SpawnSpec *s, int sync)
{
    uint64_t flags = s->new_namespaces & ~(uint64_t) CLONE_NEWTIME;
    Error e = {};
    long pid;

    if (!(flags & CLONE_NEWUSER))
        (void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (shed(s, sync, &e) < 0 || join_all(s, &e) < 0)
        helper_fail(sync, &e);
    if (s->join_process >= 0)
        close(s->join_process);
    if (s->new_namespaces & CLONE_NEWTIME) {
        if (make_time_namespace(s, sync, &e) < 0)
            helper_fail(sync, &e);
        flags &= ~(uint64_t) CLONE_NEWUSER;
    }
    if (s->root >= 0 && (fchdir(s->root) < 0 || chroot(".") < 0)) {
        error_errnof(&e, -errno, "cannot enter the root of the container");
        helper_fail(sync, &e);
    }
    if (s->root >= 0)
        close(s->root);
    /* Orphans go to the first process of the PID namespace that their parent is in, which this process is not: that takes one that is born there. */
    if (s->orphan && (pid = clone_process(0, -EBADF, NULL)) != 0) {
        if (pid < 0) {
            clone_error(-errno, s, &e);
            helper_fail(sync, &e);
        }
        while (waitpid((pid_t) pid, NULL, 0) < 0 && errno == EINTR)
            ;
        _exit(0);
    }
    bear(s, flags, sync);
}

/* ---- the runtime's side ---- */

static int write_maps(const SpawnSpec *s, pid_t pid, Error *e)
{
    const Config *c = s->maps;

    return c ? userns_map(pid, c->uid_map, c->n_uid_map, c->gid_map, c->n_gid_map, e) : 0;
}

/* Serves the helper until the child is there. */
static int follow_helper(const SpawnSpec *s, pid_t helper, int sync, Spawned *child, bool *mapped, Error *e)
{
    for (;;) {
        _cleanup_close_ int passed = -EBADF;
        SyncMessage m;
        int r = sync_receive_fd(sync, &m, &passed, e);

        if (r < 0)
            return r;
        if (r == 0)
            return error_setf(e, -EPIPE, "the process that joins the container's namespaces died");
        if (m.kind == SYNC_CLONED) {
            child->pidfd = TAKE_FD(passed);
            r = pidfd_pid(child->pidfd, &child->pid);
            return r < 0 ? error_errnof(e, r, "the container's process") : 0;
        }
        if (m.kind != SYNC_MAP)
            return error_setf(e, -EPROTO, "the process that joins the container's namespaces said something odd");
        r = write_maps(s, helper, e);
        if (r < 0)
            return r;
        *mapped = true;
        r = sync_send(sync, SYNC_GO, 0);
        if (r < 0)
            return error_errnof(e, r, "the process that joins the container's namespaces");
    }
}

static int spawn_through_helper(const SpawnSpec *s, int ours, int theirs, Spawned *child, bool *mapped, Error *e)
{
    pid_t helper = (pid_t) clone_process(0, s->join_process >= 0 ? s->cgroup : -EBADF, NULL);
    int r, status;

    if (helper < 0)
        return error_errnof(e, -errno, "cannot make the container's process");
    if (helper == 0) {
        close(ours);
        helper_main(s, theirs);
    }
    close(theirs);
    r = follow_helper(s, helper, ours, child, mapped, e);
    if (r < 0)
        (void) kill(helper, SIGKILL);
    while (waitpid(helper, &status, 0) < 0 && errno == EINTR)
        ;
    return r;
}

static int spawn_directly(const SpawnSpec *s, int ours, int theirs, Spawned *child, Error *e)
{
    long pid = clone_process(s->new_namespaces, s->cgroup, &child->pidfd);

    if (pid == 0) {
        close(ours);
        s->child(s->arg, theirs);
        _exit(1);
    }
    close(theirs);
    if (pid < 0)
        return clone_error(-errno, s, e);
    child->pid = (pid_t) pid;
    return 0;
}

static bool needs_helper(const SpawnSpec *s)
{
    for (unsigned k = 0; k < NS_MAX; k++)
        if (s->join[k] >= 0)
            return true;
    return s->join_process >= 0 || s->root >= 0 || (s->new_namespaces & CLONE_NEWTIME);
}

int spawn(const SpawnSpec *spec, Spawned *ret, Error *e)
{
    _cleanup_(spawned_done) Spawned child = {.pidfd = -EBADF, .sync = -EBADF};
    bool mapped = false;
    int pair[2], r;

    r = sync_pair(pair);
    if (r < 0)
        return error_errnof(e, r, "cannot make the container's process");
    child.sync = pair[0];
    r = needs_helper(spec) ? spawn_through_helper(spec, pair[0], pair[1], &child, &mapped, e)
                           : spawn_directly(spec, pair[0], pair[1], &child, e);
    if (r >= 0 && !mapped)
        r = write_maps(spec, child.pid, e);
    if (r < 0)
        return r;
    *ret = child;
    child = (Spawned){.pidfd = -EBADF, .sync = -EBADF};
    return 0;
}

void spawned_done(Spawned *s)
{
    if (s->pid > 0) {
        int status;

        (void) kill(s->pid, SIGKILL);
        while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    fd_closep(&s->pidfd);
    fd_closep(&s->sync);
    s->pid = 0;
}
