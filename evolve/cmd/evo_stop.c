/* SPDX-License-Identifier: Apache-2.0 */
/* moss evo stop: ends the walk, which can go on later. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "evolve/cmd/evo.h"
#include "evolve/stage/engine.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/process.h"

#define WAIT_MSEC 60000

/* The holder of the lock as a pidfd; -ESRCH when there is none. Looked at twice: the process of the number may be another one by then. */
static int holder_open(const EvoContext *c, pid_t *ret_pid, Error *e)
{
    _cleanup_close_ int pidfd = -EBADF;
    pid_t pid, again;
    int r = engine_running(c->agent_directory, &pid, e);

    if (r < 0)
        return r;
    if (pid <= 0)
        return -ESRCH;
    pidfd = pidfd_open_cloexec(pid);
    if (pidfd < 0)
        return pidfd;
    r = engine_running(c->agent_directory, &again, e);
    if (r < 0)
        return r;
    if (again != pid)
        return -ESRCH;
    *ret_pid = pid;
    return TAKE_FD(pidfd);
}

int evo_stop(const EvoContext *c, int argc, _unused_ char **argv)
{
    _cleanup_close_ int pidfd = -EBADF;
    _cleanup_json_ json_t *o = NULL;
    Error e = {};
    pid_t pid = 0;
    int r = 0;

    if (argc > 1)
        return evo_usage(
            "stop [--json]\n\nEnds the walk of an evolution at once. `moss evo start` goes on where it was.");
    pidfd = holder_open(c, &pid, &e);
    if (pidfd < 0 && pidfd != -ESRCH)
        return evo_fail(c, pidfd, &e);
    if (pidfd >= 0) {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};

        r = pidfd_signal(pidfd, SIGTERM);
        if (r < 0 && r != -ESRCH)
            return evo_fail(c, r, &e);
        while ((r = poll(&p, 1, WAIT_MSEC)) < 0 && errno == EINTR)
            ;
        if (r <= 0) {
            error_setf(&e, -ETIMEDOUT, "process %d does not end", (int) pid);
            return evo_fail(c, -ETIMEDOUT, &e);
        }
    }
    if (c->json) {
        o = json_pack("{s:b, s:b, s:i}", "ok", 1, "stopped", pid > 0, "pid", (int) pid);
        return evo_print(o);
    }
    if (pid > 0)
        printf("process %d has ended; `moss evo start` goes on where it was\n", (int) pid);
    else
        printf("no evolution of %s is being walked\n", c->agent_name);
    return 0;
}
