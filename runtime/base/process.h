/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_PROCESS_H
#define MOSS_BASE_PROCESS_H

/* Helper programs of the host (git, ssh-keygen, newuidmap…): started without a shell, with a time limit, never left behind. */

#include <sys/types.h>

#include "error.h"

typedef struct ProcessSpec {
    const char *const *argv; /* argv[0] is looked up in PATH… */
    const char *path;        /* …unless the program's path is given here */
    const char *const *env;  /* the whole environment; NULL: ours */
    const char *cwd;         /* NULL: ours */
    const char *input;       /* for its standard input; NULL: /dev/null */
    size_t input_len;
    size_t output_max;     /* bytes of its output that are kept; more is an error (-E2BIG) */
    uint64_t timeout_usec; /* then it is killed: -ETIMEDOUT */
    bool leave_children;   /* what it started and did not wait for may live on */
} ProcessSpec;

/* Runs it to its end. Output and errors together come back in *ret_output (NUL-terminated, the caller frees; may be NULL). Returns its exit
 * status (128 + signal when it was killed by one), or -errno if it could not be run. */
int process_run(const ProcessSpec *spec, char **ret_output, Error *e);

/* pidfd_open(2) and friends, which glibc 2.36 has only in part. */
int pidfd_open_cloexec(pid_t pid);
int pidfd_signal(int pidfd, int sig);
/* The process of a pidfd, in our PID namespace. -ESRCH: it has ended and was reaped, or is in another one. */
int pidfd_pid(int pidfd, pid_t *ret);
/* Waits for the child behind the pidfd, at most until `deadline` (CLOCK_BOOTTIME): wait status in *ret_status, or -ETIMEDOUT. */
int pidfd_wait(int pidfd, uint64_t deadline, int *ret_status);
/* exit code, or 128 + signal */
int wait_status_code(int status);

/* Are we in the initial user namespace, so that root is the host's root? */
bool process_in_initial_userns(void);

/* Are we root, and for the whole system? Root of a user namespace that an engine made for a user acts for that user: XDG_RUNTIME_DIR tells. */
bool process_is_system(void);

/* Which start of the host this is: CLOCK_BOOTTIME counts from there. */
#define BOOT_ID_SIZE 37
int process_boot_id(char ret[static BOOT_ID_SIZE]);

#endif
