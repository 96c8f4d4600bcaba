/* SPDX-License-Identifier: Apache-2.0 */
#include "hold.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "address.h"
#include "inuse.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/process.h"

typedef struct Held {
    int fd; /* < 0: free */
    HoldAddress address;
    bool bound; /* by the present incarnation */
} Held;

struct Hold {
    HoldHooks hooks;
    Held held[HOLD_MAX];
    char trouble[ADDRESS_TEXT_MAX + 80];
};

int hold_new(const HoldHooks *hooks, Hold **ret)
{
    Hold *h = calloc(1, sizeof(*h));

    if (!h)
        return -ENOMEM;
    h->hooks = *hooks;
    for (size_t i = 0; i < HOLD_MAX; i++)
        h->held[i].fd = -EBADF;
    *ret = h;
    return 0;
}

Hold *hold_free(Hold *hold)
{
    if (hold)
        for (size_t i = 0; i < HOLD_MAX; i++)
            fd_closep(&hold->held[i].fd);
    free(hold);
    return NULL;
}

/* ---- the table ---- */

static void give_up(Hold *hold, size_t i)
{
    fd_closep(&hold->held[i].fd);
    hold->hooks.held((unsigned) i, -1, hold->hooks.userdata);
}

void hold_begin(Hold *hold)
{
    for (size_t i = 0; i < HOLD_MAX; i++)
        hold->held[i].bound = false;
    hold->trouble[0] = '\0';
}

void hold_prune(Hold *hold)
{
    for (size_t i = 0; i < HOLD_MAX; i++)
        if (hold->held[i].fd >= 0 && !hold->held[i].bound)
            give_up(hold, i);
}

void hold_clear(Hold *hold)
{
    for (size_t i = 0; i < HOLD_MAX; i++)
        if (hold->held[i].fd >= 0)
            give_up(hold, i);
}

static bool v6only(int fd)
{
    int on = 0;
    socklen_t len = sizeof(on);

    return getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, &len) == 0 && on;
}

void hold_adopt(Hold *hold, unsigned tag, int fd)
{
    HoldAddress a = {.len = sizeof(a.sa)};

    if (tag >= HOLD_MAX || getsockname(fd, (struct sockaddr *) &a.sa, &a.len) < 0) {
        close(fd);
        return;
    }
    a.v6only = v6only(fd);
    fd_closep(&hold->held[tag].fd);
    hold->held[tag] = (Held){fd, a, false};
}

const char *hold_trouble(const Hold *hold)
{
    return hold->trouble;
}

json_t *hold_to_json(const Hold *hold)
{
    json_t *list = json_array();

    for (size_t i = 0; i < HOLD_MAX; i++) {
        char text[ADDRESS_TEXT_MAX];

        if (hold->held[i].fd < 0)
            continue;
        address_format(&hold->held[i].address, text);
        json_array_append_new(list, json_pack("{s:s,s:b}", "address", text, "bound", (int) hold->held[i].bound));
    }
    return list;
}

static Held *find(Hold *hold, const HoldAddress *a)
{
    for (size_t i = 0; i < HOLD_MAX; i++)
        if (hold->held[i].fd >= 0 && address_equal(&hold->held[i].address, a))
            return &hold->held[i];
    return NULL;
}

static Held *find_free(Hold *hold)
{
    for (size_t i = 0; i < HOLD_MAX; i++)
        if (hold->held[i].fd < 0)
            return &hold->held[i];
    return NULL;
}

/* ---- one notification ---- */

typedef struct Call {
    int notify;
    uint64_t id;
    pid_t pid; /* of the process, not of the thread */
    int number;
    int sock; /* our duplicate */
    HoldAddress address;
} Call;

/* The thread's process: fds belong to that, and older kernels have pidfds for processes only. */
static int process_of(pid_t tid, pid_t *ret)
{
    _cleanup_close_ int fd = -EBADF;
    _cleanup_free_ char *text = NULL;
    char path[64];
    const char *line;
    int r;

    snprintf(path, sizeof(path), "/proc/%d/status", (int) tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = file_read_fd(fd, 65536, &text, NULL);
    if (r < 0)
        return r;
    line = strstr(text, "\nTgid:");
    *ret = line ? (pid_t) strtol(line + strlen("\nTgid:"), NULL, 10) : 0;
    return *ret > 0 ? 0 : -ESRCH;
}

static int duplicate(pid_t pid, int number)
{
    _cleanup_close_ int pidfd = pidfd_open_cloexec(pid);
    long fd;

    if (pidfd < 0)
        return pidfd;
    fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);
    return fd < 0 ? -errno : (int) fd;
}

static int socket_option(int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -errno : value;
}

/* Fills `call`; -EOPNOTSUPP: not a bind that we hold. */
static int read_call(const struct seccomp_notif *n, const LandlockPlan *plan, Call *call)
{
    HoldAddress *a = &call->address;
    struct iovec to = {.iov_base = &a->sa, .iov_len = MIN(n->data.args[2], sizeof(a->sa))};
    struct iovec from = {.iov_base = (void *) (uintptr_t) n->data.args[1], .iov_len = to.iov_len};
    int r;

    if (n->data.args[2] < sizeof(sa_family_t) || n->data.args[2] > sizeof(a->sa))
        return -EOPNOTSUPP;
    r = process_of((pid_t) n->pid, &call->pid);
    if (r < 0)
        return r;
    if (process_vm_readv((pid_t) n->pid, &to, 1, &from, 1, 0) != (ssize_t) to.iov_len)
        return -EOPNOTSUPP; /* the kernel will find the same fault */
    a->len = (socklen_t) to.iov_len;
    call->sock = duplicate(call->pid, call->number);
    if (call->sock < 0)
        return call->sock == -ESRCH ? -ESRCH : -EOPNOTSUPP;
    /* Only now is it sure that the memory and the fd were those of the caller. */
    if (ioctl(call->notify, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id) < 0)
        return -ENOENT;
    a->v6only = v6only(call->sock);
    return address_held(&a->sa, a->len, socket_option(call->sock, SO_DOMAIN), socket_option(call->sock, SO_TYPE)) &&
                   address_ours(&a->sa, plan)
               ? 0
               : -EOPNOTSUPP;
}

/* What connections inherit from the listener, and what accept(2) does. */
static void carry_options(int from, int to)
{
    static const int options[][2] = {
        {SOL_SOCKET, SO_KEEPALIVE},      {SOL_SOCKET, SO_OOBINLINE},      {IPPROTO_TCP, TCP_NODELAY},
        {IPPROTO_TCP, TCP_KEEPIDLE},     {IPPROTO_TCP, TCP_KEEPINTVL},    {IPPROTO_TCP, TCP_KEEPCNT},
        {IPPROTO_TCP, TCP_USER_TIMEOUT}, {IPPROTO_TCP, TCP_DEFER_ACCEPT}, {IPPROTO_TCP, TCP_QUICKACK},
    };
    int flags = fcntl(from, F_GETFL), held = fcntl(to, F_GETFL);

    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        int value, old;
        socklen_t len = sizeof(value), old_len = sizeof(old);

        if (getsockopt(from, options[i][0], options[i][1], &value, &len) == 0 &&
            getsockopt(to, options[i][0], options[i][1], &old, &old_len) == 0 && value != old)
            (void) setsockopt(to, options[i][0], options[i][1], &value, sizeof(value));
    }
    if (flags >= 0 && held >= 0)
        (void) fcntl(to, F_SETFL, (held & ~O_NONBLOCK) | (flags & O_NONBLOCK));
}

/* FD_CLOEXEC of the agent's fd: the one flag that a duplicate does not share. */
static unsigned descriptor_flags(pid_t pid, int number)
{
    _cleanup_close_ int fd = -EBADF;
    char path[64], buf[256];
    const char *flags;
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int) pid, number);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
    if (n <= 0)
        return O_CLOEXEC;
    buf[n] = '\0';
    flags = strstr(buf, "flags:");
    return flags ? (unsigned) strtoul(flags + strlen("flags:"), NULL, 8) & O_CLOEXEC : O_CLOEXEC;
}

static int replace(const Call *call, int with)
{
    struct seccomp_notif_addfd addfd = {
        .id = call->id,
        .flags = SECCOMP_ADDFD_FLAG_SETFD,
        .srcfd = (uint32_t) with,
        .newfd = (uint32_t) call->number,
        .newfd_flags = descriptor_flags(call->pid, call->number),
    };

    carry_options(call->sock, with);
    return ioctl(call->notify, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd) < 0 ? -errno : 0;
}

static int bind_first(Hold *hold, Call *call)
{
    Held *held = find_free(hold);

    if (!held)
        return -EOPNOTSUPP;
    if (bind(call->sock, (const struct sockaddr *) &call->address.sa, call->address.len) < 0) {
        int r = -errno;
        char text[ADDRESS_TEXT_MAX];

        address_format(&call->address, text);
        snprintf(hold->trouble, sizeof(hold->trouble), "%s: %s", text, strerror(-r));
        return r;
    }
    *held = (Held){TAKE_FD(call->sock), call->address, true};
    hold->hooks.held((unsigned) (held - hold->held), held->fd, hold->hooks.userdata);
    return 0;
}

/* 0: bound; -EOPNOTSUPP: the kernel's business; other errors are those of the agent's bind(2). */
static int bind_or_replace(Hold *hold, Call *call, int cgroup_agent)
{
    Held *held = find(hold, &call->address);
    int r;

    /* A second bind while the first is in use is the agent's own conflict, and the kernel says so. */
    if (held && held->bound && socket_in_use(held->fd, cgroup_agent))
        return -EOPNOTSUPP;
    r = hold->hooks.handing(hold->hooks.userdata);
    if (r < 0)
        return r;
    if (!held)
        return bind_first(hold, call);
    r = replace(call, held->fd);
    if (r >= 0)
        held->bound = true;
    return r;
}

int hold_handle(Hold *hold, int notify, int cgroup_agent)
{
    /* The kernel may know larger structures than we do. */
    union {
        struct seccomp_notif n;
        char space[1024];
    } in = {};
    union {
        struct seccomp_notif_resp resp;
        char space[1024];
    } out = {};
    Call call = {.notify = notify, .sock = -EBADF};
    int r;

    if (ioctl(notify, SECCOMP_IOCTL_NOTIF_RECV, &in.n) < 0)
        return -errno;
    call.id = in.n.id;
    call.number = (int) in.n.data.args[0];
    r = read_call(&in.n, hold->hooks.landlock, &call);
    if (r >= 0)
        r = bind_or_replace(hold, &call, cgroup_agent);
    fd_closep(&call.sock);
    out.resp.id = call.id;
    if (r == -EOPNOTSUPP)
        out.resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    else
        out.resp.error = r;
    return ioctl(notify, SECCOMP_IOCTL_NOTIF_SEND, &out.resp) < 0 ? -errno : 0;
}
