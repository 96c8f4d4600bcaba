/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <ctype.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/process.h"

#define PROCS_MAX ((size_t) 1 << 20)

typedef struct Address {
    struct sockaddr_storage sa;
    socklen_t len;
} Address;

/* 4 bytes of IPv4, also where they come within an IPv6 address; NULL: it is none. */
static const uint8_t *ipv4_of(const Address *a)
{
    const struct sockaddr_in *v4 = (const void *) &a->sa;
    const struct sockaddr_in6 *v6 = (const void *) &a->sa;

    if (a->sa.ss_family == AF_INET)
        return (const uint8_t *) &v4->sin_addr;
    return IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) ? v6->sin6_addr.s6_addr + 12 : NULL;
}

static bool inet_serves(const Address *listener, const Address *to)
{
    static const uint8_t any[4];
    const struct sockaddr_in6 *l6 = (const void *) &listener->sa, *t6 = (const void *) &to->sa;
    const uint8_t *l4 = ipv4_of(listener), *t4 = ipv4_of(to);

    /* The port is at the same place in both. */
    if (((const struct sockaddr_in *) (const void *) &listener->sa)->sin_port !=
        ((const struct sockaddr_in *) (const void *) &to->sa)->sin_port)
        return false;
    if (listener->sa.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&l6->sin6_addr))
        return true;
    if (l4 && t4)
        return memcmp(l4, any, sizeof(any)) == 0 || memcmp(l4, t4, sizeof(any)) == 0;
    return !l4 && !t4 && memcmp(&l6->sin6_addr, &t6->sin6_addr, sizeof(l6->sin6_addr)) == 0;
}

static bool serves(const Address *listener, const Address *to)
{
    sa_family_t family = to->sa.ss_family;

    if (family == AF_UNIX) /* an accepted socket has the name of its listener */
        return listener->sa.ss_family == AF_UNIX && listener->len == to->len && to->len > sizeof(sa_family_t) &&
               memcmp(&listener->sa, &to->sa, to->len) == 0;
    return (listener->sa.ss_family == AF_INET || listener->sa.ss_family == AF_INET6) && inet_serves(listener, to);
}

static bool listens_at(int sock, const Address *to)
{
    Address name = {.len = sizeof(name.sa)};
    int listening = 0;
    socklen_t len = sizeof(listening);

    return getsockopt(sock, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening &&
           getsockname(sock, (struct sockaddr *) &name.sa, &name.len) == 0 && serves(&name, to);
}

static bool process_listens(pid_t pid, const void *what)
{
    const Address *to = what;
    _cleanup_close_ int pidfd = pidfd_open_cloexec(pid);
    _cleanup_closedir_ DIR *d = NULL;
    struct dirent *de;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/fd", (int) pid);
    d = pidfd < 0 ? NULL : opendir(path);
    if (!d)
        return false; /* it has just ended */
    while ((de = readdir(d))) {
        _cleanup_close_ int sock = -EBADF;
        char target[16];

        if (!isdigit((unsigned char) de->d_name[0]) || readlinkat(dirfd(d), de->d_name, target, sizeof(target)) < 7 ||
            memcmp(target, "socket:", 7) != 0)
            continue;
        sock = (int) syscall(SYS_pidfd_getfd, pidfd, (int) strtol(de->d_name, NULL, 10), 0);
        if (sock >= 0 && listens_at(sock, to))
            return true;
    }
    return false;
}

/* Does one of the processes of the leaf pass the test? */
static bool any_process(int cgroup, bool (*test)(pid_t pid, const void *what), const void *what)
{
    _cleanup_close_ int procs = openat(cgroup, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *text = NULL;
    char *end;

    if (procs < 0 || file_read_fd(procs, PROCS_MAX, &text, NULL) < 0)
        return false;
    for (const char *p = text; *p; p = end) {
        long pid = strtol(p, &end, 10);

        if (end == p)
            return false;
        if (test((pid_t) pid, what))
            return true;
    }
    return false;
}

bool peer_is_in(int sock, int cgroup)
{
    Address to = {.len = sizeof(to.sa)};

    return getpeername(sock, (struct sockaddr *) &to.sa, &to.len) == 0 && any_process(cgroup, process_listens, &to);
}

static bool is_process(pid_t pid, const void *what)
{
    return pid == *(const pid_t *) what;
}

bool peer_process_is_in(pid_t pid, int cgroup)
{
    return any_process(cgroup, is_process, &pid);
}
