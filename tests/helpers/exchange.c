/* SPDX-License-Identifier: Apache-2.0 */
/* exchange A B [A B…]: gives the files of each pair each other's names, again and again, until it is killed or its parent ends. Whoever resolves one
 * of the names twice meets the one and the other. A pair that is not there just now, as a directory above it is part of another pair, is passed over. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1 << 1)
#endif

int main(int argc, char **argv)
{
    pid_t parent = getppid();

    if (argc < 3 || argc % 2 == 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        return 2;
    for (;;)
        for (int i = 1; i < argc; i += 2)
            if (renameat2(AT_FDCWD, argv[i], AT_FDCWD, argv[i + 1], RENAME_EXCHANGE) < 0 && errno != ENOENT) {
                perror(argv[i]);
                return 1;
            }
}
