/* SPDX-License-Identifier: Apache-2.0 */
#include "spawn.h"

#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "engine.h"
#include "runtime/base/apart.h"
#include "runtime/base/fd.h"
#include "runtime/base/process.h"
#include "runtime/base/socket.h"
#include "runtime/box/caps.h"
#include "shim/hold/hold.h"

/* process → shim; BORN comes with the process's own pidfd, and from itself, so that nobody else's death can keep it from being known */
typedef struct Says {
    enum { SAYS_BORN, SAYS_NOTIFY, SAYS_ERROR } what;
    Error error;
} Says;

static int become_user(const SpawnSpec *spec, Error *e)
{
    const CapSets none = {};
    const struct rlimit no_core = {0, 0};

    if (setsid() < 0 || unshare(CLONE_NEWCGROUP) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0)
        return error_errnof(e, -errno, "session, cgroup namespace");
    if (caps_drop_bounding(0) < 0 || setgroups(0, NULL) < 0 || setresgid(spec->gid, spec->gid, spec->gid) < 0)
        return error_errnof(e, -errno, "group %u", spec->gid);
    /* Before the user changes: afterwards raising it back would need a privilege. */
    if (spec->processes) {
        const struct rlimit n = {spec->processes, spec->processes};

        if (setrlimit(RLIMIT_NPROC, &n) < 0)
            return error_errnof(e, -errno, "limit of %llu processes", (unsigned long long) spec->processes);
    }
    if (setresuid(spec->uid, spec->uid, spec->uid) < 0 || caps_set(&none) < 0)
        return error_errnof(e, -errno, "user %u", spec->uid);
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? error_errnof(e, -errno, "no_new_privs") : 0;
}

static int set_stdio(int output)
{
    _cleanup_close_ int high = fcntl(output, F_DUPFD_CLOEXEC, 3);
    _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (high < 0 || null < 0 || dup2(null, 0) < 0 || dup2(high, 1) < 0 || dup2(high, 2) < 0)
        return -errno;
    return 0;
}

static int watch_sockets(int channel, Error *e)
{
    _cleanup_close_ int listener = hold_install_filter();
    Says says = {.what = SAYS_NOTIFY};
    int r;

    if (listener < 0)
        return error_errnof(e, listener, "seccomp notification of bind and listen");
    r = socket_send_fd(channel, &says, sizeof(says), listener);
    return r < 0 ? error_errnof(e, r, "channel") : 0;
}

static int wait_for_leave(int channel, Error *e)
{
    char go;

    return read(channel, &go, 1) == 1 ? 0 : error_setf(e, -EPIPE, "the shim is gone");
}

static int become_program(const SpawnSpec *spec, int channel, Error *e)
{
    const char *const *env = spec->env;
    int n_listen = spec->listen ? (int) spec->listen->n : 0, r;
    sigset_t none;

    if ((r = set_stdio(spec->output)) < 0)
        return error_errnof(e, r, "standard fds");
    if (n_listen > 0 && (r = listen_hand_over(spec->listen, spec->env, &env)) < 0)
        return error_errnof(e, r, "listening sockets");
    if ((r = become_user(spec, e)) < 0)
        return r;
    if (chdir(spec->cwd) < 0)
        return error_errnof(e, -errno, "directory %s", spec->cwd);
    if (spec->notify && (r = watch_sockets(channel, e)) < 0)
        return r;
    if (spec->born && (r = wait_for_leave(channel, e)) < 0)
        return r;
    if (spec->landlock && (r = landlock_apply(spec->landlock, e)) < 0)
        return r;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (close_range((unsigned) (LISTEN_FDS_START + n_listen), ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return error_errnof(e, -errno, "close_range");
    if ((r = seccomp_install(spec->filter)) < 0)
        return error_errnof(e, r, "system call filter");
    execve(spec->argv[0], (char *const *) spec->argv, (char *const *) env);
    return error_errnof(e, -errno, "%s", spec->argv[0]);
}

static int enter(const Container *c, Error *e)
{
    int namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;

    if (setns(c->pidfd, namespaces | (c->network == NETWORK_HOST ? 0 : CLONE_NEWNET)) < 0)
        return error_errnof(e, -errno, "cannot enter the container");
    return 0;
}

static int say_born(int channel, Error *e)
{
    _cleanup_close_ int self = pidfd_open_cloexec(getpid());
    Says says = {.what = SAYS_BORN};
    int r = self < 0 ? self : socket_send_fd(channel, &says, sizeof(says), self);

    return r < 0 ? error_errnof(e, r, "channel") : 0;
}

/* In the container: has a child that becomes the program. */
static int bear(const SpawnSpec *spec, int channel, Error *e)
{
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP | CLONE_CLEAR_SIGHAND | (spec->born ? 0 : CLONE_PARENT),
        .cgroup = (uint64_t) spec->cgroup,
        .exit_signal = spec->born ? SIGCHLD : 0,
    };
    long pid = syscall(SYS_clone3, &args, sizeof(args));

    if (pid == 0) {
        Says says = {.what = SAYS_ERROR};

        channel = fcntl(channel, F_DUPFD_CLOEXEC, LISTEN_FDS_END); /* out of the way of the agent's fds */
        if (channel < 0)
            _exit(127);
        if (say_born(channel, &says.error) >= 0)
            (void) become_program(spec, channel, &says.error);
        (void) socket_send_fd(channel, &says, sizeof(says), -1);
        _exit(127);
    }
    return pid < 0 ? error_errnof(e, -errno, "clone3") : 0;
}

typedef struct Birth {
    const Container *container;
    const SpawnSpec *spec;
    int ours, theirs; /* ends of the channel */
    int result;
    Error *error;
} Birth;

static void bear_here(void *userdata)
{
    Birth *b = userdata;

    b->result = bear(b->spec, b->theirs, b->error);
}

/* The mother of the agent is born in the container, and leaves it an orphan there; who enters is not, and leaves it to no one but its own parent. */
static void enter_and_bear(void *userdata)
{
    Birth *b = userdata;
    int r = enter(b->container, b->error);

    close(b->ours); /* its end is theirs to see */
    if (r >= 0 && !b->spec->born)
        bear_here(b);
    else if (r >= 0 && (r = run_apart(bear_here, b, false)) < 0)
        error_errnof(b->error, r, "the mother of the agent");
    if (r < 0)
        b->result = r;
}

/* Once all is known that `born` has to be told. */
static int give_leave(const SpawnSpec *spec, int channel, Spawned *s, Error *e)
{
    int r = pidfd_pid(s->pidfd, &s->pid);

    if (r < 0)
        return error_errnof(e, r, "process");
    if (!spec->born)
        return 0;
    r = spec->born(s, spec->userdata, e);
    if (r >= 0 && send(channel, "", 1, MSG_NOSIGNAL) != 1)
        r = error_errnof(e, -errno, "channel");
    return r;
}

/* Until the end of the channel, which comes with the exec. */
static int listen_to(const SpawnSpec *spec, int channel, Spawned *s, Error *e)
{
    bool left = false;
    int r = 0;

    for (;;) {
        _cleanup_close_ int fd = -EBADF;
        Says says;
        ssize_t n = socket_receive_fd(channel, &says, sizeof(says), &fd);

        if (n == 0)
            return r < 0 ? r : left ? 0 : error_setf(e, -EIO, "its mother was killed");
        if (n != sizeof(says))
            return error_errnof(e, n < 0 ? (int) n : -EIO, "channel");
        if (says.what == SAYS_ERROR) {
            r = error_setf(e, says.error.code, "%s", says.error.text);
            continue;
        }
        if (fd < 0)
            return error_setf(e, -EMFILE, "channel: a file descriptor is lost");
        if (says.what == SAYS_BORN) {
            fd_closep(&s->pidfd);
            s->pidfd = TAKE_FD(fd);
        } else {
            fd_closep(&s->notify);
            s->notify = TAKE_FD(fd);
        }
        if (s->pidfd < 0 || (spec->notify && s->notify < 0))
            continue;
        r = give_leave(spec, channel, s, e);
        if (r < 0)
            return r;
        left = true;
    }
}

static void spawned_undo(Spawned *s)
{
    int status;

    if (s->pidfd >= 0) {
        (void) pidfd_signal(s->pidfd, SIGKILL);
        (void) pidfd_wait(s->pidfd, UINT64_MAX, &status); /* returns at once for one that is not our child */
    }
    fd_closep(&s->pidfd);
    fd_closep(&s->notify);
}

int container_spawn(Container *c, const SpawnSpec *spec, Spawned *ret, Error *e)
{
    _cleanup_close_ int ours = -EBADF, theirs = -EBADF;
    Spawned s = {.pidfd = -EBADF, .notify = -EBADF};
    Birth birth = {.container = c, .spec = spec, .error = e};
    int pair[2], r;

    if (spec->landlock && (r = landlock_check(spec->landlock, landlock_abi(), e)) < 0)
        return r;
    if (c->engine)
        return engine_spawn(c, spec, ret, e);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_errnof(e, -errno, "socketpair");
    ours = pair[0];
    theirs = pair[1];
    birth.ours = ours;
    birth.theirs = theirs;
    r = run_apart(enter_and_bear, &birth, false);
    fd_closep(&theirs);
    r = r < 0 ? error_errnof(e, r, "the process that enters") : birth.result;
    if (r >= 0 || r == -EOWNERDEAD) /* who was killed may have borne it before */
        r = listen_to(spec, ours, &s, e);
    if (r < 0) {
        spawned_undo(&s);
        return error_wrapf(e, r, "cannot start %s", spec->argv[0]);
    }
    *ret = s;
    return 0;
}
