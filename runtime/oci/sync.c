/* SPDX-License-Identifier: Apache-2.0 */
#include "sync.h"

#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/socket.h"

int sync_pair(int ret[static 2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0 ? -errno : 0;
}

int sync_send(int fd, SyncKind kind, pid_t pid)
{
    SyncMessage m = {.kind = kind, .pid = pid};

    return socket_send_fd(fd, &m, sizeof(m), -EBADF);
}

int sync_send_early_go(int fd, pid_t pid, Error *e)
{
    int r = sync_send(fd, SYNC_GO, pid);

    return r < 0 && r != -EPIPE ? error_errnof(e, r, "container's set-up") : 0;
}

int sync_send_error(int fd, const Error *e)
{
    SyncMessage m = {.kind = SYNC_ERROR, .error = *e};

    return socket_send_fd(fd, &m, sizeof(m), -EBADF);
}

int sync_send_cloned(int fd, int pidfd)
{
    SyncMessage m = {.kind = SYNC_CLONED};

    return socket_send_fd(fd, &m, sizeof(m), pidfd);
}

int sync_send_listener(int fd, int listener)
{
    SyncMessage m = {.kind = SYNC_LISTENER};

    return socket_send_fd(fd, &m, sizeof(m), listener);
}

int sync_receive_fd(int fd, SyncMessage *ret, int *ret_fd, Error *e)
{
    _cleanup_close_ int passed = -EBADF;
    SyncMessage m;
    ssize_t n = socket_receive_fd(fd, &m, sizeof(m), &passed);

    if (n == -ECONNRESET) /* it left something of ours unread; what it said itself comes behind that */
        n = socket_receive_fd(fd, &m, sizeof(m), &passed);
    if (n == 0 || n == -ECONNRESET)
        return 0;
    if (n != sizeof(m))
        return error_errnof(e, n < 0 ? (int) n : -EBADMSG, "container's set-up");
    m.error.text[sizeof(m.error.text) - 1] = '\0';
    if (m.kind == SYNC_ERROR) {
        int code = m.error.code < 0 ? m.error.code : -EIO;

        return error_setf(e, code, "%s", m.error.text);
    }
    *ret = m;
    *ret_fd = TAKE_FD(passed);
    return 1;
}

int sync_receive(int fd, SyncMessage *ret, Error *e)
{
    _cleanup_close_ int passed = -EBADF;

    return sync_receive_fd(fd, ret, &passed, e);
}

pid_t sync_wait_go(int fd)
{
    SyncMessage m;

    if (sync_receive(fd, &m, NULL) <= 0 || m.kind != SYNC_GO)
        _exit(1);
    return m.pid;
}
