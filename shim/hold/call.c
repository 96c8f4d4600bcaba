/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "epoll.h"
#include "options.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/process.h"

/* ---- sockets ---- */

static int socket_option(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    return getsockopt(fd, level, option, &value, &len) < 0 ? -errno : value;
}

uint64_t socket_cookie(int sock)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);

    return getsockopt(sock, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0 ? 0 : cookie;
}

static void fill_kind(int sock, HoldAddress *a)
{
    a->type = socket_option(sock, SOL_SOCKET, SO_TYPE);
    a->v6only = a->sa.ss_family == AF_INET6 && socket_option(sock, IPPROTO_IPV6, IPV6_V6ONLY) > 0;
}

int socket_address(int sock, HoldAddress *ret)
{
    HoldAddress a = {.len = sizeof(a.sa)};

    if (getsockname(sock, (struct sockaddr *) &a.sa, &a.len) < 0)
        return -errno;
    fill_kind(sock, &a);
    *ret = a;
    return 0;
}

/* ---- the caller ---- */

/* The thread's process: fds belong to that, and older kernels have pidfds for processes only. */
static int process_of(pid_t tid, pid_t *ret, mode_t *ret_umask)
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
    line = strstr(text, "\nUmask:");
    *ret_umask = line ? (mode_t) strtoul(line + strlen("\nUmask:"), NULL, 8) & 0777 : 0777;
    line = strstr(text, "\nTgid:");
    *ret = line ? (pid_t) strtol(line + strlen("\nTgid:"), NULL, 10) : 0;
    return *ret > 0 ? 0 : -ESRCH;
}

int process_fd(pid_t pid, int number)
{
    _cleanup_close_ int pidfd = pidfd_open_cloexec(pid);
    long fd;

    if (pidfd < 0)
        return pidfd;
    fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);
    return fd < 0 ? -errno : (int) fd;
}

/* As getsockname(2) tells it: with the NUL of a path, and nothing behind that. */
static void trim_path(HoldAddress *a)
{
    struct sockaddr_un *un = (void *) &a->sa;
    size_t head = offsetof(struct sockaddr_un, sun_path), n;

    if (a->sa.ss_family != AF_UNIX || a->len <= head || un->sun_path[0] == '\0')
        return;
    n = strnlen(un->sun_path, MIN(a->len - head, sizeof(un->sun_path)));
    memset((char *) &a->sa + head + n, 0, sizeof(a->sa) - head - n);
    a->len = (socklen_t) (head + n + 1);
}

static int read_address(const struct seccomp_notif *n, HoldAddress *ret)
{
    struct iovec to = {.iov_base = &ret->sa, .iov_len = MIN(n->data.args[2], sizeof(ret->sa))};
    struct iovec from = {.iov_base = (void *) (uintptr_t) n->data.args[1], .iov_len = to.iov_len};

    if (n->data.args[2] < sizeof(sa_family_t) || n->data.args[2] > sizeof(ret->sa))
        return -EOPNOTSUPP;
    ret->len = (socklen_t) to.iov_len;
    return process_vm_readv((pid_t) n->pid, &to, 1, &from, 1, 0) == (ssize_t) to.iov_len ? 0 : -EFAULT;
}

static int read_call(const struct seccomp_notif *n, Call *call)
{
    _cleanup_close_ int sock = -EBADF;
    int r = process_of((pid_t) n->pid, &call->pid, &call->umask);

    if (r >= 0 && !call->listens)
        r = read_address(n, &call->address);
    if (r >= 0)
        r = sock = process_fd(call->pid, call->number);
    /* Only now is it sure that the memory and the fd were those of the caller. */
    if (ioctl(call->notify, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id) < 0)
        return -ENOENT;
    if (r < 0)
        return 0; /* the kernel will find the same fault */
    if (call->listens && socket_address(sock, &call->address) < 0)
        return 0;
    fill_kind(sock, &call->address);
    trim_path(&call->address);
    if (!address_held(&call->address.sa, call->address.len, socket_option(sock, SOL_SOCKET, SO_DOMAIN),
                      call->address.type))
        return 0;
    call->cookie = socket_cookie(sock);
    call->sock = TAKE_FD(sock);
    return 0;
}

static int take(int notify, const struct seccomp_notif *n, bool again, Call *ret)
{
    *ret = (Call){.notify = notify,
                  .id = n->id,
                  .again = again,
                  .listens = n->data.nr == SYS_listen,
                  .number = (int) n->data.args[0],
                  .backlog = (int) n->data.args[1],
                  .sock = -EBADF};
    return read_call(n, ret);
}

int call_receive(int notify, HoldPending *pending, Call *ret)
{
    memset(pending, 0, sizeof(*pending)); /* as the kernel wants it, which may know a larger structure than we do */
    if (ioctl(notify, SECCOMP_IOCTL_NOTIF_RECV, pending) < 0)
        return -errno;
    return take(notify, (const void *) pending, false, ret);
}

int call_resume(int notify, const HoldPending *pending, Call *ret)
{
    const struct seccomp_notif *n = (const void *) pending;

    if (n->id == 0 || ioctl(notify, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->id) < 0)
        return -ENOENT;
    return take(notify, n, true, ret);
}

void call_done(Call *call)
{
    fd_closep(&call->sock);
}

int call_answer(const Call *call, int result)
{
    union {
        struct seccomp_notif_resp resp;
        char space[1024];
    } out = {.resp.id = call->id};

    if (result == -EOPNOTSUPP)
        out.resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    else
        out.resp.error = result;
    return ioctl(call->notify, SECCOMP_IOCTL_NOTIF_SEND, &out.resp) < 0 ? -errno : 0;
}

/* ---- another socket in its place ---- */

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

int call_replace(const Call *call, int with)
{
    struct seccomp_notif_addfd addfd = {
        .id = call->id,
        .flags = SECCOMP_ADDFD_FLAG_SETFD,
        .srcfd = (uint32_t) with,
        .newfd = (uint32_t) call->number,
        .newfd_flags = descriptor_flags(call->pid, call->number),
    };

    options_carry(call->sock, with);
    epoll_carry(call->pid, call->number, call->sock, with);
    return ioctl(call->notify, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd) < 0 ? -errno : 0;
}
