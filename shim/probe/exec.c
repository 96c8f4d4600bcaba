/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "internal.h"
#include "runtime/base/clock.h"
#include "runtime/base/process.h"
#include "runtime/box/cgroup.h"
#include "shim/swap/spawn.h"

#define KILL_TIMEOUT (2 * USEC_PER_SEC)

/* Takes what is there now; what is more than we keep is thrown away, so that the program never waits for us. */
static void read_output(Probe *p)
{
    char buf[16384];

    for (unsigned i = 0; i < 4; i++) {
        ssize_t n = read(p->output_fd, buf, sizeof(buf));
        size_t keep;

        if (n <= 0) {
            if (n == 0 || errno != EAGAIN)
                loop_cancel(&p->output_source);
            return;
        }
        keep = MIN((size_t) n, sizeof(p->output) - p->output_len);
        memcpy(p->output + p->output_len, buf, keep);
        p->output_len += keep;
    }
}

static void on_output(uint32_t events, void *userdata)
{
    (void) events;
    read_output(userdata);
}

static void on_exit_status(uint32_t events, void *userdata)
{
    Probe *p = userdata;
    char text[120];
    int status = 0, code;

    (void) events;
    loop_cancel(&p->source);
    if (pidfd_wait(p->fd, UINT64_MAX, &status) < 0)
        status = 255 << 8;
    fd_closep(&p->fd);
    read_output(p);
    code = wait_status_code(status);
    snprintf(text, sizeof(text), "%.60s: exit status %d", p->spec->argv[0], code);
    probe_finish(p, code == 0, text);
}

void probe_exec_end(Probe *p)
{
    int status;

    loop_cancel(&p->output_source);
    fd_closep(&p->output_fd);
    (void) cgroup_remove(p->context->container->cgroup_probe, p->name, NULL);
    if (p->fd >= 0)
        (void) pidfd_wait(p->fd, clock_now() + KILL_TIMEOUT, &status);
}

static int make_leaf(const Probe *p, Error *e)
{
    const ProbeContext *c = p->context;
    int r = cgroup_remove(c->container->cgroup_probe, p->name, e); /* what an earlier shim has left */
    _cleanup_close_ int leaf = r < 0 ? r : cgroup_make(c->container->cgroup_probe, p->name, e);

    if (leaf < 0)
        return leaf;
    r = container_limit(leaf, c->agent, e);
    return r < 0 ? r : TAKE_FD(leaf);
}

int probe_exec_start(Probe *p, Error *e)
{
    const ProbeContext *c = p->context;
    _cleanup_close_ int leaf = make_leaf(p, e), output = -EBADF;
    SpawnSpec spec = {.argv = p->spec->argv,
                      .env = c->env,
                      .cwd = c->agent->run_cwd,
                      .uid = c->agent->run_uid,
                      .gid = c->agent->run_gid,
                      .cgroup = leaf,
                      .filter = c->filter,
                      .landlock = c->agent->landlock,
                      .processes = c->agent->limit_processes};
    Spawned s;
    int pair[2], r;

    if (leaf < 0)
        return leaf;
    if (pipe2(pair, O_CLOEXEC) < 0)
        return error_errnof(e, -errno, "pipe");
    p->output_fd = pair[0];
    spec.output = output = pair[1];
    if (fcntl(p->output_fd, F_SETFL, O_NONBLOCK) < 0)
        return error_errnof(e, -errno, "pipe");
    r = container_spawn(c->container, &spec, &s, e);
    if (r < 0)
        return r;
    p->fd = s.pidfd;
    r = loop_watch(c->loop, p->fd, EPOLLIN, on_exit_status, p, &p->source);
    if (r >= 0)
        r = loop_watch(c->loop, p->output_fd, EPOLLIN, on_output, p, &p->output_source);
    return r < 0 ? error_errnof(e, r, "event loop") : 0;
}
