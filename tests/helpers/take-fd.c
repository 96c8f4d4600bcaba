/* SPDX-License-Identifier: Apache-2.0 */
/* take-fd SOCKET: listens as whoever passes --pidfd-socket or linux.seccomp.listenerPath does, for one connection, and prints the message. Of a pidfd it prints the process
 * as /proc/self/fdinfo has it; a seccomp listener it serves to its end: mkdir fails with EXDEV, every other call is let through; it prints each call's number. */
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <errno.h>

static int take(int connection)
{
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {};
    char text[65536];
    struct iovec iov = {text, sizeof(text)};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf)};
    struct cmsghdr *c;
    ssize_t n = recvmsg(connection, &m, MSG_CMSG_CLOEXEC);
    int fd = -1;

    c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    if (n > 0)
        printf("%.*s\n", (int) n, text);
    fflush(stdout);
    return fd;
}

static int print_pid(int fd)
{
    char path[40], line[256];
    FILE *f;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    f = fdopen(syscall(SYS_openat, -100, path, 0), "r");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "Pid:", 4) == 0)
            fputs(line, stdout);
    return f ? fclose(f) : 1;
}

static int serve(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (poll(&p, 1, -1) >= 0 && !(p.revents & POLLHUP)) {
        struct seccomp_notif request = {};
        struct seccomp_notif_resp answer = {};

        if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
            continue;
        printf("%d\n", request.data.nr);
        fflush(stdout);
        answer.id = request.id;
        if (request.data.nr == SYS_mkdir)
            answer.error = -EXDEV;
        else
            answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        (void) ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
    char link[40], kind[64] = "";

    if (argc != 2 || listener < 0 || strlen(argv[1]) >= sizeof(sa.sun_path))
        return 2;
    memcpy(sa.sun_path, argv[1], strlen(argv[1]));
    if (bind(listener, (struct sockaddr *) &sa, sizeof(sa)) < 0 || listen(listener, 1) < 0)
        return 1;
    fd = take(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if (fd < 0 || readlink(link, kind, sizeof(kind) - 1) < 0)
        return 1;
    return strstr(kind, "seccomp") ? serve(fd) : print_pid(fd);
}
