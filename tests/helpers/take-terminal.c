/* SPDX-License-Identifier: Apache-2.0 */
/* take-terminal SOCKET: listens as a container engine does for --console-socket, takes one terminal, prints what the container writes to it until its end. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int take(int connection)
{
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {};
    char name[64];
    struct iovec iov = {name, sizeof(name)};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf)};
    struct cmsghdr *c;
    int fd = -1;

    if (recvmsg(connection, &m, MSG_CMSG_CLOEXEC) <= 0)
        return -1;
    c = CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

int main(int argc, char **argv)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), terminal;
    char buf[4096];
    ssize_t n;

    if (argc != 2 || listener < 0 || strlen(argv[1]) >= sizeof(sa.sun_path))
        return 2;
    memcpy(sa.sun_path, argv[1], strlen(argv[1]));
    if (bind(listener, (struct sockaddr *) &sa, sizeof(sa)) < 0 || listen(listener, 1) < 0)
        return 1;
    terminal = take(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    if (terminal < 0)
        return 1;
    while ((n = read(terminal, buf, sizeof(buf))) > 0)
        if (write(STDOUT_FILENO, buf, (size_t) n) != n)
            return 1;
    return 0;
}
