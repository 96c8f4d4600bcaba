/* SPDX-License-Identifier: Apache-2.0 */
#include "socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "fd.h"

int socket_send_fd(int sock, const void *data, size_t len, int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {};
    struct iovec iov = {.iov_base = (void *) data, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (fd >= 0) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control);
        control.header =
            (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    }
    for (;;) {
        if (sendmsg(sock, &msg, MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

ssize_t socket_receive_fd(int sock, void *buf, size_t size, int *ret_fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {};
    struct iovec iov = {.iov_base = buf, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    _cleanup_close_ int fd = -EBADF;
    struct cmsghdr *c;
    ssize_t n;

    do
        n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    c = CMSG_FIRSTHDR(&msg);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    if (msg.msg_flags & MSG_TRUNC)
        return -EMSGSIZE;
    *ret_fd = TAKE_FD(fd);
    return n;
}

/* Through /proc/self/fd, so that the length of the directory's path does not matter. */
static int address_at(int dirfd, const char *name, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strchr(name, '/'))
        return -EINVAL;
    if (snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dirfd, name) >=
        (int) sizeof(ret->sun_path))
        return -ENAMETOOLONG;
    return 0;
}

/* A socket, and the address of `name` for it. */
static int socket_at(int dirfd, const char *name, int type, struct sockaddr_un *ret_address)
{
    int r = address_at(dirfd, name, ret_address), fd;

    if (r < 0)
        return r;
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* In place of what has that name. */
static int bind_at(int fd, int dirfd, const char *name, const struct sockaddr_un *sa, mode_t mode)
{
    if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
        return -errno;
    if (fchmod(fd, mode) < 0) /* of a socket: the mode its name gets in bind(2) */
        return -errno;
    return bind(fd, (const struct sockaddr *) sa, sizeof(*sa)) < 0 ? -errno : 0;
}

int socket_listen_at(int dirfd, const char *name)
{
    struct sockaddr_un sa;
    _cleanup_close_ int fd = socket_at(dirfd, name, SOCK_SEQPACKET, &sa);
    int r = fd < 0 ? fd : bind_at(fd, dirfd, name, &sa, 0600);

    if (r < 0)
        return r;
    return listen(fd, 16) < 0 ? -errno : TAKE_FD(fd);
}

int socket_receive_at(int dirfd, const char *name)
{
    struct sockaddr_un sa;
    _cleanup_close_ int fd = socket_at(dirfd, name, SOCK_DGRAM, &sa);
    mode_t mask;
    int r, on = 1;

    if (fd < 0)
        return fd;
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
        return -errno;
    mask = umask(0);
    r = bind_at(fd, dirfd, name, &sa, 0666);
    umask(mask);
    return r < 0 ? r : TAKE_FD(fd);
}

int socket_connect_at(int dirfd, const char *name)
{
    struct sockaddr_un sa;
    _cleanup_close_ int fd = socket_at(dirfd, name, SOCK_SEQPACKET, &sa);

    if (fd < 0)
        return fd;
    return connect(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0 ? -errno : TAKE_FD(fd);
}

int socket_connect_stream(const char *path)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *dir = slash ? strndup(path, (size_t) (slash - path) + 1) : strdup(".");
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), at = -EBADF;
    struct sockaddr_un sa;
    int r;

    if (fd < 0 || !dir)
        return fd < 0 ? -errno : -ENOMEM;
    at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return -errno;
    r = address_at(at, slash ? slash + 1 : path, &sa);
    if (r < 0)
        return r;
    return connect(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0 ? -errno : TAKE_FD(fd);
}

int socket_peer_uid(int sock, uid_t *ret)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return -errno;
    *ret = cred.uid;
    return 0;
}
