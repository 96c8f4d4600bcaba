/* SPDX-License-Identifier: Apache-2.0 */
#include "sync.h"

#include <sys/socket.h>
#include <unistd.h>

int sync_pair(int ret[static 2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0 ? -errno : 0;
}

static int send_message(int fd, const SyncMessage *m)
{
    ssize_t n;

    do
        n = send(fd, m, sizeof(*m), MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

int sync_send(int fd, SyncKind kind, pid_t pid)
{
    SyncMessage m = {.kind = kind, .pid = pid};

    return send_message(fd, &m);
}

int sync_send_error(int fd, const Error *e)
{
    SyncMessage m = {.kind = SYNC_ERROR, .error = *e};

    return send_message(fd, &m);
}

int sync_receive(int fd, SyncMessage *ret, Error *e)
{
    SyncMessage m;
    ssize_t n;

    do
        n = recv(fd, &m, sizeof(m), 0);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return 0;
    if (n != sizeof(m))
        return error_errnof(e, n < 0 ? -errno : -EBADMSG, "container's set-up");
    m.error.text[sizeof(m.error.text) - 1] = '\0';
    if (m.kind == SYNC_ERROR) {
        int code = m.error.code < 0 ? m.error.code : -EIO;

        return error_setf(e, code, "%s", m.error.text);
    }
    *ret = m;
    return 1;
}

pid_t sync_wait_go(int fd)
{
    SyncMessage m;

    if (sync_receive(fd, &m, NULL) <= 0 || m.kind != SYNC_GO)
        _exit(1);
    return m.pid;
}
