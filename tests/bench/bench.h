/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BENCH_BENCH_H
#define MOSS_BENCH_BENCH_H

/* What the measurements share: a directory with one static program as the root to run in, medians, and the bare floor. */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <linux/sched.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"

#define BENCH_PROGRAM "/true"

static inline uint64_t bench_nsec(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000000ULL + (uint64_t) ts.tv_nsec;
}

static inline int bench_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return x < y ? -1 : x > y;
}

/* Microseconds. */
static inline double bench_median(uint64_t *nsec, size_t n)
{
    qsort(nsec, n, sizeof(*nsec), bench_compare);
    return (double) nsec[n / 2] / 1000;
}

static inline _Noreturn void bench_die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* A new directory below /tmp that holds the static program `from` as BENCH_PROGRAM, and proc, dev, sys, tmp; its fd. */
static inline int bench_make_root(const char *from, char path[static 32])
{
    static const char *const dirs[] = {"proc", "dev", "sys", "tmp"};
    _cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC), out = -EBADF;
    _cleanup_free_ char *data = NULL;
    size_t len;
    int root;

    snprintf(path, 32, "/tmp/moss-bench-XXXXXX");
    if (in < 0 || file_read_fd(in, 16 << 20, &data, &len) < 0)
        bench_die(from);
    if (!mkdtemp(path) || chmod(path, 0755) < 0)
        bench_die(path);
    root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        if (mkdirat(root, dirs[i], 0755) < 0)
            bench_die(dirs[i]);
    out = openat(root, BENCH_PROGRAM + 1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755);
    if (out < 0 || fd_write_all(out, data, len) < 0)
        bench_die("root");
    return root;
}

/* The floor's child: nothing but what makes the namespaces those of a box and the directory its root. */
static inline _Noreturn void bench_floor_child(int root)
{
    char *const argv[] = {(char *) BENCH_PROGRAM, NULL};
    int mnt;

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        _exit(101);
    mnt = open_tree(root, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (mnt < 0 || move_mount(mnt, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 || fchdir(mnt) < 0)
        _exit(102);
    if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
        _exit(103);
    execv(BENCH_PROGRAM, argv);
    _exit(104);
}

/* One process in eight new namespaces, from its birth to its collected end. `path` is the directory's name, as an fd cannot be cloned from another
 * mount namespace. */
static inline void bench_floor(const char *path)
{
    struct clone_args args = {
        .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                 CLONE_NEWCGROUP | CLONE_NEWTIME,
        .exit_signal = SIGCHLD,
    };
    pid_t pid = (pid_t) syscall(SYS_clone3, &args, sizeof(args));
    int status;

    if (pid == 0)
        bench_floor_child(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        bench_die("clone3");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "floor: status %x\n", (unsigned) status);
        exit(1);
    }
}

#endif
