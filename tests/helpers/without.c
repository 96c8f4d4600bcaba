/* SPDX-License-Identifier: Apache-2.0 */
/* without GROUP PROGRAM [ARGUMENT…]: executes PROGRAM where the kernel seems to lack some system calls (ENOSYS, by a seccomp filter that all it starts
 * inherit): "openat2", or "mount-api" for all of the file descriptor based mount interface. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS_MAX 9

static const struct {
    const char *name;
    int n;
    int calls[CALLS_MAX];
} groups[] = {
    {"openat2", 1, {SYS_openat2}},
    {"mount-api",
     7,
     {SYS_open_tree, SYS_move_mount, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_mount_setattr}},
};

static int block(const int *calls, int n)
{
    struct sock_filter code[CALLS_MAX + 3] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    struct sock_fprog program = {.len = (unsigned short) (n + 3), .filter = code};

    for (int i = 0; i < n; i++)
        code[1 + i] =
            (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned) calls[i], (unsigned char) (n - i), 0);
    code[n + 1] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[n + 2] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 2 && i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (strcmp(argv[1], groups[i].name) != 0)
            continue;
        if (block(groups[i].calls, groups[i].n) < 0) {
            perror("without: seccomp");
            return 125;
        }
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        return 125;
    }
    fputs("usage: without openat2|mount-api PROGRAM [ARGUMENT...]\n", stderr);
    return 125;
}
