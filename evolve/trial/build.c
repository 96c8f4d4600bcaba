/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"

#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/box/box.h"

#define LOG_MAX ((size_t) 16 << 10)
#define WATCH_MSEC 50
#define NEARLY_FULL 65536U

/* The end of what the build printed. */
typedef struct Tail {
    char data[2 * LOG_MAX];
    size_t len;
} Tail;

static void tail_add(Tail *t, const char *data, size_t len)
{
    if (len > LOG_MAX) {
        data += len - LOG_MAX;
        len = LOG_MAX;
    }
    if (t->len + len > sizeof(t->data)) {
        size_t keep = MIN(t->len, LOG_MAX);

        memmove(t->data, t->data + t->len - keep, keep);
        t->len = keep;
    }
    memcpy(t->data + t->len, data, len);
    t->len += len;
}

static char *tail_take(const Tail *t)
{
    size_t n = MIN(t->len, LOG_MAX);

    return strndup(t->data + t->len - n, n);
}

/* Reads what is there now. The pipe never blocks us: what has it open is killed with the box. */
static void drain(int fd, Tail *t)
{
    char buf[4096];
    ssize_t n;

    while ((n = read(fd, buf, sizeof(buf))) > 0)
        tail_add(t, buf, (size_t) n);
}

static int wait_for(Box *box, int output, uint64_t deadline, Tail *tail)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = box_pidfd(box), .events = POLLIN}, {.fd = output, .events = POLLIN}};
        int timeout = MIN(clock_poll_timeout(deadline), WATCH_MSEC);

        if (poll(fds, ARRAY_SIZE(fds), timeout) < 0 && errno != EINTR)
            return -errno;
        if (fds[1].revents & POLLHUP) /* nobody writes any more: do not spin on it */
            output = fds[1].revents & POLLIN ? output : -EBADF;
        if (fds[1].revents & POLLIN)
            drain(fds[1].fd, tail);
        if (fds[0].revents & POLLIN)
            return 0;
        if (clock_now() >= deadline)
            return -ETIMEDOUT;
        (void) box_watch(box);
    }
}

/* ---- the box ---- */

static int start(const BuildSpec *spec, int output, Box **ret, Error *e)
{
    static const char *const env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp",
                                      "LANG=C.UTF-8", "SOURCE_DATE_EPOCH=1", NULL};
    const Agent *a = spec->agent;
    const BoxMount mounts[] = {
        {.kind = BOX_PROC, .target = "/proc"},
        {.kind = BOX_DEV, .target = "/dev"},
        {.kind = BOX_TMPFS, .target = "/tmp", .size = a->limit_disk, .mode = 01777},
        {.kind = BOX_BIND, .source_fd = spec->source, .target = "/src", .read_only = true},
    };
    const BoxSpec box = {
        .name = spec->name,
        .cgroup_fd = spec->cgroup,
        .flags = BOX_LIMITS_WATCHED,
        .root = {.lowers = &spec->base_layer, .n_lowers = 1, .upper_size = a->limit_disk},
        .mounts = mounts,
        .n_mounts = ARRAY_SIZE(mounts),
        .argv = a->build_argv,
        .env = env,
        .cwd = "/src",
        .stdout_fd = output,
        .stderr_fd = output,
        .memory = a->limit_memory,
        .processes = a->limit_processes,
        .file_size = a->limit_disk,
    };

    return box_start(&box, ret, e);
}

static bool is_full(int upper)
{
    struct statfs st;

    return fstatfs(upper, &st) == 0 &&
           ((uint64_t) st.f_bavail * (uint64_t) st.f_bsize < NEARLY_FULL || st.f_ffree == 0);
}

/* Fills in ok and why. */
static void judge(const BuildSpec *spec, Box *box, const BoxResult *end, BuildResult *ret)
{
    ret->ok = end->end == BOX_EXITED && end->status == 0;
    if (ret->ok)
        return;
    if (is_full(box_upper_fd(box)))
        snprintf(ret->why, sizeof(ret->why), "no space left: %llu MiB are allowed",
                 (unsigned long long) (spec->agent->limit_disk >> 20));
    else if (end->end == BOX_OUT_OF_MEMORY)
        snprintf(ret->why, sizeof(ret->why), "out of memory: %llu MiB are allowed",
                 (unsigned long long) (spec->agent->limit_memory >> 20));
    else
        snprintf(ret->why, sizeof(ret->why), "%s %d", end->end == BOX_EXITED ? "exit" : "killed by signal",
                 end->status);
}

/* ---- what it left ---- */

/* What a build makes belongs to the root of the container and has no set-id bits, whatever it did: it is the code that will run, not a way to
 * become somebody else. Devices can be whiteouts only. */
static int own_entry(int dirfd, const char *name, const struct stat *st)
{
    if (fchownat(dirfd, name, geteuid(), getegid(), AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (S_ISLNK(st->st_mode))
        return 0;
    if (S_ISBLK(st->st_mode) || (S_ISCHR(st->st_mode) && st->st_rdev != 0))
        return -ENODEV;
    return fchmodat(dirfd, name, st->st_mode & 01777, 0) < 0 ? -errno : 0;
}

static int own_directory(int fd)
{
    _cleanup_closedir_ DIR *d = fdopendir(fd);
    struct dirent *de;
    int r = 0;

    if (!d) {
        close(fd);
        return -ENOMEM;
    }
    while (r >= 0 && (errno = 0, de = readdir(d))) {
        struct stat st;

        if (streq(de->d_name, ".") || streq(de->d_name, ".."))
            continue;
        if (fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return -errno;
        r = own_entry(dirfd(d), de->d_name, &st);
        if (r >= 0 && S_ISDIR(st.st_mode)) {
            int sub = openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

            r = sub < 0 ? -errno : own_directory(sub);
        }
    }
    return r < 0 ? r : -errno;
}

static int own_tree(int top)
{
    int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : own_directory(fd);
}

/* Causes that lie in what the build left, not in the host. */
static bool is_fault_of_build(int r)
{
    return r == -ELOOP || r == -ENAMETOOLONG || r == -ERANGE || r == -E2BIG || r == -EFBIG || r == -ENODEV ||
           r == -EACCES;
}

static int collect(Box *box, LayerDraft *draft, BuildResult *ret, Error *e)
{
    static const char *const not_ours[] = {"tmp", "src", "state", "moss", "dev", "proc", "sys"};
    _cleanup_close_ int upper = openat(box_upper_fd(box), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    Error why = {};
    int r;

    if (upper < 0)
        return error_errnof(e, -errno, "cannot read what the build made");
    r = copy_tree(upper, draft->fd, &why);
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(not_ours); i++)
        r = rm_rf_at(draft->fd, not_ours[i]);
    if (r >= 0)
        r = own_tree(draft->fd);
    if (r >= 0 && (fchown(draft->fd, geteuid(), getegid()) < 0 || fchmod(draft->fd, 0755) < 0))
        r = -errno;
    if (is_fault_of_build(r)) {
        ret->ok = false;
        snprintf(ret->why, sizeof(ret->why), "made what cannot be kept: %.150s", why.code ? why.text : strerror(-r));
        return 0;
    }
    return r < 0 ? error_errnof(e, r, "cannot keep what the build made%s%s", why.code ? ": " : "", why.text) : 0;
}

/* ---- all together ---- */

static int run(const BuildSpec *spec, LayerDraft *draft, BuildResult *ret, Error *e)
{
    _cleanup_close_ int output = -EBADF, input = -EBADF;
    _cleanup_(box_freep) Box *box = NULL;
    _cleanup_free_ Tail *tail = calloc(1, sizeof(*tail));
    uint64_t limit = spec->agent->build_timeout_seconds * USEC_PER_SEC, started = clock_now();
    BoxResult end = {};
    int pipes[2], r;

    if (!tail || pipe2(pipes, O_CLOEXEC) < 0)
        return error_errnof(e, tail ? -errno : -ENOMEM, "cannot build");
    output = pipes[0];
    input = pipes[1];
    if (fcntl(output, F_SETFL, O_NONBLOCK) < 0)
        return error_errnof(e, -errno, "cannot build");
    r = start(spec, input, &box, e);
    if (r < 0)
        return error_wrapf(e, r, "cannot build");
    fd_closep(&input);
    r = wait_for(box, output, started + limit, tail);
    if (r == -ETIMEDOUT) {
        snprintf(ret->why, sizeof(ret->why), "not done after %u s", spec->agent->build_timeout_seconds);
        (void) box_kill(box);
    } else if (r >= 0) {
        r = box_wait(box, UINT64_MAX, &end, e);
        if (r >= 0)
            judge(spec, box, &end, ret);
    }
    drain(output, tail);
    ret->log = tail_take(tail);
    ret->wall_usec = clock_now() - started;
    if (r < 0 && r != -ETIMEDOUT)
        return error_wrapf(e, r, "cannot build");
    return ret->ok ? collect(box, draft, ret, e) : 0;
}

int build_run(const BuildSpec *spec, Store *store, LayerDraft *ret_draft, BuildResult *ret, Error *e)
{
    LayerDraft draft;
    BuildResult result = {};
    int r;

    r = layer_draft(store, &draft, e);
    if (r < 0)
        return r;
    r = run(spec, &draft, &result, e);
    if (r < 0 || !result.ok)
        layer_draft_drop(store, &draft);
    if (r < 0) {
        build_result_done(&result);
        return r;
    }
    *ret_draft = draft;
    *ret = result;
    return 0;
}

void build_result_done(BuildResult *r)
{
    free(r->log);
    *r = (BuildResult){};
}
