/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container.h"
#include "filter.h"
#include "handover.h"
#include "launch.h"
#include "placement.h"
#include "resctrl.h"
#include "runtime/base/fd.h"
#include "runtime/base/process.h"
#include "runtime/base/strbuf.h"
#include "runtime/box/cgroup.h"
#include "scope.h"
#include "spawn.h"
#include "sync.h"

typedef struct Joining {
    Launch launch;
    Spawned child;
    int first; /* pidfd of the container's first process */
    int root;  /* of the container, where it has no mount namespace */
    int cgroup;
    int console; /* our end where the terminal comes to us */
    bool orphan;
} Joining;

#define JOINING_INIT                                                                                                   \
    (Joining)                                                                                                          \
    {                                                                                                                  \
        .launch = LAUNCH_INIT, .child = {.pidfd = -EBADF, .sync = -EBADF}, .first = -EBADF, .root = -EBADF,            \
        .cgroup = -EBADF, .console = -EBADF                                                                            \
    }

static void joining_done(Joining *j)
{
    spawned_done(&j->child);
    seccomp_filter_done(&j->launch.filter);
    fd_closep(&j->launch.console);
    fd_closep(&j->first);
    fd_closep(&j->root);
    fd_closep(&j->cgroup);
    fd_closep(&j->console);
}

/* A namespace that is ours already cannot be entered again (user), or need not be. */
static bool is_ours(pid_t pid, const char *file)
{
    struct stat a, b;
    char path[48];

    snprintf(path, sizeof(path), "/proc/self/ns/%s", file);
    if (stat(path, &a) < 0)
        return false;
    snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int) pid, file);
    return stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static uint64_t flags_to_join(const Config *c, pid_t pid)
{
    uint64_t flags = 0;

    for (unsigned k = 0; k < NS_MAX; k++)
        if (c->namespaces[k].wanted && !is_ours(pid, namespace_files[k]))
            flags |= namespace_flags[k];
    return flags;
}

static int open_root(pid_t pid)
{
    char path[40];
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/root", (int) pid);
    fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int open_cgroup(const Container *c, const ExecOptions *o, Error *e)
{
    int fd;

    if (!o->cgroup)
        return c->group.fd < 0 ? -EBADF : openat(c->group.fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (c->group.fd < 0)
        return error_setf(e, -EOPNOTSUPP, "--cgroup %s: the container has no cgroup", o->cgroup);
    fd = openat_beneath(c->group.fd, o->cgroup + strspn(o->cgroup, "/"), O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    return fd < 0 ? error_errnof(e, fd, "--cgroup %s", o->cgroup) : fd;
}

static int open_console(Joining *j, const ExecOptions *o, Error *e)
{
    int pair[2];

    if (!o->process->terminal)
        return o->caller.console_socket ? error_setf(e, -EINVAL, "--console-socket: no terminal is asked for (--tty)")
                                        : 0;
    if (o->caller.console_socket) {
        j->launch.console = console_connect(o->caller.console_socket, e);
        return j->launch.console < 0 ? j->launch.console : 0;
    }
    if (o->caller.detach)
        return error_setf(e, -EINVAL, "--tty: needs --console-socket, as nobody attends to the terminal");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return error_errnof(e, -errno, "terminal");
    j->launch.plain_lines = !isatty(STDOUT_FILENO);
    j->console = pair[0];
    j->launch.console = pair[1];
    return 0;
}

static int prepare(Joining *j, const Container *c, Config *config, const ExecOptions *o, Error *e)
{
    int r;

    if (c->status == STATUS_PAUSED && !o->ignore_paused)
        return error_setf(e, -EINVAL, "container \"%s\": cannot exec in a paused container (see --ignore-paused)",
                          c->state.id);
    if (c->status != STATUS_RUNNING && c->status != STATUS_CREATED && c->status != STATUS_PAUSED)
        return error_setf(e, -EINVAL, "cannot exec in container \"%s\": container not running: it is %s", c->state.id,
                          status_names[c->status]);
    if ((r = process_labels_check(o->process, NULL, e)) < 0)
        return r;
    if ((r = filter_of(config, &j->launch.filter, e)) < 0)
        return r;
    j->first = state_pidfd(&c->state);
    if (j->first < 0)
        return error_setf(e, -ESRCH, "container \"%s\": container not running", c->state.id);
    if (!config_new(config, NS_MOUNT) && (j->root = open_root(c->state.pid)) < 0)
        return error_errnof(e, j->root, "container \"%s\": root", c->state.id);
    j->cgroup = open_cgroup(c, o, e);
    if (j->cgroup < 0 && j->cgroup != -EBADF)
        return j->cgroup;
    container_check_caps(config, o->process, &o->caller.warner);
    j->launch.config = config;
    o->process->keep_groups = config->process.keep_groups;
    j->launch.process = o->process;
    j->launch.process_at = "process.capabilities";
    j->launch.state = c->state;
    j->launch.preserve_fds = o->caller.preserve_fds;
    j->launch.before_filter = o->before_filter;
    j->launch.userdata = o->userdata;
    return open_console(j, o, e);
}

/* Labels for the program are set before anything of the container can be met; they pass to the child. */
static int label(const Joining *j, Error *e)
{
    _cleanup_close_ int procfs = -EBADF;

    if (!j->launch.process->apparmor && !j->launch.process->selinux)
        return 0;
    procfs = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return procfs < 0 ? error_errnof(e, -errno, "/proc") : process_labels(j->launch.process, procfs, e);
}

static int run_initially(const ConfigProcess *p, Error *e)
{
    const char *cpus = p->initial_cpus;

    return cpus && *cpus ? placement_cpus(cpus, "process.execCPUAffinity.initial", e) : 0;
}

/* A process is born in a cgroup only if its creator may write to what their cgroups have in common. A user who may not can still ask systemd to move it there. */
static int make_process(Joining *j, const Container *c, SpawnSpec *spec, Error *e)
{
    Error why = {};
    int r = spawn(spec, &j->child, &why);

    if (r != -EACCES || !c->group.unit)
        return r < 0 ? error_setf(e, r, "%s", why.text) : 0;
    spec->cgroup = -EBADF;
    r = spawn(spec, &j->child, e);
    return r < 0 ? r : scope_attach(&c->group, j->child.pid, e);
}

static int join(Joining *j, const Container *c, Error *e)
{
    SpawnSpec spec = SPAWN_SPEC_INIT;
    int r;

    spec.join_process = j->first;
    spec.join_flags = flags_to_join(j->launch.config, c->state.pid);
    spec.root = j->root;
    spec.cgroup = j->cgroup;
    spec.orphan = j->orphan;
    spec.keep_fds = 3 + j->launch.preserve_fds;
    spec.keep_fd = j->launch.console;
    spec.child = launch_exec;
    spec.arg = &j->launch;
    if ((r = label(j, e)) < 0 || (r = run_initially(j->launch.process, e)) < 0 ||
        (r = make_process(j, c, &spec, e)) < 0 || (r = container_oom_score(j->child.pid, j->launch.process, e)) < 0 ||
        (r = resctrl_apply(&j->launch.config->rdt, c->state.id, j->child.pid, false, e)) < 0)
        return r;
    container_raise_limits(j->child.pid, j->launch.config, j->launch.process);
    fd_closep(&j->launch.console);
    r = sync_send(j->child.sync, SYNC_GO, j->child.pid);
    return r < 0 ? error_errnof(e, r, "the process in the container") : 0;
}

/* Up to where it waits to execute its program. */
static int await_ready(Joining *j, int *ret_listener, Error *e)
{
    for (;;) {
        _cleanup_close_ int passed = -EBADF;
        SyncMessage m;
        int r = sync_receive_fd(j->child.sync, &m, &passed, e);

        if (r == 0)
            return error_setf(e, -EPIPE, "the process in the container died while it was set up");
        if (r < 0 || m.kind == SYNC_READY)
            return r;
        if (m.kind != SYNC_LISTENER || *ret_listener >= 0)
            return error_setf(e, -EPROTO, "the process in the container said something odd");
        *ret_listener = TAKE_FD(passed);
    }
}

int container_exec(const Container *c, Config *config, const ExecOptions *o, Error *e)
{
    _cleanup_(joining_done) Joining j = JOINING_INIT;
    _cleanup_close_ int master = -EBADF, listener = -EBADF;
    bool at_once = !o->caller.pid_file && !o->caller.pidfd_socket; /* nothing to be done between READY and GO */
    int r, status;

    if (!o->caller.detach && (r = console_block_signals()) < 0)
        return error_errnof(e, r, "signals");
    if ((r = prepare(&j, c, config, o, e)) < 0 || (r = join(&j, c, e)) < 0 ||
        (at_once && (r = sync_send_early_go(j.child.sync, j.child.pid, e)) < 0) ||
        (r = await_ready(&j, &listener, e)) < 0)
        return r;
    if (o->caller.pid_file && (r = container_write_pid_file(o->caller.pid_file, j.child.pid, e)) < 0)
        return r;
    if (o->caller.pidfd_socket && (r = handover_pidfd(o->caller.pidfd_socket, j.child.pidfd, e)) < 0)
        return r;
    r = at_once ? 0 : sync_send(j.child.sync, SYNC_GO, j.child.pid);
    if (r >= 0)
        r = handover_await(j.child.sync, config, &c->state, "running", j.child.pid, e);
    if (r < 0)
        return r;
    if (o->caller.detach) {
        j.child.pid = 0;
        return 0;
    }
    if (j.console >= 0 && (master = console_receive(j.console, e)) < 0)
        return master;
    if ((r = console_attend(master, j.child.pidfd, NULL, e)) < 0)
        return r;
    r = pidfd_wait(j.child.pidfd, UINT64_MAX, &status);
    if (r < 0)
        return error_errnof(e, r, "waiting for the process");
    j.child.pid = 0;
    return wait_status_code(status);
}

int container_exec_watched(const Container *c, Config *config, const ExecOptions *o, Executed *ret, Error *e)
{
    _cleanup_(joining_done) Joining j = JOINING_INIT;
    _cleanup_close_ int listener = -EBADF;
    Executed child;
    SyncMessage m;
    int r;

    j.orphan = o->born != NULL;
    if ((r = prepare(&j, c, config, o, e)) < 0 || (r = join(&j, c, e)) < 0 || (r = await_ready(&j, &listener, e)) < 0)
        return r;
    child = (Executed){j.child.pid, j.child.pidfd, listener};
    if (o->born && (r = o->born(o->userdata, &child, e)) < 0)
        return r;
    r = sync_send(j.child.sync, SYNC_GO, j.child.pid);
    if (r < 0)
        return error_errnof(e, r, "the process in the container");
    r = sync_receive(j.child.sync, &m, e);
    if (r != 0)
        return r < 0 ? r : error_setf(e, -EPROTO, "the process in the container said something odd");
    TAKE_FD(j.child.pidfd);
    TAKE_FD(listener);
    j.child.pid = 0;
    *ret = child;
    return 0;
}
