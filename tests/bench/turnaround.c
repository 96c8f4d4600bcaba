/* SPDX-License-Identifier: Apache-2.0 */

/* What a box costs above the floor: snapshot, cgroup, namespaces, filter, exec, the end collected, everything removed; in turn with the floor, so that both
 * see the same machine. Then boxes from two processes at once, and the cost of a snapshot by the size of its root.
 *
 *     turnaround PROGRAM [N] [--json] */

#include "runtime/base/clock.h"
#include "runtime/box/box.h"
#include "runtime/box/cgroup.h"
#include "runtime/store/store.h"
#include "tests/bench/bench.h"

#define SMALL (2ULL << 20)
#define LARGE (2ULL << 30)
#define FILE_BYTES (1ULL << 20)

static int parent_cgroup(char name[static 32])
{
    Error e = {};
    int base = cgroup_open_base(&e), fd;

    if (base < 0) /* unprivileged, without delegation */
        return 0;
    snprintf(name, 32, "bench-%d", (int) getpid());
    fd = cgroup_make(base, name, &e);
    if (fd < 0)
        bench_die(e.text);
    close(base);
    return fd;
}

static void one_box(int root, int cgroup, const char *name)
{
    static const char *const argv[] = {BENCH_PROGRAM, NULL};
    static const BoxMount mounts[] = {
        {.kind = BOX_PROC, .target = "/proc"},
        {.kind = BOX_DEV, .target = "/dev"},
        {.kind = BOX_TMPFS, .target = "/tmp", .size = 1 << 20},
    };
    _cleanup_(box_freep) Box *box = NULL;
    BoxSpec spec = {
        .name = name,
        .cgroup_fd = cgroup,
        .root = {.lowers = &root, .n_lowers = 1, .upper_size = 1 << 20},
        .mounts = mounts,
        .n_mounts = ARRAY_SIZE(mounts),
        .argv = argv,
        .uid = 1000,
        .gid = 1000,
    };
    BoxResult result;
    struct stat st;
    Error e = {};

    if (box_start(&spec, &box, &e) < 0 || box_wait(box, UINT64_MAX, &result, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        exit(1);
    }
    if (result.end != BOX_EXITED || result.status != 0 || fstat(box_upper_fd(box), &st) < 0)
        bench_die("box");
}

static void in_turn(const char *path, int root, int cgroup, size_t n, double *ret_floor, double *ret_box)
{
    uint64_t *floors = calloc(n, sizeof(*floors)), *boxes = calloc(n, sizeof(*boxes));

    for (size_t i = 0; i < n; i++) {
        uint64_t began = bench_nsec(), between;

        bench_floor(path);
        between = bench_nsec();
        one_box(root, cgroup, "turn");
        boxes[i] = bench_nsec() - between;
        floors[i] = between - began;
    }
    *ret_floor = bench_median(floors, n);
    *ret_box = bench_median(boxes, n);
    free(floors);
    free(boxes);
}

static double per_second_at_once(int root, int cgroup, size_t n, unsigned workers)
{
    uint64_t began = bench_nsec();

    for (unsigned w = 0; w < workers; w++) {
        pid_t pid = fork();
        char name[32];

        if (pid < 0)
            bench_die("fork");
        if (pid > 0)
            continue;
        snprintf(name, sizeof(name), "worker-%u", w);
        for (size_t i = 0; i < n; i++)
            one_box(root, cgroup, name);
        _exit(0);
    }
    for (unsigned w = 0; w < workers; w++) {
        int status;

        if (wait(&status) < 0 || status != 0)
            bench_die("worker");
    }
    return (double) (n * workers) * 1e9 / (double) (bench_nsec() - began);
}

/* A new directory below /tmp with so many bytes in files of 1 MiB. */
static int make_tree(uint64_t bytes, char path[static 32])
{
    int dir;

    snprintf(path, 32, "/tmp/moss-bench-XXXXXX");
    if (!mkdtemp(path))
        bench_die(path);
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (uint64_t i = 0; i < bytes / FILE_BYTES; i++) {
        _cleanup_close_ int fd = -EBADF;
        char name[32];

        snprintf(name, sizeof(name), "%llu", (unsigned long long) i);
        fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0 || posix_fallocate(fd, 0, (off_t) FILE_BYTES) != 0)
            bench_die(name);
    }
    if (syncfs(dir) < 0) /* not to be paid for by what is measured next */
        bench_die("syncfs");
    return dir;
}

/* Nanoseconds of mounting and dropping a writable snapshot. */
static uint64_t snapshot_once(int dir)
{
    SnapshotUpper upper = {.tmpfs_size = 1 << 20};
    uint64_t began = bench_nsec();
    Error e = {};
    int fd = snapshot_mount(&dir, 1, &upper, NULL, &e);

    if (fd < 0)
        bench_die(e.text);
    close(fd);
    return bench_nsec() - began;
}

static void snapshots_in_turn(double *ret_small, double *ret_large)
{
    static uint64_t small[200], large[200];
    char small_path[32], large_path[32];
    int small_dir = make_tree(SMALL, small_path), large_dir = make_tree(LARGE, large_path);

    for (size_t i = 0; i < ARRAY_SIZE(small); i++) {
        small[i] = snapshot_once(small_dir);
        large[i] = snapshot_once(large_dir);
    }
    *ret_small = bench_median(small, ARRAY_SIZE(small));
    *ret_large = bench_median(large, ARRAY_SIZE(large));
    close(small_dir);
    close(large_dir);
    if (rm_rf_at(AT_FDCWD, small_path) < 0 || rm_rf_at(AT_FDCWD, large_path) < 0)
        bench_die("cannot remove the trees");
}

int main(int argc, char **argv)
{
    bool json = argc > 2 && streq(argv[argc - 1], "--json");
    size_t n = argc > 2 && !streq(argv[2], "--json") ? strtoul(argv[2], NULL, 10) : 300;
    double floor, box, rate, small, large;
    char path[32], name[32];
    int root, cgroup;

    if (argc < 2 || n == 0) {
        fprintf(stderr, "usage: turnaround PROGRAM [N] [--json]\n");
        return 2;
    }
    root = bench_make_root(argv[1], path);
    cgroup = parent_cgroup(name);
    in_turn(path, root, cgroup, n, &floor, &box);
    rate = per_second_at_once(root, cgroup, n, 2);
    snapshots_in_turn(&small, &large);
    if (json)
        printf("{\"floor_usec\":%.0f,\"box_usec\":%.0f,\"ratio\":%.2f,\"boxes_per_second_2\":%.0f,"
               "\"snapshot_2mib_usec\":%.0f,\"snapshot_2gib_usec\":%.0f}\n",
               floor, box, box / floor, rate, small, large);
    else
        printf("floor                    %8.0f us\n"
               "box                      %8.0f us  (%.2f floors)\n"
               "boxes, 2 at once         %8.0f /s\n"
               "snapshot of 2 MiB        %8.0f us\n"
               "snapshot of 2 GiB        %8.0f us\n",
               floor, box, box / floor, rate, small, large);
    close(root);
    if (cgroup > 0) {
        int base = cgroup_open_base(NULL);

        close(cgroup);
        if (unlinkat(base, name, AT_REMOVEDIR) < 0)
            bench_die(name);
        close(base);
    }
    return rm_rf_at(AT_FDCWD, path) < 0;
}
