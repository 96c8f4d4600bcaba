/* SPDX-License-Identifier: Apache-2.0 */

/* What this machine takes, at the time, for what no pause of a swap is without: a process that does nothing in our memory, one that executes a program, and a block
 * that is on the disk afterwards, twice, as before the old incarnation ends and before the new one serves.
 *
 *     pause-floor DIRECTORY PROGRAM [N]     median and 99th percentile in microseconds of N (250), 20 ms apart */

#include <string.h>
#include <unistd.h>

#include "runtime/base/apart.h"
#include "tests/bench/bench.h"

#define BLOCK 4096

static void nothing(void *userdata)
{
    (void) userdata;
}

/* Until the program is there: its end of the pipe is closed then. */
static void execute(const char *program)
{
    char *const argv[] = {(char *) program, NULL};
    int p[2], status;
    char byte;
    pid_t pid;

    if (pipe2(p, O_CLOEXEC) < 0 || (pid = fork()) < 0)
        bench_die(program);
    if (pid == 0) {
        execv(program, argv);
        _exit(127);
    }
    close(p[1]);
    if (read(p[0], &byte, 1) != 0)
        bench_die(program);
    close(p[0]);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        bench_die(program);
}

static void flush(int fd, const char *block, off_t at)
{
    if (pwrite(fd, block, BLOCK, at) != BLOCK || fdatasync(fd) < 0)
        bench_die("block");
}

static int open_blocks(const char *directory, const char *block)
{
    int fd = open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

    if (fd < 0)
        bench_die(directory);
    flush(fd, block, 0);
    flush(fd, block, BLOCK);
    return fd;
}

int main(int argc, char **argv)
{
    size_t n = argc > 3 ? strtoul(argv[3], NULL, 10) : 250;
    _cleanup_free_ uint64_t *took = calloc(n ? n : 1, sizeof(*took));
    _cleanup_close_ int fd = -EBADF;
    char block[BLOCK] = {};

    if (argc < 3 || n == 0 || !took) {
        fprintf(stderr, "usage: pause-floor DIRECTORY PROGRAM [N]\n");
        return 2;
    }
    fd = open_blocks(argv[1], block);
    for (size_t i = 0; i < n; i++) {
        uint64_t began;

        usleep(20000);
        memset(block, (int) i, sizeof(block));
        began = bench_nsec();
        flush(fd, block, 0);
        if (run_apart(nothing, NULL, false) < 0)
            bench_die("run_apart");
        execute(argv[2]);
        flush(fd, block, BLOCK);
        took[i] = bench_nsec() - began;
    }
    printf("%.0f", bench_median(took, n));
    printf("\t%.0f\n", (double) took[n * 99 / 100] / 1000);
    return 0;
}
