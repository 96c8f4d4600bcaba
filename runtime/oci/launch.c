/* SPDX-License-Identifier: Apache-2.0 */
#include "launch.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "handover.h"
#include "placement.h"
#include "rootfs.h"
#include "runtime/base/fd.h"
#include "runtime/box/net.h"
#include "spawn.h"
#include "sync.h"

static int new_keyring(const Launch *l, Error *e)
{
    char name[300];

    if (!l->new_keyring)
        return 0;
    snprintf(name, sizeof(name), "_ses.%s", l->state.id);
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) < 0 && errno != ENOSYS)
        return error_errnof(e, -errno, "session keyring (see --no-new-keyring)");
    return 0;
}

/* In a user namespace: be its root, if it has one, while things are set up. */
static int become_root(const Config *c, Error *e)
{
    if (!c->namespaces[NS_USER].wanted)
        return 0;
    if (!c->process.keep_groups && setgroups(0, NULL) < 0 && errno != EPERM)
        return error_errnof(e, -errno, "user namespace: groups");
    if ((setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) && errno != EINVAL)
        return error_errnof(e, -errno, "user namespace: cannot become its root");
    return 0;
}

/* A process of a container may not trace or look into this one while it still holds what is the host's. */
static int harden(Error *e)
{
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? error_errnof(e, -errno, "dumpable") : 0;
}

static void reset_signals(void)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int sig = 1; sig < _NSIG; sig++)
        (void) sigaction(sig, &dfl, NULL);
    sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_names(const Config *c, Error *e)
{
    int r;

    if (c->hostname && sethostname(c->hostname, strlen(c->hostname)) < 0)
        return error_errnof(e, -errno, "hostname \"%s\"", c->hostname);
    if (c->domainname && setdomainname(c->domainname, strlen(c->domainname)) < 0)
        return error_errnof(e, -errno, "domainname \"%s\"", c->domainname);
    if (config_new(c, NS_NETWORK)) {
        r = net_loopback_up(e);
        if (r < 0)
            return r;
    }
    if (c->has_personality && personality(c->personality) < 0)
        return error_errnof(e, -errno, "linux.personality");
    return 0;
}

/* The caller's, in which no container has ever been. */
static int callers_procfs(void)
{
    _cleanup_close_ int fd = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct statfs fs;

    if (fd < 0 || fstatfs(fd, &fs) < 0)
        return -errno;
    return fs.f_type == PROC_SUPER_MAGIC ? TAKE_FD(fd) : -EPERM;
}

/* A procfs that nobody else has ever seen, of this PID namespace; where that is not ours to have one of, as that of the host is not root's of a user namespace, the
 * caller's. */
static int private_procfs(const Config *c, Error *e)
{
    _cleanup_close_ int fs = fsopen("proc", FSOPEN_CLOEXEC);
    int fd;

    if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
        fd = errno == EPERM && !c->namespaces[NS_PID].wanted && config_new(c, NS_MOUNT) ? callers_procfs() : -errno;
        return fd < 0 ? error_errnof(e, fd, "cannot make a procfs") : fd;
    }
    fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    return fd < 0 ? error_errnof(e, -errno, "cannot make a procfs") : fd;
}

/* Which namespace must be the container's own so that a sysctl does not change the host; NS_MAX: there is none such. */
static NamespaceKind sysctl_namespace(const char *path)
{
    static const struct {
        const char *prefix;
        NamespaceKind kind;
    } table[] = {
        {"net/", NS_NETWORK},   {"kernel/msg", NS_IPC},        {"kernel/sem", NS_IPC}, {"kernel/shm", NS_IPC},
        {"fs/mqueue/", NS_IPC}, {"kernel/domainname", NS_UTS}, {"user/", NS_USER},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (startswith(path, table[i].prefix))
            return table[i].kind;
    return NS_MAX;
}

static int write_sysctl(const Config *c, int procfs, const ConfigPair *s, Error *e)
{
    _cleanup_close_ int fd = -EBADF;
    NamespaceKind kind;
    char path[512];

    if (!*s->key || (size_t) snprintf(path, sizeof(path), "sys/%s", s->key) >= sizeof(path))
        return error_setf(e, -EINVAL, "linux.sysctl: \"%s\" is no name of one", s->key);
    if (!strchr(path + 4, '/')) /* a.b.c or, for interfaces with dots in their names, a/b.c/d */
        for (char *p = path + 4; *p; p++)
            if (*p == '.')
                *p = '/';
    if (strstr(path, "/../") || endswith(path, "/.."))
        return error_setf(e, -EINVAL, "linux.sysctl: %s: a name with \"..\" is refused", s->key);
    kind = sysctl_namespace(path + 4);
    if (kind == NS_MAX)
        return error_setf(e, -EINVAL, "linux.sysctl: %s belongs to no namespace: it would change the host", s->key);
    if (!c->namespaces[kind].wanted)
        return error_setf(e, -EINVAL, "linux.sysctl: %s needs a %s namespace of the container's", s->key,
                          namespace_names[kind]);
    fd = openat_beneath(procfs, path, O_WRONLY, 0);
    if (fd < 0)
        return error_errnof(e, fd, "linux.sysctl: %s", s->key);
    if (write(fd, s->value, strlen(s->value)) < 0)
        return error_errnof(e, -errno, "linux.sysctl: %s: \"%s\" is refused", s->key, s->value);
    return 0;
}

/* Everything that is written below /proc. */
static int write_proc(const Launch *l, Error *e)
{
    const Config *c = l->config;
    _cleanup_close_ int procfs = -EBADF;
    int r;

    if (c->n_sysctls == 0 && !l->process->apparmor && !l->process->selinux)
        return 0;
    procfs = private_procfs(c, e);
    if (procfs < 0)
        return procfs;
    for (size_t i = 0; i < c->n_sysctls; i++) {
        r = write_sysctl(c, procfs, &c->sysctls[i], e);
        if (r < 0)
            return r;
    }
    return process_labels(l->process, procfs, e);
}

bool launch_has_hooks(const Config *c)
{
    return c->n_hooks[HOOK_PRESTART] + c->n_hooks[HOOK_CREATE_RUNTIME] + c->n_hooks[HOOK_CREATE_CONTAINER] > 0;
}

static int await_runtime_hooks(const Launch *l, int sync, Error *e)
{
    int r;

    if (!launch_has_hooks(l->config))
        return 0;
    r = sync_send(sync, SYNC_RUNTIME_HOOKS, 0);
    if (r < 0)
        return error_errnof(e, r, "hooks");
    (void) sync_wait_go(sync);
    return 0;
}

/* In a mount namespace that others live in, whose root stays theirs. Where nothing is mounted the root is a plain directory. */
static int enter_shared_root(Launch *l, Error *e)
{
    if (l->mounts.root < 0)
        l->mounts.root = openat(l->mounts.bundle, l->config->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (l->mounts.root < 0 || fchdir(l->mounts.root) < 0 || chroot(".") < 0)
        return error_errnof(e, -errno, "root file system %s", l->config->root);
    return 0;
}

static int enter_root(Launch *l, Error *e)
{
    if (!config_new(l->config, NS_MOUNT))
        return enter_shared_root(l, e);
    return l->no_pivot ? mounts_cover_root(&l->mounts, e) : mounts_enter_root(&l->mounts, e);
}

static int make_cwd(const Launch *l, Error *e)
{
    _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -EBADF;
    char part[PATH_MAX];

    if (root < 0)
        return error_errnof(e, -errno, "/");
    fd = rootfs_open(root, l->process->cwd, ROOTFS_DIRECTORY);
    if (fd == -ELOOP || fd == -EROFS || fd == -EACCES || fd == -EPERM)
        return 0; /* entering it says what is wrong with it */
    if (fd == -ENOTDIR)
        return error_setf(e, fd, "process.cwd: %s is not a directory", rootfs_obstacle(root, l->process->cwd, part));
    return fd < 0 ? error_errnof(e, fd, "process.cwd: cannot make %s", l->process->cwd) : 0;
}

/* The bundle is only missed where something is named relative to it: engines keep theirs from the users of containers. */
static bool needs_bundle(const Config *c)
{
    for (size_t i = 0; i < c->n_mounts; i++)
        if (c->mounts[i].options.bind && c->mounts[i].source[0] != '/')
            return true;
    return c->root[0] != '/';
}

static int set_up_root(Launch *l, int sync, Error *e)
{
    const Config *c = l->config;
    bool mounts = config_mounts_anything(c);
    int r;

    umask(0);
    /* Ours is a copy of the mount that the runtime's fd belongs to, and only what is ours can be mounted elsewhere. */
    fd_closep(&l->mounts.bundle);
    l->mounts.bundle = open(l->state.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (l->mounts.bundle < 0 && (errno != EACCES || needs_bundle(l->config)))
        return error_errnof(e, -errno, "bundle %s: the root of the container's user namespace must be able to reach it",
                            l->state.bundle);
    if (mounts && ((r = mounts_open_root(&l->mounts, e)) < 0 || (r = mounts_open_sources(&l->mounts, true, e)) < 0 ||
                   (r = mounts_attach_root(&l->mounts, e)) < 0 || (r = mounts_apply(&l->mounts, e)) < 0 ||
                   (r = devices_apply(&l->mounts, e)) < 0))
        return r;
    if ((r = await_runtime_hooks(l, sync, e)) < 0 ||
        (r = hooks_run(c, HOOK_CREATE_CONTAINER, &l->state, "creating", e)) < 0 || (r = write_proc(l, e)) < 0)
        return r;
    if (mounts && (r = masks_apply(&l->mounts, e)) < 0)
        return r;
    if (l->process->terminal && mounts &&
        (r = console_setup(l->process, l->mounts.root, l->console, true, l->plain_lines, e)) < 0)
        return r;
    r = enter_root(l, e);
    if (r < 0)
        return r;
    umask(022);
    r = make_cwd(l, e);
    if (r < 0)
        return r;
    return mounts ? mounts_seal(&l->mounts, e) : 0;
}

/* Nothing of the host may still be open when hostile things can be reached: not even the directory of the bundle. */
static int close_host(Launch *l, int sync, Error *e)
{
    const int own[] = {l->start, sync, l->kept.program, l->kept.listener}; /* still needed */

    fd_closep(&l->console);
    mounts_close_sources(&l->mounts);
    fd_closep(&l->mounts.root);
    fd_closep(&l->mounts.bundle);
    return close_all_but(3 + l->preserve_fds, own, ARRAY_SIZE(own)) < 0
               ? error_errnof(e, -errno, "cannot close what is the host's")
               : 0;
}

static int take_identity(Launch *l, char *path, size_t size, Error *e)
{
    int r;

    if ((r = caps_parse(l->process->capabilities, l->process_at, &l->caps, e)) < 0 ||
        (r = process_limits(l->process, e)) < 0 ||
        (l->config->memory_policy.wanted && (r = placement_memory(&l->config->memory_policy, e)) < 0))
        return r;
    process_own_streams(l->process);
    r = process_become(l->process, &l->caps, l->filter.code != NULL, e);
    return r < 0 || l->kept.program >= 0 || !l->process->args ? r : process_find(l->process, path, size, e);
}

/* Waits until it may go on; gives the fd that gets the error of execve, or the end of the stream if it succeeds. */
static int wait_start(Launch *l, int sync)
{
    char c;
    int fd;

    (void) sync_wait_go(sync);
    if (l->start < 0)
        return sync;
    /* Whoever may connect may only start it, so a connection that says nothing changes nothing. */
    for (;;) {
        fd = accept4(l->start, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
            _exit(1);
        if (fd >= 0 && recv(fd, &c, 1, 0) == 1)
            break;
        fd_closep(&fd);
    }
    close(sync);
    fd_closep(&l->start);
    return fd;
}

static _Noreturn void fail(int sync, const Error *e)
{
    (void) sync_send_error(sync, e);
    _exit(e->code == -ENOENT ? 127 : 126);
}

static int confine(Launch *l, int sync, Error *e)
{
    return process_confine(l->process, &l->caps, &l->filter, 3 + l->preserve_fds, sync, e);
}

/* From here on it is the same for both kinds of process. */
static _Noreturn void finish(Launch *l, int sync, bool first)
{
    /* Who is to answer for a container gets to know of it when it is created. */
    bool early = first && l->filter.notify;
    char path[PATH_MAX];
    Error e = {};

    if (close_host(l, sync, &e) < 0 || take_identity(l, path, sizeof(path), &e) < 0 ||
        (l->before_filter && l->before_filter(l->userdata, sync, &e) < 0) || (early && confine(l, sync, &e) < 0))
        fail(sync, &e);
    if (sync_send(sync, SYNC_READY, 0) < 0)
        _exit(1);
    sync = wait_start(l, sync);
    /* The programs of startContainer hooks are the container's own, so they may do what it may. */
    if ((l->kept.program < 0 && !early && confine(l, sync, &e) < 0) ||
        (first && hooks_run(l->config, HOOK_START_CONTAINER, &l->state, "created", &e) < 0))
        fail(sync, &e);
    if (l->kept.program >= 0)
        (void) kept_exec(&l->kept, &l->filter, sync, &e);
    else if (l->process->args)
        (void) process_exec(l->process, path, &e);
    else
        error_setf(&e, -EINVAL, "config.json: process: is missing");
    fail(sync, &e);
}

void launch_init(void *launch, int sync)
{
    Launch *l = launch;
    const Config *c = l->config;
    Error e = {};
    int r = 0;

    reset_signals();
    l->state.pid = sync_wait_go(sync);
    if (l->new_cgroup && unshare(CLONE_NEWCGROUP) < 0)
        r = error_errnof(&e, -errno, "cannot make a cgroup namespace");
    if (r >= 0 && l->new_session && setsid() < 0 && errno != EPERM)
        r = error_errnof(&e, -errno, "session");
    if (r < 0 || become_root(c, &e) < 0 || harden(&e) < 0 || new_keyring(l, &e) < 0 || set_names(c, &e) < 0 ||
        set_up_root(l, sync, &e) < 0)
        fail(sync, &e);
    finish(l, sync, true);
}

/* The runtime has run on the first of the two: it must not stay with that. */
static int set_affinity(const ConfigProcess *p, Error *e)
{
    bool initial = p->initial_cpus && *p->initial_cpus, final = p->final_cpus && *p->final_cpus;

    return initial || final ? placement_cpus(p->final_cpus, "process.execCPUAffinity.final", e) : 0;
}

void launch_exec(void *launch, int sync)
{
    Launch *l = launch;
    _cleanup_close_ int root = -EBADF;
    Error e = {};

    reset_signals();
    (void) setsid();
    (void) sync_wait_go(sync);
    if (become_root(l->config, &e) < 0 || harden(&e) < 0 || new_keyring(l, &e) < 0 || set_affinity(l->process, &e) < 0)
        fail(sync, &e);
    if (l->process->terminal) {
        root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0 || console_setup(l->process, root, l->console, false, l->plain_lines, &e) < 0)
            fail(sync, &e);
        fd_closep(&root);
    }
    finish(l, sync, false);
}

int launch_start(int state_dir, Config *config, const State *state, Error *e)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    if (fd < 0)
        return error_errnof(e, -errno, "start");
    /* a short name for a long path */
    snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/start", state_dir);
    if (connect(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0)
        return error_errnof(e, -errno, "the container does not wait to be started");
    if (send(fd, "s", 1, MSG_NOSIGNAL) < 0)
        return error_errnof(e, -errno, "start");
    return handover_await(fd, config, state, "created", state->pid, e);
}
