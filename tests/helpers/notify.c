/* SPDX-License-Identifier: Apache-2.0 */
/* notify MESSAGE...: says each to the socket that NOTIFY_SOCKET names, as sd_notify(3) does; "-": says "said" on standard output and stays.
 * notify --listen SOCKET: prints what is said there, a line "[PID]" of the sender before each, as a service manager would read it; answers barriers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int take(int sock)
{
    union {
        char buf[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {};
    char text[65536];
    struct iovec iov = {text, sizeof(text)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    struct ucred cred = {};
    int fd = -1;

    for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_type == SCM_CREDENTIALS)
            memcpy(&cred, CMSG_DATA(c), sizeof(cred));
        else
            memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    }
    if (n < 0)
        return 1;
    printf("[%d]\n%.*s\n", cred.pid, (int) n, text);
    fflush(stdout);
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    int listening = argc == 3 && strcmp(argv[1], "--listen") == 0, on = 1, r = 0;
    const char *path = listening ? argv[2] : getenv("NOTIFY_SOCKET");
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    if (!path || fd < 0 || strlen(path) >= sizeof(sa.sun_path))
        return 2;
    memcpy(sa.sun_path, path, strlen(path) + 1);
    if (!listening) {
        for (int i = 1; i < argc; i++)
            if (strcmp(argv[i], "-") == 0)
                (void) (puts("said"), fflush(stdout), pause());
            else if (sendto(fd, argv[i], strlen(argv[i]), 0, (struct sockaddr *) &sa, sizeof(sa)) < 0)
                return perror(path), 1;
        return 0;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0)
        return perror(path), 1;
    while (r == 0)
        r = take(fd);
    return r;
}
