/* SPDX-License-Identifier: Apache-2.0 */
#include "container.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "hooks.h"
#include "kept.h"
#include "launch.h"
#include "notify.h"
#include "resctrl.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/process.h"
#include "runtime/box/cgroup.h"
#include "scope.h"

#define KILL_TIMEOUT (10 * USEC_PER_SEC)
#define PIDS_MAX ((size_t) 4 << 20) /* bytes of cgroup.procs */

void container_done(Container *c)
{
    container_cgroup_done(&c->group);
    state_done(&c->state);
    fd_closep(&c->dir);
}

int container_open(const Runtime *rt, const char *id, bool lock, Container *ret, Error *e)
{
    _cleanup_(container_done) Container c = {.dir = -EBADF, .group = CONTAINER_CGROUP_INIT};
    uint64_t frozen = 0;
    int r;

    c.dir = state_open(rt->root, id, lock, e);
    if (c.dir < 0)
        return c.dir;
    r = state_load(c.dir, &c.state, e);
    if (r < 0)
        return error_wrapf(e, r, "container \"%s\"", id);
    r = container_cgroup_open(c.state.cgroup, c.state.unit, &c.group, e);
    if (r < 0)
        return r;
    c.status = state_status(c.dir, &c.state);
    /* Frozen before it was started: it would never take notice of `start`. */
    if (c.status == STATUS_CREATED && c.group.fd >= 0 && cgroup_get(c.group.fd, "cgroup.freeze", NULL, &frozen) >= 0 &&
        frozen == 1)
        c.status = STATUS_PAUSED;
    *ret = c;
    c = (Container){.dir = -EBADF, .group = CONTAINER_CGROUP_INIT};
    return 0;
}

int container_config(const Container *c, Config **ret, Error *e)
{
    int r = config_load(c->dir, "config.json", ret, e);

    return r < 0 ? error_wrapf(e, r, "container \"%s\"", c->state.id) : 0;
}

/* ---- its processes ---- */

static int add_pids(int cgroup, pid_t **pids, size_t *n)
{
    _cleanup_close_ int procs = openat(cgroup, "cgroup.procs", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = NULL;
    _cleanup_free_ char *text = NULL;
    char *save = NULL;
    struct dirent *de;
    int fd, r;

    r = procs < 0 ? -errno : file_read_fd(procs, PIDS_MAX, &text, NULL);
    if (r < 0)
        return r == -ENOENT || r == -ENODEV ? 0 : r; /* it went away */
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        pid_t *more = realloc(*pids, (*n + 1) * sizeof(**pids));

        if (!more)
            return -ENOMEM;
        *pids = more;
        (*pids)[(*n)++] = (pid_t) strtol(line, NULL, 10);
    }
    fd = openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        fd_closep(&fd);
        return -ENOMEM;
    }
    while ((de = readdir(d))) {
        _cleanup_close_ int sub = -EBADF;

        if (de->d_type != DT_DIR || streq(de->d_name, ".") || streq(de->d_name, ".."))
            continue;
        sub = openat(dirfd(d), de->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = sub < 0 ? 0 : add_pids(sub, pids, n);
        if (r < 0)
            return r;
    }
    return 0;
}

int container_pids(const Container *c, pid_t **ret, size_t *ret_n, Error *e)
{
    _cleanup_free_ pid_t *pids = NULL;
    size_t n = 0;
    int r;

    if (c->group.fd < 0)
        return error_setf(e, -EOPNOTSUPP, "container \"%s\" has no cgroup: its processes are not known", c->state.id);
    r = add_pids(c->group.fd, &pids, &n);
    if (r < 0)
        return error_errnof(e, r, "processes of container \"%s\"", c->state.id);
    *ret = TAKE_PTR(pids);
    *ret_n = n;
    return 0;
}

static int signal_all(const Container *c, int sig, Error *e)
{
    _cleanup_free_ pid_t *pids = NULL;
    size_t n = 0;
    int r;

    if (sig == SIGKILL) {
        r = cgroup_set(c->group.fd, "cgroup.kill", "1", NULL);
        if (r >= 0)
            return 0;
    }
    r = container_pids(c, &pids, &n, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        _cleanup_close_ int fd = pidfd_open_cloexec(pids[i]);

        if (fd >= 0)
            (void) pidfd_signal(fd, sig);
    }
    return 0;
}

int container_kill(const Runtime *rt, const char *id, int sig, bool all, Error *e)
{
    _cleanup_(container_done) Container c = {.dir = -EBADF, .group = CONTAINER_CGROUP_INIT};
    _cleanup_close_ int pidfd = -EBADF;
    int r;

    r = container_open(rt, id, true, &c, e);
    if (r < 0)
        return r;
    if (all && c.group.fd >= 0)
        return signal_all(&c, sig, e);
    pidfd = state_pidfd(&c.state);
    if (pidfd < 0)
        return error_setf(e, -ESRCH, "container \"%s\": container not running", id);
    r = pidfd_signal(pidfd, sig);
    if (r == -ESRCH)
        return error_setf(e, r, "container \"%s\": container not running", id);
    return r < 0 ? error_errnof(e, r, "container \"%s\": signal %d", id, sig) : 0;
}

/* Kills the first process and waits for its end; with a PID namespace of its own that is the end of all. */
static int kill_first(const Container *c, Error *e)
{
    _cleanup_close_ int pidfd = state_pidfd(&c->state);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int r;

    if (pidfd < 0)
        return 0;
    r = pidfd_signal(pidfd, SIGKILL);
    if (r < 0)
        return r == -ESRCH ? 0 : error_errnof(e, r, "container \"%s\": cannot be killed", c->state.id);
    do
        r = poll(&p, 1, (int) (KILL_TIMEOUT / USEC_PER_MSEC));
    while (r < 0 && errno == EINTR);
    return r == 0 ? error_setf(e, -ETIMEDOUT, "container \"%s\": its process does not die", c->state.id) : 0;
}

int container_start(const Runtime *rt, const char *id, Error *e)
{
    _cleanup_(container_done) Container c = {.dir = -EBADF, .group = CONTAINER_CGROUP_INIT};
    _cleanup_(config_freep) Config *config = NULL;
    _cleanup_(relay_done) Relay relay = RELAY_INIT;
    _cleanup_close_ int pidfd = -EBADF;
    int r;

    r = container_open(rt, id, true, &c, e);
    if (r < 0)
        return r;
    if (c.status != STATUS_CREATED)
        return error_setf(e, -EINVAL, "cannot start container \"%s\": it is %s, must be created", id,
                          status_names[c.status]);
    if ((r = container_config(&c, &config, e)) < 0)
        return r;
    if (!config->has_process)
        return error_setf(e, -EINVAL, "cannot start container \"%s\": config.json: process: is missing", id);
    if ((r = relay_open(c.dir, rt->notify_socket, &c.state, &relay, e)) < 0 ||
        (r = launch_start(c.dir, config, &c.state, e)) < 0)
        return r;
    if (unlinkat(c.dir, "start", 0) < 0)
        return error_errnof(e, -errno, "container \"%s\": start socket", id);
    if (kept_agent(config) && (r = kept_start(config, c.dir, rt->self, e)) < 0) {
        (void) kill_first(&c, NULL); /* it has nothing to do */
        return r;
    }
    r = hooks_run(config, HOOK_POSTSTART, &c.state, "running", e);
    if (r < 0)
        (void) kill_first(&c, NULL); /* runtime-spec 1.3, "Lifecycle"; it is there to be deleted */
    if (r < 0 || relay.in < 0)
        return r;
    pidfd = state_pidfd(&c.state);
    fd_closep(&c.dir); /* with its lock: it may take long, and be ended by others */
    return relay_await(&relay, pidfd, e);
}

/* What a creation that was cut off left behind has no state.json, or one without a living process. */
static int delete_remains(const Runtime *rt, const char *id, Error *e)
{
    _cleanup_close_ int dir = state_open(rt->root, id, true, e);
    _cleanup_(config_freep) Config *config = NULL;
    int r;

    if (dir < 0)
        return dir;
    r = scope_remove_remains(dir, e);
    if (r >= 0 && config_load(dir, "config.json", &config, NULL) >= 0)
        r = container_cgroup_remove_remains(config, id, e);
    if (r < 0)
        return r;
    return state_remove(rt->root, id, e);
}

int container_delete(const Runtime *rt, const char *id, bool force, Error *e)
{
    _cleanup_(container_done) Container c = {.dir = -EBADF, .group = CONTAINER_CGROUP_INIT};
    _cleanup_(config_freep) Config *config = NULL;
    Error why = {};
    int r;

    r = container_open(rt, id, true, &c, &why);
    if (r < 0 && force) {
        r = delete_remains(rt, id, &why);
        if (r == -ENOENT)
            return 0;
    }
    if (r < 0)
        return error_setf(e, r, "%s", why.text);
    if (c.dir < 0)
        return 0; /* remains, gone now */
    if (!force && (c.status == STATUS_RUNNING || c.status == STATUS_PAUSED))
        return error_setf(e, -EBUSY, "cannot delete container \"%s\" that is not stopped: it is %s", id,
                          status_names[c.status]);
    if ((r = kill_first(&c, e)) < 0 || (r = container_cgroup_remove(&c.group, e)) < 0)
        return r;
    state_release_root(&c.state);
    r = container_config(&c, &config, e);
    if (r >= 0) {
        resctrl_release(&config->rdt, id);
        r = state_remove(rt->root, id, e);
    }
    if (r < 0)
        return force ? state_remove(rt->root, id, e) : r;
    return hooks_run(config, HOOK_POSTSTOP, &c.state, "stopped", e);
}

int container_freeze(const Runtime *rt, const char *id, bool freeze, Error *e)
{
    _cleanup_(container_done) Container c = {.dir = -EBADF, .group = CONTAINER_CGROUP_INIT};
    uint64_t deadline = clock_now() + KILL_TIMEOUT, now = !freeze;
    int r;

    r = container_open(rt, id, true, &c, e);
    if (r < 0)
        return r;
    if (c.status != (freeze ? STATUS_RUNNING : STATUS_PAUSED) && !(freeze && c.status == STATUS_CREATED))
        return error_setf(e, -EINVAL, "cannot %s container \"%s\": it is %s", freeze ? "pause" : "resume", id,
                          status_names[c.status]);
    if (c.group.fd < 0)
        return error_setf(e, -EOPNOTSUPP, "container \"%s\" has no cgroup, which pausing needs", id);
    r = cgroup_set(c.group.fd, "cgroup.freeze", freeze ? "1" : "0", e);
    if (r < 0)
        return r;
    while (cgroup_get(c.group.fd, "cgroup.events", "frozen", &now) >= 0 && now != freeze) {
        struct timespec tick = {.tv_nsec = 2000000};

        if (clock_now() > deadline)
            return error_setf(e, -ETIMEDOUT, "container \"%s\": does not %s", id, freeze ? "freeze" : "thaw");
        nanosleep(&tick, NULL);
    }
    return 0;
}
