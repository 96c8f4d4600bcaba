/* SPDX-License-Identifier: Apache-2.0 */
#include "container.h"

#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "container_child.h"
#include "engine.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/hash.h"
#include "runtime/base/process.h"
#include "runtime/base/socket.h"
#include "runtime/box/cgroup.h"
#include "runtime/box/userns.h"
#include "runtime/oci/kept-container.h"
#include "runtime/oci/kept.h"
#include "shim/init/protocol.h"
#include "veth.h"

#define INIT_SOCKET "init.sock"
#define ANSWER_TIMEOUT (5 * USEC_PER_SEC)
#define HELPER_STACK 16384U
#define PROCS_MAX ((size_t) 4 << 20) /* bytes of cgroup.procs */

Container *container_free(Container *c)
{
    if (c) {
        loop_cancel(&c->end_source);
        loop_cancel(&c->init_source);
        loop_cancel(&c->signal_timer);
        kept_container_free(c->engine);
        fd_closep(&c->pidfd);
        fd_closep(&c->init);
        fd_closep(&c->userns);
        fd_closep(&c->netns);
        fd_closep(&c->cgroup);
        fd_closep(&c->cgroup_agent);
        fd_closep(&c->cgroup_probe);
        fd_closep(&c->left);
        free(c);
    }
    return NULL;
}

static Container *container_new(const ContainerSpec *spec, int run_dir)
{
    Container *c = malloc(sizeof(*c));

    if (c) {
        *c = (Container){.network = spec->network,
                         .same_ids = !spec->engine && !process_in_initial_userns(),
                         .pidfd = -EBADF,
                         .run_dir = run_dir,
                         .init = -EBADF,
                         .userns = -EBADF,
                         .netns = -EBADF,
                         .cgroup = -EBADF,
                         .cgroup_agent = -EBADF,
                         .cgroup_probe = -EBADF,
                         .left = -EBADF};
        snprintf(c->name, sizeof(c->name), "%s", spec->name);
    }
    return c;
}

/* ---- creation ---- */

static int open_namespaces(Container *c, Error *e)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) c->pid);
    c->userns = open(path, O_RDONLY | O_CLOEXEC);
    if (c->userns >= 0 && c->network != NETWORK_HOST) {
        snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) c->pid);
        c->netns = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (c->userns < 0 || (c->network != NETWORK_HOST && c->netns < 0))
        return error_errnof(e, -errno, "%s", path);
    return 0;
}

static int make_cgroups(Container *c, Error *e)
{
    _cleanup_close_ int base = cgroup_open_base(e);

    if (base < 0)
        return base;
    c->cgroup = cgroup_make(base, c->name, e);
    if (c->cgroup < 0)
        return c->cgroup;
    c->cgroup_agent = cgroup_make(c->cgroup, "agent", e);
    if (c->cgroup_agent < 0)
        return c->cgroup_agent;
    c->cgroup_probe = cgroup_make(c->cgroup, "probe", e);
    return c->cgroup_probe < 0 ? c->cgroup_probe : 0;
}

int container_clear(Container *c, int *leaf, Error *e)
{
    const char *name = leaf == &c->cgroup_agent ? "agent" : "probe";
    int fd, r = cgroup_remove(c->cgroup, name, e);

    if (r < 0)
        return r;
    fd = cgroup_make(c->cgroup, name, e);
    if (fd < 0)
        return fd;
    fd_closep(leaf);
    *leaf = fd;
    return 0;
}

int container_limit(int leaf, const Agent *agent, Error *e)
{
    char value[32];
    int r = 0;

    if (agent->limit_memory && cgroup_has(leaf, "memory")) {
        snprintf(value, sizeof(value), "%llu", (unsigned long long) agent->limit_memory);
        r = cgroup_set(leaf, "memory.max", value, e);
    }
    if (r >= 0 && agent->limit_processes && cgroup_has(leaf, "pids")) {
        snprintf(value, sizeof(value), "%llu", (unsigned long long) agent->limit_processes);
        r = cgroup_set(leaf, "pids.max", value, e);
    }
    return r;
}

static int birth(Container *c, const ContainerChild *child, Error *e)
{
    _cleanup_close_ int leaf = cgroup_make(c->cgroup, "init", e);
    int pidfd = -EBADF;
    struct clone_args args = {
        .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PIDFD |
                 CLONE_INTO_CGROUP | CLONE_CLEAR_SIGHAND | (child->own_network ? CLONE_NEWNET : 0),
        .pidfd = (uint64_t) (uintptr_t) &pidfd,
        .cgroup = (uint64_t) leaf,
        .exit_signal = SIGCHLD,
    };
    long pid;

    if (leaf < 0)
        return leaf;
    pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        container_child(child);
    if (pid < 0)
        return error_errnof(e, -errno, "clone3");
    c->pid = (pid_t) pid;
    c->pidfd = pidfd;
    return 0;
}

static int map_ids(Container *c, Error *e)
{
    IdMap map;

    if (c->same_ids)
        return userns_map_same(c->pid, e);
    c->base = userns_range(c->pid);
    map = (IdMap){.inside = 0, .outside = c->base, .count = USERNS_IDS};
    return userns_map(c->pid, &map, 1, &map, 1, e);
}

/* Lets the child go on and hears how it went: the end of the channel means that moss-init runs. */
static int let_go(int channel, Error *e)
{
    Error theirs = {};
    ssize_t n;

    if (write(channel, "", 1) != 1)
        return error_errnof(e, -errno, "the container's first process has died");
    n = fd_read_full(channel, &theirs, sizeof(theirs));
    if (n == 0)
        return 0;
    if (n != sizeof(theirs))
        return error_setf(e, -EIO, "the container's first process has died");
    return error_setf(e, theirs.code, "%s", theirs.text);
}

static int watch_init(Container *c, Error *e);

static int connect_init(Container *c, Error *e)
{
    int fd = c->engine ? socket_connect_at(kept_container_dir(c->engine), KEPT_SOCKET)
                       : socket_connect_at(c->run_dir, INIT_SOCKET);

    if (fd < 0)
        return error_errnof(e, fd == -ECONNREFUSED ? -ENOENT : fd, "moss-init does not answer");
    loop_cancel(&c->init_source);
    fd_closep(&c->init);
    c->init = fd;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return error_errnof(e, -errno, "moss-init");
    return c->loop ? watch_init(c, e) : 0;
}

static int start(const ContainerSpec *spec, Container *c, Error *e)
{
    _cleanup_close_ int listener = socket_listen_at(c->run_dir, INIT_SOCKET), program = container_seal_init(e),
                        ours = -EBADF, theirs = -EBADF;
    int pair[2], r;

    if (listener < 0)
        return error_errnof(e, listener, INIT_SOCKET);
    if (program < 0)
        return program;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return error_errnof(e, -errno, "socketpair");
    ours = pair[0];
    theirs = pair[1];
    ContainerChild child = {
        ours, theirs, program, listener, spec->hostname, spec->network != NETWORK_HOST, spec->ends_with_us};
    if ((r = birth(c, &child, e)) < 0)
        return r;
    fd_closep(&theirs);
    if ((r = map_ids(c, e)) < 0 || (r = open_namespaces(c, e)) < 0)
        return r;
    if (spec->network == NETWORK_VETH && (r = veth_add(spec->name, spec->address, c->pid, e)) < 0)
        return r;
    r = let_go(ours, e);
    return r < 0 ? r : connect_init(c, e);
}

int container_make(const ContainerSpec *spec, int run_dir, Container **ret, Error *e)
{
    _cleanup_(container_freep) Container *c = container_new(spec, run_dir);
    int r;

    if (!c)
        return -ENOMEM;
    r = container_destroy_name(spec->name, e); /* what an earlier one may have left */
    if (r >= 0)
        r = make_cgroups(c, e);
    if (r >= 0)
        r = start(spec, c, e);
    if (r < 0) {
        (void) container_destroy(c, NULL);
        return error_wrapf(e, r, "container %s", spec->name);
    }
    *ret = TAKE_PTR(c);
    return 0;
}

/* ---- adoption ---- */

static int find_init(const Container *c, pid_t *ret)
{
    _cleanup_close_ int leaf = openat(c->cgroup, "init", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int procs = leaf < 0 ? -EBADF : openat(leaf, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *text = NULL;
    char *end;
    long pid;
    int r;

    if (procs < 0)
        return -ENOENT;
    r = file_read_fd(procs, 4096, &text, NULL);
    if (r < 0)
        return r;
    pid = strtol(text, &end, 10);
    if (pid <= 0 || !streq(end, "\n"))
        return -ENOENT; /* none, or more than moss-init alone */
    *ret = (pid_t) pid;
    return 0;
}

static int read_base(Container *c)
{
    char path[64], buf[128];
    _cleanup_close_ int fd = -EBADF;
    unsigned inside, outside;
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/uid_map", (int) c->pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
    if (n <= 0)
        return -ENOENT;
    buf[n] = '\0';
    if (sscanf(buf, "%u %u", &inside, &outside) != 2 || inside != 0)
        return -ENOENT;
    c->base = outside;
    return 0;
}

int container_adopt(const ContainerSpec *spec, int run_dir, Container **ret, Error *e)
{
    _cleanup_(container_freep) Container *c = container_new(spec, run_dir);
    pid_t again;
    int r;

    if (!c)
        return error_errnof(e, -ENOMEM, "container %s", spec->name);
    if (spec->engine) {
        if ((r = engine_attach(spec->engine, c, e)) < 0 || (r = connect_init(c, e)) < 0)
            return r;
        if (c->userns >= 0 && read_base(c) < 0)
            return error_setf(e, -EOPNOTSUPP, "the container's user namespace has no root");
        *ret = TAKE_PTR(c);
        return 0;
    }
    r = make_cgroups(c, e);
    if (r < 0)
        return r;
    r = find_init(c, &c->pid);
    if (r < 0)
        return error_errnof(e, r, "container %s", spec->name);
    c->pidfd = pidfd_open_cloexec(c->pid);
    if (c->pidfd < 0 || find_init(c, &again) < 0 || again != c->pid || read_base(c) < 0)
        return error_setf(e, -ENOENT, "container %s has just ended", spec->name);
    r = open_namespaces(c, e);
    if (r < 0)
        return r;
    r = connect_init(c, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}

/* ---- talking to moss-init ---- */

static void on_signals(uint32_t events, void *userdata)
{
    Container *c = userdata;

    (void) events;
    while (c->signals) {
        int bit = __builtin_ctzll(c->signals);

        c->signals &= ~(UINT64_C(1) << bit);
        c->hooks.signalled(bit + 1, c->hooks.userdata);
    }
}

/* From the loop: whoever asks moss-init something is in the middle of something else. */
static void note_signal(Container *c, uint32_t sig)
{
    if (!c->loop || sig < 1 || sig > 64)
        return;
    c->signals |= UINT64_C(1) << (sig - 1);
    if (!c->signal_timer)
        (void) loop_timer(c->loop, 0, on_signals, c, &c->signal_timer);
}

/* moss-init drops a connection on which something went wrong; a message that never left is sent on a new one. */
static int tell_init(Container *c, uint32_t op, unsigned tag, int fd)
{
    const InitMessage m = {.op = op, .tag = tag};
    int r = socket_send_fd(c->init, &m, sizeof(m), fd);

    if (r != -EPIPE && r != -ECONNRESET)
        return r;
    r = connect_init(c, NULL);
    return r < 0 ? r : socket_send_fd(c->init, &m, sizeof(m), fd);
}

static int hear_init(Container *c, InitMessage *ret, int *ret_fd)
{
    struct pollfd p = {.fd = c->init, .events = POLLIN};

    for (;;) {
        ssize_t n;

        if (poll(&p, 1, (int) (ANSWER_TIMEOUT / USEC_PER_MSEC)) <= 0)
            return -ETIMEDOUT;
        n = socket_receive_fd(c->init, ret, sizeof(*ret), ret_fd);
        if (n != (ssize_t) sizeof(*ret))
            return n < 0 ? (int) n : n == 0 ? -ECONNRESET : -EIO;
        if (ret->op != INIT_SIGNAL)
            return 0;
        note_signal(c, ret->tag); /* it said that by itself */
    }
}

int container_name(const char *what, const char *agent, int agent_dir, char ret[static 64], Error *e)
{
    char digest[DIGEST_SIZE];
    uint64_t id[2];
    struct stat st;

    if (fstat(agent_dir, &st) < 0)
        return error_errnof(e, -errno, "directory of agent %s", agent);
    id[0] = st.st_dev;
    id[1] = st.st_ino;
    hash_buffer(id, sizeof(id), digest);
    snprintf(ret, 64, "%s-%.32s-%.8s", what, agent, digest);
    return 0;
}

bool container_exists(const char *name)
{
    _cleanup_close_ int base = cgroup_open_base(NULL);

    return base >= 0 && faccessat(base, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int container_destroy_name(const char *name, Error *e)
{
    _cleanup_close_ int base = cgroup_open_base(e);

    if (base < 0)
        return base;
    veth_remove(name);
    return cgroup_remove(base, name, e);
}

int container_destroy(Container *c, Error *e)
{
    int r;

    if (c->engine) {
        engine_forget(c->run_dir);
        return tell_init(c, INIT_LEAVE, 0, -EBADF);
    }
    r = container_destroy_name(c->name, e);

    if (c->pid > 0)
        (void) waitpid(c->pid, NULL, WNOHANG);
    (void) unlinkat(c->run_dir, INIT_SOCKET, 0);
    return r;
}

/* ---- what moss-init keeps ---- */

int container_keep(Container *c, unsigned tag, int fd)
{
    InitMessage m;
    _cleanup_close_ int none = -EBADF;
    int r = tell_init(c, fd >= 0 ? INIT_KEEP : INIT_FORGET, tag, fd);

    if (r < 0 || fd >= 0)
        return r;
    r = hear_init(c, &m, &none);
    return r < 0 ? r : m.op == INIT_END ? 0 : -EIO;
}

int container_kept(Container *c, void (*take)(unsigned tag, int fd, void *userdata), void *userdata)
{
    InitMessage m;
    int r = tell_init(c, INIT_GIVE, 0, -EBADF);

    while (r >= 0) {
        int fd = -EBADF;

        r = hear_init(c, &m, &fd);
        if (r >= 0 && m.op == INIT_END)
            break;
        if (r >= 0 && fd >= 0)
            take(m.tag, fd, userdata);
    }
    return r;
}

int container_exit_status(Container *c, int *ret)
{
    _cleanup_close_ int fd = -EBADF;
    InitMessage m;
    int r = tell_init(c, INIT_ASK, 0, -EBADF);

    if (r >= 0)
        r = hear_init(c, &m, &fd);
    if (r < 0)
        return r;
    if (m.op != INIT_EXITED)
        return -ENODATA;
    *ret = (int) m.tag;
    return 0;
}

/* ---- what happens to it ---- */

static void on_init(uint32_t events, void *userdata)
{
    Container *c = userdata;

    (void) events;
    for (;;) {
        _cleanup_close_ int fd = -EBADF;
        InitMessage m;
        ssize_t n = socket_receive_fd(c->init, &m, sizeof(m), &fd);

        if (n == -EAGAIN)
            return;
        if (n != (ssize_t) sizeof(m)) {
            loop_cancel(&c->init_source);
            (void) connect_init(c, NULL);
            return;
        }
        if (m.op == INIT_SIGNAL)
            note_signal(c, m.tag);
    }
}

static int watch_init(Container *c, Error *e)
{
    int r = loop_watch(c->loop, c->init, EPOLLIN, on_init, c, &c->init_source);

    return r < 0 ? error_errnof(e, r, "moss-init") : 0;
}

static void on_end(uint32_t events, void *userdata)
{
    Container *c = userdata;

    (void) events;
    loop_cancel(&c->end_source);
    loop_cancel(&c->init_source);
    c->hooks.ended(c->hooks.userdata);
}

int container_watch(Container *c, Loop *loop, const ContainerHooks *hooks)
{
    int r;

    c->hooks = *hooks;
    c->loop = loop;
    r = loop_watch(loop, c->pidfd, EPOLLIN, on_end, c, &c->end_source);
    return r < 0 ? r : watch_init(c, NULL);
}

bool container_frozen(const Container *c)
{
    uint64_t frozen;

    return cgroup_get(c->cgroup, "cgroup.events", "frozen", &frozen) >= 0 && frozen == 1;
}

bool container_is_agent(const Container *c, pid_t pid)
{
    _cleanup_close_ int fd = openat(c->cgroup_agent, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *text = NULL;
    char *p, *end;

    if (fd < 0 || file_read_fd(fd, PROCS_MAX, &text, NULL) < 0)
        return false;
    for (p = text; *p; p = end) {
        long found = strtol(p, &end, 10);

        if (end == p)
            break;
        if (found == pid)
            return true;
    }
    return false;
}

typedef struct SocketOf {
    int netns, domain, type;
    int fd; /* or -errno */
} SocketOf;

static int make_socket(void *userdata)
{
    SocketOf *of = userdata;

    of->fd = setns(of->netns, CLONE_NEWNET) < 0 ? -1 : socket(of->domain, of->type | SOCK_CLOEXEC, 0);
    if (of->fd < 0)
        of->fd = -errno;
    return 0;
}

/* By a helper that has our memory and our fds: who is root of a user namespace alone may enter the container's network and not come back to the host's. */
int container_socket(const Container *c, int domain, int type)
{
    SocketOf of = {c->netns, domain, type, -EIO};
    _Alignas(16) char stack[HELPER_STACK];
    pid_t pid;

    if (c->netns < 0) {
        int fd = socket(domain, type | SOCK_CLOEXEC, 0);

        return fd < 0 ? -errno : fd;
    }
    pid = clone(make_socket, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &of);
    if (pid < 0)
        return -errno;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return of.fd;
}
