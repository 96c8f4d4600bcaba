/* SPDX-License-Identifier: Apache-2.0 */
#include "epoll.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "call.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"

#define FDINFO_MAX (1U << 20)

/* The entry of the socket in fdinfo of an epoll instance, see proc_pid_fdinfo(5). */
static bool find_entry(const char *text, int number, ino_t ino, struct epoll_event *ret)
{
    for (const char *line = text; line; line = strchr(line, '\n')) {
        unsigned events;
        unsigned long long data;
        unsigned long inode;
        int tfd;

        line += *line == '\n';
        if (sscanf(line, "tfd: %d events: %x data: %llx pos:%*d ino:%lx", &tfd, &events, &data, &inode) == 4 &&
            tfd == number && inode == ino) {
            *ret = (struct epoll_event){.events = events, .data.u64 = data};
            return true;
        }
    }
    return false;
}

/* The agent will name it by `number`: for the moment of the call that is what we call it, too. A duplicate that is closed takes no entry away. */
static void add_as(int epoll, int number, int with, struct epoll_event *event)
{
    int flags = fcntl(number, F_GETFD);
    _cleanup_close_ int ours = fcntl(number, F_DUPFD_CLOEXEC, 0);

    if (number != with && dup3(with, number, O_CLOEXEC) < 0)
        return;
    (void) epoll_ctl(epoll, EPOLL_CTL_ADD, number, event);
    if (ours >= 0)
        (void) dup3(ours, number, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
    else
        close(number);
}

static void carry_one(pid_t pid, int instance, int number, ino_t ino, int with)
{
    _cleanup_close_ int fd = -EBADF, theirs = -EBADF, epoll = -EBADF;
    _cleanup_free_ char *text = NULL;
    struct epoll_event event;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int) pid, instance);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || file_read_fd(fd, FDINFO_MAX, &text, NULL) < 0 || !find_entry(text, number, ino, &event))
        return;
    theirs = process_fd(pid, instance);
    epoll = theirs < 0 ? -EBADF : fcntl(theirs, F_DUPFD_CLOEXEC, number + 1); /* not `number` itself */
    fd_closep(&theirs);
    if (epoll >= 0)
        add_as(epoll, number, with, &event);
}

void epoll_carry(pid_t pid, int number, int sock, int with)
{
    _cleanup_closedir_ DIR *d = NULL;
    struct dirent *de;
    struct stat st;
    char path[64], target[64];

    snprintf(path, sizeof(path), "/proc/%d/fd", (int) pid);
    d = opendir(path);
    if (!d || fstat(sock, &st) < 0)
        return;
    while ((de = readdir(d))) {
        ssize_t n = readlinkat(dirfd(d), de->d_name, target, sizeof(target) - 1);

        if (n < 0)
            continue;
        target[n] = '\0';
        if (streq(target, "anon_inode:[eventpoll]"))
            carry_one(pid, (int) strtol(de->d_name, NULL, 10), number, st.st_ino, with);
    }
}
