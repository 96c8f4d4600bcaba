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

typedef struct Init {
    int signals;
    int listener;
    int shim; /* the connection of the shim that came last */
    int kept[INIT_TAGS_MAX];
} Init;

static void reap(int signals)
{
    struct signalfd_siginfo si;

    (void) !read(signals, &si, sizeof(si));
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

static int end(const Init *init)
{
    InitMessage m = {.op = INIT_END};

    return socket_send_fd(init->shim, &m, sizeof(m), -1);
}

static int give(const Init *init)
{
    InitMessage m = {.op = INIT_KEPT};

    for (m.tag = 0; m.tag < INIT_TAGS_MAX; m.tag++)
        if (init->kept[m.tag] >= 0) {
            int r = socket_send_fd(init->shim, &m, sizeof(m), init->kept[m.tag]);

            if (r < 0)
                return r;
        }
    return end(init);
}

/* A negative answer drops the connection: the shim can make another. */
static int serve(Init *init)
{
    _cleanup_close_ int fd = -EBADF;
    InitMessage m;
    ssize_t n = socket_receive_fd(init->shim, &m, sizeof(m), &fd);

    if (n != (ssize_t) sizeof(m))
        return n < 0 ? (int) n : -EPIPE;
    if (m.op == INIT_GIVE)
        return give(init);
    if (m.tag >= INIT_TAGS_MAX || (m.op == INIT_KEEP) != (fd >= 0) || (m.op != INIT_KEEP && m.op != INIT_FORGET))
        return -EINVAL;
    fd_closep(&init->kept[m.tag]);
    init->kept[m.tag] = TAKE_FD(fd);
    return m.op == INIT_FORGET ? end(init) : 0;
}

static void take_connection(Init *init)
{
    int fd = accept4(init->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    fd_closep(&init->shim);
    init->shim = fd;
}

static int run(Init *init)
{
    for (;;) {
        struct pollfd p[] = {
            {.fd = init->signals, .events = POLLIN},
            {.fd = init->listener, .events = POLLIN},
            {.fd = init->shim, .events = POLLIN},
        };

        if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
            return 1;
        if (p[0].revents)
            reap(init->signals);
        if (p[2].revents && serve(init) < 0)
            fd_closep(&init->shim);
        if (p[1].revents)
            take_connection(init);
    }
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
    sigemptyset(&all);
    sigaddset(&all, SIGCHLD);
    init.signals = signalfd(-1, &all, SFD_CLOEXEC);
    return init.signals < 0 ? 1 : run(&init);
}
