/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "container.h"
#include "criu.h"
#include "filter.h"
#include "handover.h"
#include "hooks.h"
#include "launch.h"
#include "netdev.h"
#include "notify.h"
#include "resctrl.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/process.h"
#include "runtime/base/strbuf.h"
#include "scope.h"
#include "spawn.h"
#include "sync.h"

/* A container in the making. What creation_done() finds in it is undone. */
typedef struct Creation {
    const Runtime *rt;
    const CreateOptions *options;
    Config *config;
    char *bundle_path, *rootfs_path;
    ConfigProcess init; /* instead of the configuration's: of a container that is kept */
    char created[40];
    int bundle;
    int dir; /* of the state */
    ContainerCgroup group;
    uint64_t root_before; /* the mount where the container's will lie, if it shares our mount namespace */
    Launch launch;
    Spawned child;
    int console; /* our end where the terminal comes to us */
    Relay relay;
    NotifyNames names; /* of its notification socket */
    bool notifies;     /* a service manager waits until it is ready */
    bool made;         /* the state directory is ours to remove */
    bool at_once;      /* the process need not wait between READY and GO */
} Creation;

#define CREATION_INIT                                                                                                  \
    (Creation)                                                                                                         \
    {                                                                                                                  \
        .bundle = -EBADF, .dir = -EBADF, .group = CONTAINER_CGROUP_INIT, .launch = LAUNCH_INIT,                        \
        .child = {.pidfd = -EBADF, .sync = -EBADF}, .console = -EBADF, .relay = RELAY_INIT                             \
    }

static bool mounts_here(const Config *c)
{
    return !c->namespaces[NS_MOUNT].wanted && config_mounts_anything(c);
}

/* What the container's process has mounted here, which its end does not take away. */
static void note_root(Creation *c)
{
    State *state = &c->launch.state;

    if (!mounts_here(c->config))
        return;
    state->root_mount = state_mount(state);
    if (state->root_mount == c->root_before)
        state->root_mount = 0;
}

static void creation_done(Creation *c)
{
    spawned_done(&c->child);
    if (c->made) {
        note_root(c);
        state_release_root(&c->launch.state);
        (void) container_cgroup_remove(&c->group, NULL);
        resctrl_release(&c->config->rdt, c->launch.state.id);
        (void) state_remove(c->rt->root, c->launch.state.id, NULL);
    }
    seccomp_filter_done(&c->launch.filter);
    mounts_done(&c->launch.mounts);
    kept_done(&c->launch.kept);
    fd_closep(&c->launch.start);
    fd_closep(&c->launch.console);
    fd_closep(&c->console);
    relay_done(&c->relay);
    container_cgroup_done(&c->group);
    fd_closep(&c->dir);
    fd_closep(&c->bundle);
    free(c->rootfs_path);
    free(c->bundle_path);
    config_free(c->config);
    free(c->names.source);
    free(c->names.variable);
}

int container_take_fds(unsigned *preserve_fds, Error *e)
{
    unsigned n = MIN(*preserve_fds, 65536U);

    while (n > 0 && fcntl((int) (2 + n), F_GETFD) < 0)
        n--;
    for (int fd = 3; fd < (int) (3 + n); fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY | O_CLOEXEC) != fd)
            return error_errnof(e, -EBADF, "--preserve-fds: file descriptor %d", fd);
    *preserve_fds = n;
    return close_all_but(3 + n, NULL, 0) < 0 ? error_errnof(e, -errno, "cannot close inherited files") : 0;
}

int container_write_pid_file(const char *path, pid_t pid, Error *e)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    _cleanup_free_ char *dir = slash ? xasprintf("%.*s/", (int) (slash - path), path) : NULL;
    _cleanup_close_ int fd = open(dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char text[16];
    int r;

    snprintf(text, sizeof(text), "%d", (int) pid);
    r = fd < 0 ? -errno : file_write_at(fd, name, text, strlen(text), 0644, 0);
    return r < 0 ? error_errnof(e, r, "--pid-file %s", path) : 0;
}

int container_oom_score(pid_t pid, const ConfigProcess *p, Error *e)
{
    _cleanup_close_ int fd = -EBADF;
    char path[40], text[16];

    if (!p->has_oom_score_adj)
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int) pid);
    snprintf(text, sizeof(text), "%d", p->oom_score_adj);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return error_errnof(e, -errno, "process.oomScoreAdj: cannot be set to %d", p->oom_score_adj);
    return 0;
}

void container_raise_limits(pid_t pid, const Config *c, const ConfigProcess *p)
{
    if (!c->namespaces[NS_USER].wanted)
        return;
    for (size_t i = 0; i < p->n_rlimits; i++) {
        __rlimit_resource_t resource = (__rlimit_resource_t) p->rlimits[i].resource;
        struct rlimit now;

        if (prlimit(pid, resource, NULL, &now) < 0 || now.rlim_max >= p->rlimits[i].limit.rlim_max)
            continue;
        now.rlim_max = p->rlimits[i].limit.rlim_max;
        (void) prlimit(pid, resource, &now, NULL);
    }
}

void container_check_caps(const Config *c, const ConfigProcess *p, const Warner *w)
{
    _cleanup_free_ char *lacking = NULL, *text = NULL;

    if (!w->say || caps_lacking(p->capabilities, c->namespaces[NS_USER].wanted, &lacking) < 0 || !lacking)
        return;
    text = xasprintf("process.capabilities: left out, as they are unknown or cannot be given here: %s", lacking);
    if (text)
        w->say(w->userdata, text);
}

/* An absolute path of what fd refers to. */
static char *path_of(int fd)
{
    char link[FD_PATH_MAX], path[4096];
    ssize_t n = readlink(fd_path(fd, link), path, sizeof(path) - 1);

    if (n < 0)
        return NULL;
    path[n] = '\0';
    return strdup(path);
}

static void now_rfc3339(char *buf, size_t size)
{
    struct timespec ts;
    char seconds[CLOCK_UTC_SIZE];

    clock_gettime(CLOCK_REALTIME, &ts);
    clock_utc(ts.tv_sec, seconds);
    snprintf(buf, size, "%s.%09ldZ", seconds, ts.tv_nsec);
}

/* What sd_listen_fds(3) looks for in the environment, unless config.json has it. The strings become part of the document, which owns them. */
static int tell_listen_fds(Config *config, unsigned n, Error *e)
{
    json_t *process = json_object_get(config->doc, "process"), *list = json_object_get(process, "env");
    const char **env = config->process.env;
    char text[32];
    size_t have = 0;

    for (; env && env[have]; have++)
        if (startswith(env[have], "LISTEN_FDS="))
            return 0;
    if (!list)
        json_object_set_new(process, "env", list = json_array());
    snprintf(text, sizeof(text), "LISTEN_FDS=%u", n);
    env = realloc(env, (have + 3) * sizeof(*env));
    if (!env)
        return error_errnof(e, -ENOMEM, "LISTEN_FDS");
    config->process.env = env;
    env[have] = NULL;
    if (json_array_append_new(list, json_string(text)) < 0)
        return error_errnof(e, -ENOMEM, "LISTEN_FDS");
    env[have] = json_string_value(json_array_get(list, json_array_size(list) - 1));
    env[have + 1] = "LISTEN_PID=1";
    env[have + 2] = NULL;
    return 0;
}

static int read_bundle(Creation *c, const char *id, bool starts, Error *e)
{
    const char *bundle = c->options->bundle ? c->options->bundle : ".";
    int r;

    c->bundle = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (c->bundle < 0)
        return error_errnof(e, -errno, "--bundle %s", bundle);
    if (!c->config && (r = config_load(c->bundle, "config.json", &c->config, e)) < 0)
        return error_wrapf(e, r, "bundle %s", bundle);
    if (starts && !c->config->has_process)
        return error_setf(e, -EINVAL, "bundle %s: config.json: process: is missing", bundle);
    if (c->config->has_process && c->options->listen_fds &&
        (r = tell_listen_fds(c->config, c->options->listen_fds, e)) < 0)
        return r;
    c->bundle_path = path_of(c->bundle);
    if (!c->bundle_path)
        return error_errnof(e, -errno, "--bundle %s", bundle);
    c->rootfs_path =
        c->config->root[0] == '/' ? strdup(c->config->root) : xasprintf("%s/%s", c->bundle_path, c->config->root);
    if (!c->rootfs_path)
        return error_errnof(e, -ENOMEM, "--bundle %s", bundle);
    now_rfc3339(c->created, sizeof(c->created));
    c->launch.config = c->config;
    c->launch.process = &c->config->process;
    c->launch.process_at = "process.capabilities";
    c->launch.state = (State){.id = id,
                              .bundle = c->bundle_path,
                              .rootfs = c->rootfs_path,
                              .created = c->created,
                              .version = c->config->version,
                              .annotations = c->config->annotations,
                              .owner = geteuid()};
    return process_labels_check(&c->config->process, c->config->mount_label, e);
}

/* Who gets the terminal: whoever listens at --console-socket, or we. */
static int open_console(Creation *c, bool attended, Error *e)
{
    const char *path = c->options->caller.console_socket;
    int pair[2];

    if (!c->config->process.terminal)
        return path ? error_setf(e, -EINVAL, "--console-socket: process.terminal is not set in config.json") : 0;
    if (path) {
        c->launch.console = console_connect(path, e);
        return c->launch.console < 0 ? c->launch.console : 0;
    }
    if (!attended)
        return error_setf(e, -EINVAL, "process.terminal: needs --console-socket, as nobody attends to the terminal");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return error_errnof(e, -errno, "terminal");
    c->launch.plain_lines = !isatty(STDOUT_FILENO);
    c->console = pair[0];
    c->launch.console = pair[1];
    return 0;
}

/* The container's first process is moss-init. */
static int keep_agent(Creation *c, Error *e)
{
    bool cgroup = c->group.fd >= 0 || (c->options->systemd && !c->options->no_cgroup); /* systemd's comes later */
    int r = kept_check(c->config, &c->launch.filter, c->options->caller.preserve_fds, cgroup, e);

    if (r >= 0)
        r = kept_open(c->dir, c->rt->self, &c->launch.kept, e);
    if (r < 0)
        return r;
    c->init = kept_process(&c->config->process);
    c->launch.process = &c->init;
    return 0;
}

/* The socket that a created container waits at: in the state directory, which only the owner can reach. */
static int open_start_socket(Creation *c, Error *e)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    if (fd < 0)
        return error_errnof(e, -errno, "start socket");
    snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/start", c->dir);
    if (bind(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0 || listen(fd, 4) < 0)
        return error_errnof(e, -errno, "start socket");
    c->launch.start = TAKE_FD(fd);
    return 0;
}

static void warn_of_others(const Creation *c)
{
    const Warner *w = &c->options->caller.warner;
    _cleanup_free_ char *text =
        xasprintf("container's cgroup is not empty: limits and the end of the container are for what is in /%s, too",
                  c->group.path);

    if (w->say && text)
        w->say(w->userdata, text);
}

/* systemd makes one only for a process that is there. */
static int make_cgroup(Creation *c, Error *e)
{
    const char *id = c->launch.state.id;
    int r = c->options->no_cgroup ? 0
            : c->options->systemd ? scope_make(c->config, id, c->dir, c->child.pid, &c->group, e)
                                  : container_cgroup_make(c->config, id, &c->group, e);

    c->launch.state.cgroup = c->group.path;
    c->launch.state.unit = c->group.unit;
    if (c->group.shared)
        warn_of_others(c);
    return r;
}

static int limit_cgroup(const Creation *c, Error *e)
{
    _cleanup_json_ json_t *limits = c->options->no_cgroup ? json_copy(c->config->resources) : NULL;
    int r;

    if (c->options->no_cgroup) {
        json_object_del(limits, "devices"); /* every engine has some; limits are refused */
        return resources_apply(&c->group, limits, e);
    }
    r = resources_apply(&c->group, c->config->resources, e);
    return r < 0 ? r : container_cgroup_delegate(&c->group, c->config, e);
}

static int prepare(Creation *c, const char *id, bool attended, Error *e)
{
    int r;

    if ((r = container_id_check(id, e)) < 0 || (r = read_bundle(c, id, attended, e)) < 0 ||
        (r = open_console(c, attended, e)) < 0 || (r = filter_of(c->config, &c->launch.filter, e)) < 0)
        return r;
    c->at_once = c->at_once && !c->launch.filter.notify; /* it waits for who is to answer */
    c->dir = state_create(c->rt->root, id, e);
    if (c->dir < 0)
        return c->dir;
    if (mounts_here(c->config))
        c->root_before = state_mount(&c->launch.state);
    c->made = true;
    if ((r = file_write_at(c->dir, "config.json", c->config->text, strlen(c->config->text), 0600, 0)) < 0)
        return error_errnof(e, r, "state of container \"%s\"", id);
    if ((!c->options->systemd && (r = make_cgroup(c, e)) < 0) || (!attended && (r = open_start_socket(c, e)) < 0))
        return r;
    if (kept_agent(c->config) && (r = keep_agent(c, e)) < 0)
        return r;
    if (c->notifies && (r = notify_prepare(c->config, c->dir, c->rt->notify_socket, &c->names, e)) < 0)
        return r;
    c->launch.preserve_fds = c->options->caller.preserve_fds;
    c->launch.new_keyring = !c->options->keep_keyring;
    c->launch.no_pivot = c->options->no_pivot;
    r = mounts_init(&c->launch.mounts, c->config, openat(c->bundle, ".", O_PATH | O_DIRECTORY | O_CLOEXEC), e);
    /* The container's root may be no one who can reach the sources, so we reach them for it, if we may. */
    if (r >= 0)
        r = mounts_open_idmaps(&c->launch.mounts, e);
    if (r >= 0 && c->config->namespaces[NS_USER].wanted && geteuid() == 0 &&
        (r = devices_make(&c->launch.mounts, e)) >= 0)
        r = mounts_open_sources(&c->launch.mounts, false, e);
    return r;
}

static int open_namespaces(const Config *config, SpawnSpec *spec, Error *e)
{
    for (unsigned k = 0; k < NS_MAX; k++) {
        const ConfigNamespace *n = &config->namespaces[k];

        if (n->wanted && !n->path)
            spec->new_namespaces |= namespace_flags[k];
        if (!n->path)
            continue;
        spec->join[k] = open(n->path, O_RDONLY | O_CLOEXEC);
        if (spec->join[k] < 0)
            return error_errnof(e, -errno, "linux.namespaces: %s: %s", namespace_names[k], n->path);
        if (ioctl(spec->join[k], NS_GET_NSTYPE) != (int) namespace_flags[k])
            return error_setf(e, -EINVAL, "linux.namespaces: %s: %s is no such namespace", namespace_names[k], n->path);
    }
    return 0;
}

static int make_process(Creation *c, Error *e)
{
    SpawnSpec spec = SPAWN_SPEC_INIT;
    int r;

    spec.cgroup = c->group.fd;
    spec.maps = config_new(c->config, NS_USER) ? c->config : NULL;
    spec.time_offsets = c->config->time_offsets;
    spec.child = launch_init;
    spec.arg = &c->launch;
    r = open_namespaces(c->config, &spec, e);
    if (c->options->systemd &&
        config_new(c->config, NS_CGROUP)) { /* it would show the cgroup that the child is born in */
        spec.new_namespaces &= ~(uint64_t) CLONE_NEWCGROUP;
        c->launch.new_cgroup = true;
    }
    if (r >= 0)
        r = spawn(&spec, &c->child, e);
    for (unsigned k = 0; k < NS_MAX; k++)
        fd_closep(&spec.join[k]);
    fd_closep(&c->launch.console); /* the child's now */
    fd_closep(&c->launch.start);
    kept_done(&c->launch.kept);
    mounts_close_sources(&c->launch.mounts);
    c->launch.state.pid = c->child.pid;
    return r;
}

/* What only the runtime can do for the process, now that it is there. */
static int supply(Creation *c, Error *e)
{
    const Config *config = c->config;
    int r = container_oom_score(c->child.pid, &config->process, e);

    container_raise_limits(c->child.pid, config, &config->process);
    if (r >= 0 && config->n_net_devices)
        r = netdev_move(config->net_devices, config->n_net_devices, c->child.pid, e);
    return r < 0 ? r : resctrl_apply(&config->rdt, c->launch.state.id, c->child.pid, true, e);
}

/* Why the other end went silent. */
static int explain_death(Creation *c, Error *e)
{
    int status;

    if (pidfd_wait(c->child.pidfd, clock_now() + USEC_PER_SEC, &status) < 0)
        return error_setf(e, -EPIPE, "the container's process went silent while it was set up");
    c->child.pid = 0; /* reaped */
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return error_setf(e, -EPIPE,
                          "the container's process was killed while it was set up: is its memory limit too low?");
    return error_setf(e, -EPIPE, "the container's process ended while it was set up (status %d)",
                      wait_status_code(status));
}

static int expect(Creation *c, SyncKind kind, Error *e)
{
    SyncMessage m;
    int r = sync_receive(c->child.sync, &m, e);

    if (r == 0)
        return explain_death(c, e);
    if (r < 0)
        return r;
    return m.kind == kind ? 0 : error_setf(e, -EPROTO, "the container's process said something odd");
}

static int go(Creation *c, Error *e)
{
    int r = sync_send(c->child.sync, SYNC_GO, c->child.pid);

    return r == -EPIPE ? explain_death(c, e) : r;
}

/* The process is all but its program. Its listener, if it has one, comes before that. */
static int await_ready(Creation *c, Error *e)
{
    for (;;) {
        _cleanup_close_ int listener = -EBADF;
        SyncMessage m;
        int r = sync_receive_fd(c->child.sync, &m, &listener, e);

        if (r == 0)
            return explain_death(c, e);
        if (r < 0 || m.kind == SYNC_READY)
            return r < 0 ? r : 0;
        if (m.kind != SYNC_LISTENER || listener < 0)
            return error_setf(e, -EPROTO, "the container's process said something odd");
        r = handover_listener(c->config, &c->launch.state, "creating", c->child.pid, listener, e);
        if (r < 0 || (r = go(c, e)) < 0)
            return r;
    }
}

static int record(Creation *c, Error *e)
{
    int r = process_start_time(c->child.pid, &c->launch.state.start_time, NULL);

    return r < 0 ? error_errnof(e, r, "the container's process") : state_save(c->dir, &c->launch.state, e);
}

/* What fails on our side while the process sets itself up may do so because that has ended: systemd removes a scope when it is empty. Then the
 * process's own words are the cause. */
static int ask_first(Creation *c, int code, Error *e)
{
    struct pollfd p = {.fd = c->child.sync, .events = POLLIN};
    Error theirs = {};
    SyncMessage m;
    int r;

    if (poll(&p, 1, 0) <= 0)
        return code;
    r = sync_receive(c->child.sync, &m, &theirs);
    if (r == 0)
        return explain_death(c, e);
    return r < 0 ? error_setf(e, r, "%s", theirs.text) : code;
}

/* Up to the point where the process is all but its program. */
static int build(Creation *c, Error *e)
{
    const State *state = &c->launch.state;
    int r;

    if ((r = make_process(c, e)) < 0 || (c->options->systemd && (r = make_cgroup(c, e)) < 0) ||
        (r = supply(c, e)) < 0 || (r = go(c, e)) < 0)
        return r;
    /* The process sets itself up meanwhile. What is not ours, hooks and program, runs after another GO. */
    if ((r = record(c, e)) < 0 || (r = limit_cgroup(c, e)) < 0)
        return ask_first(c, r, e);
    container_check_caps(c->config, &c->config->process, &c->options->caller.warner);
    if (launch_has_hooks(c->config)) {
        if ((r = expect(c, SYNC_RUNTIME_HOOKS, e)) < 0 ||
            (r = hooks_run(c->config, HOOK_PRESTART, state, "creating", e)) < 0 ||
            (r = hooks_run(c->config, HOOK_CREATE_RUNTIME, state, "creating", e)) < 0 || (r = go(c, e)) < 0)
            return r;
    }
    if (c->at_once && (r = sync_send_early_go(c->child.sync, c->child.pid, e)) < 0)
        return r;
    r = await_ready(c, e);
    note_root(c);
    if (r >= 0 && state->root_mount)
        r = state_save(c->dir, state, e);
    if (r >= 0 && c->options->caller.pidfd_socket)
        r = handover_pidfd(c->options->caller.pidfd_socket, c->child.pidfd, e);
    if (r < 0)
        return r;
    return c->options->caller.pid_file ? container_write_pid_file(c->options->caller.pid_file, c->child.pid, e) : 0;
}

/* Leaves the container to itself. */
static void let_go(Creation *c)
{
    c->made = false;
    c->child.pid = 0;
}

int container_create(const Runtime *rt, const char *id, const CreateOptions *o, Error *e)
{
    _cleanup_(creation_done) Creation c = CREATION_INIT;
    int r;

    c.rt = rt;
    c.options = o;
    c.config = o->config;
    c.notifies = rt->notify_socket && *rt->notify_socket;
    if ((r = prepare(&c, id, false, e)) < 0 || (r = build(&c, e)) < 0 || (r = go(&c, e)) < 0)
        return r;
    let_go(&c);
    return 0;
}

/* GO, and the end of the stream that says the program runs. */
static int start(Creation *c, Error *e)
{
    int r = c->at_once ? 0 : go(c, e);

    if (r >= 0)
        r = handover_await(c->child.sync, c->config, &c->launch.state, "created", c->child.pid, e);
    if (r >= 0 && kept_agent(c->config))
        r = kept_start(c->config, c->dir, c->rt->self, e);
    if (r < 0)
        return r;
    return hooks_run(c->config, HOOK_POSTSTART, &c->launch.state, "running", e);
}

/* The program has ended or is about to. Returns its exit code. */
static int collect(Creation *c, Error *e)
{
    int status, r = pidfd_wait(c->child.pidfd, UINT64_MAX, &status);

    if (r < 0)
        return error_errnof(e, r, "waiting for the container");
    c->child.pid = 0;
    if (c->options->keep) {
        let_go(c);
        return wait_status_code(status);
    }
    r = container_cgroup_remove(&c->group, e);
    if (r < 0)
        return r;
    resctrl_release(&c->config->rdt, c->launch.state.id);
    state_release_root(&c->launch.state);
    r = state_remove(c->rt->root, c->launch.state.id, e);
    if (r < 0)
        return r;
    c->made = false;
    r = hooks_run(c->config, HOOK_POSTSTOP, &c->launch.state, "stopped", e);
    return r < 0 ? r : wait_status_code(status);
}

static int attend(Creation *c, Error *e)
{
    _cleanup_close_ int master = -EBADF;
    int r;

    if (c->console >= 0) {
        master = console_receive(c->console, e);
        if (master < 0)
            return master;
    }
    fd_closep(&c->child.sync);
    fd_closep(&c->dir); /* with its lock: other commands may come now */
    r = console_attend(master, c->child.pidfd, &c->relay, e);
    return r < 0 ? r : collect(c, e);
}

int container_run(const Runtime *rt, const char *id, const CreateOptions *o, Error *e)
{
    _cleanup_(creation_done) Creation c = CREATION_INIT;
    int r;

    c.rt = rt;
    c.options = o;
    c.config = o->config;
    c.notifies = rt->notify_socket && *rt->notify_socket;
    c.at_once = !o->caller.pid_file && !o->caller.pidfd_socket;
    if (!o->caller.detach && (r = console_block_signals()) < 0)
        return error_errnof(e, r, "signals");
    if ((r = prepare(&c, id, true, e)) < 0)
        return r;
    if (o->caller.detach && c.console >= 0)
        return error_setf(e, -EINVAL, "process.terminal: needs --console-socket, as nobody attends to the terminal");
    if ((r = relay_open(c.dir, rt->notify_socket, &c.launch.state, &c.relay, e)) < 0)
        return r;
    c.relay.attended = !o->caller.detach;
    if ((r = build(&c, e)) < 0 || (r = start(&c, e)) < 0)
        return r;
    if (!o->caller.detach)
        return attend(&c, e);
    let_go(&c);
    fd_closep(&c.dir); /* with its lock */
    return relay_await(&c.relay, c.child.pidfd, e);
}

/* criu makes the process in place of spawn(); it runs when it is there. */
static int revive(Creation *c, const CriuOptions *criu, Error *e)
{
    State *state = &c->launch.state;
    pid_t pid = criu_restore(criu, c->config, state, e);
    int r;

    if (pid < 0)
        return pid;
    c->child.pidfd = pidfd_open_cloexec(pid);
    if (c->child.pidfd < 0)
        return error_errnof(e, c->child.pidfd, "criu: the restored process");
    state->pid = c->child.pid = pid;
    r = process_start_time(pid, &state->start_time, NULL);
    if (r < 0)
        return error_errnof(e, r, "criu: the restored process");
    if ((c->options->systemd && ((r = make_cgroup(c, e)) < 0 || (r = limit_cgroup(c, e)) < 0)) ||
        (r = state_save(c->dir, state, e)) < 0)
        return r;
    r = c->options->caller.pid_file ? container_write_pid_file(c->options->caller.pid_file, pid, e) : 0;
    return r < 0 ? r : hooks_run(c->config, HOOK_POSTSTART, state, "running", e);
}

int container_restore(const Runtime *rt, const char *id, const CreateOptions *o, const CriuOptions *criu, Error *e)
{
    _cleanup_(creation_done) Creation c = CREATION_INIT;
    int r;

    c.rt = rt;
    c.options = o;
    if (!o->caller.detach && (r = console_block_signals()) < 0)
        return error_errnof(e, r, "signals");
    if ((r = prepare(&c, id, true, e)) < 0 || (r = criu_check(criu, c.config, e)) < 0 ||
        (!o->systemd && (r = limit_cgroup(&c, e)) < 0) || (r = revive(&c, criu, e)) < 0)
        return r;
    if (!o->caller.detach)
        return attend(&c, e);
    let_go(&c);
    return 0;
}
