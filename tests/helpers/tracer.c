/* SPDX-License-Identifier: Apache-2.0 */

/* Traces a child of its own, in a session of its own, and keeps it stopped; ends at once itself, for ever. */

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    pid_t tracer = fork(), traced;
    int status;

    if (tracer != 0)
        return tracer < 0;
    if (setsid() < 0)
        return 1;
    traced = fork();
    if (traced == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
            return 1;
        raise(SIGSTOP);
        pause();
    }
    waitpid(traced, &status, 0); /* stopped; and nobody lets it go */
    for (;;)
        pause();
}
