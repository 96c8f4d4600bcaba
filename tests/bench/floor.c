/* SPDX-License-Identifier: Apache-2.0 */

/* The floor under any sandbox on this machine: clone3 with eight new namespaces, pivot_root, exec of a static program, wait. Nothing that does these
 * can cost less.
 *
 *     floor PROGRAM [N]     median in microseconds */

#include "tests/bench/bench.h"

int main(int argc, char **argv)
{
    char path[32];
    size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 500;
    uint64_t *took = calloc(n ? n : 1, sizeof(*took));
    int root;

    if (argc < 2 || n == 0 || !took) {
        fprintf(stderr, "usage: floor PROGRAM [N]\n");
        return 2;
    }
    root = bench_make_root(argv[1], path);
    for (size_t i = 0; i < n; i++) {
        uint64_t began = bench_nsec();

        bench_floor(path);
        took[i] = bench_nsec() - began;
    }
    printf("%.0f\n", bench_median(took, n));
    free(took);
    close(root);
    return rm_rf_at(AT_FDCWD, path) < 0;
}
