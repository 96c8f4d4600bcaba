/* SPDX-License-Identifier: Apache-2.0 */

/* moss-init: PID 1 of a kept container. See protocol.h. */

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "protocol.h"
#include "runtime/base/fd.h"
#include "runtime/base/socket.h"

#define CORE_DUMPED 0x80 /* of a wait status: WCOREFLAG, where the C library has it */

typedef struct Init {
    int signals;
    int listener;
    int shim; /* the connection of the shim that came last */
    int kept[INIT_TAGS_MAX];
    bool ended; /* the process of kept[INIT_TAG_AGENT], with this wait status */
    int status;
    bool leaves; /* with this exit status */
    int exit_status;
} Init;

/* ---- children ---- */

static void reap_agent(Init *init)
{
    siginfo_t si = {};

    if (init->ended || init->kept[INIT_TAG_AGENT] < 0 ||
        waitid(P_PIDFD, (id_t) init->kept[INIT_TAG_AGENT], &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
        return;
    init->ended = true;
    init->status = si.si_code == CLD_EXITED ? (si.si_status & 0xff) << 8
                                            : si.si_status | (si.si_code == CLD_DUMPED ? CORE_DUMPED : 0);
}

static void reap(Init *init)
{
    reap_agent(init);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

static void leave(Init *init, int exit_status)
{
    init->leaves = true;
    init->exit_status = exit_status;
}

/* ---- the shim ---- */

static int answer(const Init *init, uint32_t op, uint32_t tag, int fd)
{
    const InitMessage m = {.op = op, .tag = tag};

    return socket_send_fd(init->shim, &m, sizeof(m), fd) < 0 ? -EPIPE : 0;
}

static int give(const Init *init)
{
    for (uint32_t tag = 0; tag < INIT_TAGS_MAX; tag++)
        if (init->kept[tag] >= 0) {
            int r = answer(init, INIT_KEPT, tag, init->kept[tag]);

            if (r < 0)
                return r;
        }
    return answer(init, INIT_END, 0, -EBADF);
}

static int keep(Init *init, uint32_t tag, int *fd)
{
    if (tag >= INIT_TAGS_MAX)
        return -EINVAL;
    fd_closep(&init->kept[tag]);
    init->kept[tag] = TAKE_FD(*fd);
    if (tag == INIT_TAG_AGENT)
        init->ended = false;
    return 0;
}

/* One message. A negative answer drops the connection, but for -EAGAIN: there is none. The shim can make another. */
static int serve(Init *init)
{
    _cleanup_close_ int fd = -EBADF;
    InitMessage m;
    ssize_t n = socket_receive_fd(init->shim, &m, sizeof(m), &fd);

    if (n != (ssize_t) sizeof(m))
        return n < 0 ? (int) n : -EPIPE;
    switch (m.op) {
    case INIT_KEEP:
        return fd < 0 ? -EINVAL : keep(init, m.tag, &fd);
    case INIT_FORGET:
        if (fd >= 0 || keep(init, m.tag, &fd) < 0)
            return -EINVAL;
        return answer(init, INIT_END, 0, -EBADF);
    case INIT_GIVE:
        return give(init);
    case INIT_ASK:
        reap_agent(init);
        return init->ended ? answer(init, INIT_EXITED, (uint32_t) init->status, -EBADF)
                           : answer(init, INIT_END, 0, -EBADF);
    case INIT_LEAVE:
        reap_agent(init);
        leave(init, !init->ended                ? 0
                    : WIFSIGNALED(init->status) ? 128 + WTERMSIG(init->status)
                                                : WEXITSTATUS(init->status));
        return 0;
    default:
        return -EINVAL;
    }
}

/* All that has been sent: also by a shim that is gone since. */
static void serve_all(Init *init)
{
    int r;

    if (init->shim < 0)
        return;
    while ((r = serve(init)) == 0)
        ;
    if (r != -EAGAIN)
        fd_closep(&init->shim);
}

static void take_connection(Init *init)
{
    int fd = accept4(init->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    fd_closep(&init->shim);
    init->shim = fd;
}

/* ---- signals ---- */

static bool means_end(int sig)
{
    return sig == SIGTERM || sig == SIGINT || sig == SIGQUIT || sig == SIGHUP || sig == SIGPWR || sig == SIGRTMIN + 3;
}

/* Senders in the container have a pid here; what they want is nobody's business. The kernel's own come from a terminal. */
static bool from_outside(const struct signalfd_siginfo *si)
{
    return si->ssi_pid == 0 || si->ssi_code == SI_KERNEL;
}

static void pass_on(Init *init, int sig)
{
    if (init->shim >= 0 && answer(init, INIT_SIGNAL, (uint32_t) sig, -EBADF) == 0)
        return;
    if (means_end(sig))
        leave(init, 128 + sig);
}

static void read_signals(Init *init)
{
    struct signalfd_siginfo si;

    while (read(init->signals, &si, sizeof(si)) == (ssize_t) sizeof(si)) {
        if (si.ssi_signo == SIGCHLD)
            reap(init);
        else if (from_outside(&si))
            pass_on(init, (int) si.ssi_signo);
    }
}

static int run(Init *init)
{
    while (!init->leaves) {
        struct pollfd p[] = {
            {.fd = init->signals, .events = POLLIN},
            {.fd = init->listener, .events = POLLIN},
            {.fd = init->shim, .events = POLLIN},
        };

        if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
            return 1;
        /* First what the shim said, however it came to be that it is gone: a process runs only after the message that names it was sent, so that
         * whatever can be reaped below has been named by now. */
        serve_all(init);
        if (p[0].revents)
            read_signals(init);
        if (p[1].revents)
            take_connection(init);
    }
    return init->exit_status;
}

int main(void)
{
    Init init = {.listener = INIT_LISTEN_FD, .shim = -EBADF};
    sigset_t all;

    /* The agent has our user id, and no business in our memory. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_NAME, "moss-init", 0, 0, 0);
    for (unsigned i = 0; i < INIT_TAGS_MAX; i++)
        init.kept[i] = -EBADF;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    init.signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    return init.signals < 0 ? 1 : run(&init);
}
