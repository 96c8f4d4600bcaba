/* SPDX-License-Identifier: Apache-2.0 */
#include "apart.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE (256U << 10)

typedef struct Apart {
    void (*fn)(void *userdata);
    void *userdata;
} Apart;

static int enter(void *userdata)
{
    const Apart *a = userdata;

    a->fn(a->userdata);
    return 0;
}

/* Its first page is none: a stack that is too small is no other memory of ours. */
static char *new_stack(void)
{
    char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

    if (stack == MAP_FAILED)
        return NULL;
    if (mprotect(stack, (size_t) sysconf(_SC_PAGESIZE), PROT_NONE) == 0)
        return stack;
    munmap(stack, STACK_SIZE);
    return NULL;
}

int run_apart(void (*fn)(void *userdata), void *userdata, bool share_fds)
{
    Apart a = {fn, userdata};
    int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), status = 0, r = 0;
    char *stack = new_stack();
    pid_t pid;

    if (!stack)
        return -errno;
    (void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    pid = clone(enter, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | (share_fds ? CLONE_FILES : 0) | SIGCHLD, &a);
    if (pid < 0)
        r = -errno;
    else {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (!WIFEXITED(status))
            r = -EOWNERDEAD;
    }
    (void) prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0);
    munmap(stack, STACK_SIZE);
    return r;
}
