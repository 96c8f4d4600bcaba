/* SPDX-License-Identifier: Apache-2.0 */
#include "userns.h"

#include <inttypes.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/process.h"
#include "runtime/base/strbuf.h"

#define RANGES_MAX 64U
#define MAP_BYTES_MAX 4096U /* map_write() of the kernel: less than a page */

uint32_t userns_range(pid_t pid)
{
    return 0x80000000U + (uint32_t) pid % 32767U * USERNS_IDS;
}

/* The kernel takes a map only as a whole, in one write(2). */
static int write_file(const char *path, const char *text, size_t len, Error *e)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errnof(e, -errno, "%s", path);
    if (write(fd, text, len) != (ssize_t) len)
        return error_errnof(e, -errno, "%s: \"%s\" is refused", path, text);
    return 0;
}

static int map_by_kernel(pid_t pid, const char *file, const IdMap *maps, size_t n, Error *e)
{
    _cleanup_(strbuf_done) StrBuf b = {};
    char path[64];

    for (size_t i = 0; i < n; i++)
        (void) strbuf_addf(&b, "%u %u %u\n", maps[i].inside, maps[i].outside, maps[i].count);
    if (b.failed)
        return error_errnof(e, -ENOMEM, "id maps");
    if (b.len >= MAP_BYTES_MAX)
        return error_setf(e, -E2BIG, "%s: %zu id mappings of %zu bytes are more than the kernel takes", file, n, b.len);
    snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, file);
    return write_file(path, b.data ? b.data : "", b.len, e);
}

static int map_by_helper(pid_t pid, const char *helper, const IdMap *maps, size_t n, Error *e)
{
    _cleanup_free_ const char **argv = calloc(3 + 3 * n, sizeof(*argv));
    _cleanup_free_ char(*numbers)[16] = calloc(3 * n + 1, sizeof(*numbers));
    _cleanup_free_ char *output = NULL;
    int r;

    if (!argv || !numbers)
        return error_errnof(e, -ENOMEM, "id maps");
    argv[0] = helper;
    snprintf(numbers[3 * n], sizeof(*numbers), "%d", (int) pid);
    argv[1] = numbers[3 * n];
    for (size_t i = 0; i < n; i++) {
        const uint32_t v[] = {maps[i].inside, maps[i].outside, maps[i].count};

        for (size_t k = 0; k < ARRAY_SIZE(v); k++) {
            snprintf(numbers[3 * i + k], sizeof(*numbers), "%u", v[k]);
            argv[2 + 3 * i + k] = numbers[3 * i + k];
        }
    }
    ProcessSpec spec = {.argv = argv, .output_max = 4096, .timeout_usec = 10 * USEC_PER_SEC};
    r = process_run(&spec, &output, e);
    if (r > 0)
        return error_setf(e, -EPERM, "%s refuses the id map: %s", helper, output);
    return r;
}

int userns_map(pid_t pid, const IdMap *uids, size_t n_uids, const IdMap *gids, size_t n_gids, Error *e)
{
    bool privileged = geteuid() == 0;
    int r;

    if (!privileged && n_uids == 1 && n_gids == 1 && uids[0].count == 1 && gids[0].count == 1) {
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/setgroups", (int) pid);
        r = write_file(path, "deny", strlen("deny"), e);
        if (r < 0)
            return r;
        privileged = true;
    }
    if (privileged) {
        r = map_by_kernel(pid, "uid_map", uids, n_uids, e);
        return r < 0 ? r : map_by_kernel(pid, "gid_map", gids, n_gids, e);
    }
    r = map_by_helper(pid, "newuidmap", uids, n_uids, e);
    return r < 0 ? r : map_by_helper(pid, "newgidmap", gids, n_gids, e);
}

/* A range is given on only as far as it is one range of ours. */
static int read_own(const char *file, IdMap *maps, size_t max, size_t *ret_n, Error *e)
{
    _cleanup_free_ char *text = NULL;
    char *save = NULL;
    size_t n = 0;
    int r = file_read_at(AT_FDCWD, file, MAP_BYTES_MAX, &text, NULL);

    if (r < 0)
        return error_errnof(e, r, "%s", file);
    for (char *line = strtok_r(text, "\n", &save); line && n < max; line = strtok_r(NULL, "\n", &save)) {
        uint32_t inside, count;

        if (sscanf(line, "%" SCNu32 " %*u %" SCNu32, &inside, &count) == 2 && inside < USERNS_IDS)
            maps[n++] = (IdMap){inside, inside, MIN(count, USERNS_IDS - inside)};
    }
    *ret_n = n;
    return 0;
}

int userns_map_same(pid_t pid, Error *e)
{
    IdMap uids[RANGES_MAX], gids[RANGES_MAX];
    size_t n_uids, n_gids;
    int r;

    if ((r = read_own("/proc/self/uid_map", uids, RANGES_MAX, &n_uids, e)) < 0 ||
        (r = read_own("/proc/self/gid_map", gids, RANGES_MAX, &n_gids, e)) < 0)
        return r;
    return userns_map(pid, uids, n_uids, gids, n_gids, e);
}

/* A namespace lives as long as a process or an fd has it: this process is there until the fd is. */
static pid_t hold_namespace(void)
{
    struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    pid_t parent = getpid();
    long pid = syscall(SYS_clone3, &args, sizeof(args));

    if (pid != 0)
        return pid < 0 ? -errno : (pid_t) pid;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == parent)
        for (;;)
            pause();
    _exit(1);
}

int userns_open(const IdMap *uids, size_t n_uids, const IdMap *gids, size_t n_gids, Error *e)
{
    pid_t pid = hold_namespace();
    char path[40];
    int r, fd = -EBADF, status;

    if (pid < 0)
        return error_errnof(e, pid, "cannot make a user namespace");
    r = userns_map(pid, uids, n_uids, gids, n_gids, e);
    if (r >= 0) {
        snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? error_errnof(e, -errno, "%s", path) : fd;
    }
    (void) kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return r;
}

int userns_map_self(uid_t uid, uid_t outer_uid, gid_t gid, gid_t outer_gid, Error *e)
{
    char text[40];
    int n, r;

    n = snprintf(text, sizeof(text), "%u %u 1\n", uid, outer_uid);
    r = write_file("/proc/self/uid_map", text, (size_t) n, e);
    if (r < 0)
        return r;
    r = write_file("/proc/self/setgroups", "deny", strlen("deny"), e);
    if (r < 0)
        return r;
    n = snprintf(text, sizeof(text), "%u %u 1\n", gid, outer_gid);
    return write_file("/proc/self/gid_map", text, (size_t) n, e);
}
