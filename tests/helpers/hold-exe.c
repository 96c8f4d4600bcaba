/* SPDX-License-Identifier: Apache-2.0 */
/* hold-exe: inside a container, looks for processes whose executable is not of the container's own root file system (itself, /bin/busybox), holds on to them
 * and tries to write to them, also after they have ended, until /tmp/enough is there. Prints "written" if one could be written to, else "held" or
 * "nothing seen". */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HELD_MAX 64

static int held[HELD_MAX];
static int n_held;
static struct stat own[2];

static int is_own(const struct stat *st)
{
    for (int i = 0; i < 2; i++)
        if (st->st_dev == own[i].st_dev && st->st_ino == own[i].st_ino)
            return 1;
    return 0;
}

static void scan(void)
{
    DIR *d = opendir("/proc");
    struct dirent *de;

    while (d && (de = readdir(d))) {
        char path[300];
        struct stat st;
        int fd;

        if (de->d_name[0] < '0' || de->d_name[0] > '9' || n_held == HELD_MAX)
            continue;
        snprintf(path, sizeof(path), "/proc/%s/exe", de->d_name);
        fd = open(path, O_PATH | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (fstat(fd, &st) == 0 && !is_own(&st))
            held[n_held++] = fd;
        else
            close(fd);
    }
    if (d)
        closedir(d);
}

static int try_all(void)
{
    for (int i = 0; i < n_held; i++) {
        char path[40];
        int fd;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", held[i]);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (write(fd, "#!", 2) > 0 || ftruncate(fd, 0) == 0)
            return 1;
        close(fd);
    }
    return 0;
}

int main(void)
{
    /* what exec runs in the test: once it has ended, its file may be written like any other of this root */
    if (stat("/proc/self/exe", &own[0]) < 0 || stat("/bin/busybox", &own[1]) < 0)
        return 2;
    puts("ready");
    fflush(stdout);
    while (access("/tmp/enough", F_OK) < 0) {
        scan();
        if (try_all()) {
            puts("written");
            return 1;
        }
    }
    printf("%s\n", n_held > 0 ? "held" : "nothing seen");
    return try_all() ? (puts("written"), 1) : 0;
}
