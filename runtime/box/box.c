/* SPDX-License-Identifier: Apache-2.0 */
#include "box.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/sched.h>

#include "cgroup.h"
#include "internal.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/process.h"
#include "runtime/base/socket.h"
#include "userns.h"

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWTIME)
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
#define KILL_TIMEOUT (10 * USEC_PER_SEC)

/* Host ids for boxes: 32767 ranges in the upper half, which nothing else gives out. A PID is unique among what lives. */
#define BASE_FIRST 0x80000000U
#define BASE_RANGES 32767U

/* ---- the plan is checked ---- */

static int check_root(const BoxSpec *spec, Error *e)
{
    const BoxRoot *root = &spec->root;

    if (root->n_lowers == 0 || root->n_lowers > BOX_LOWERS_MAX)
        return error_setf(e, -EINVAL, "box %s: root.lowers: %zu layers, must be 1 to %d", spec->name, root->n_lowers,
                          BOX_LOWERS_MAX);
    if (!root->upper_fd && !root->upper_size && !root->read_only)
        return error_setf(e, -EINVAL, "box %s: root.upper_size: 0, and there is no root.upper_fd", spec->name);
    return 0;
}

static int check_mounts(const BoxSpec *spec, Error *e)
{
    if (spec->n_mounts > BOX_MOUNTS_MAX)
        return error_setf(e, -EINVAL, "box %s: mounts: %zu, at most %d", spec->name, spec->n_mounts, BOX_MOUNTS_MAX);
    for (size_t i = 0; i < spec->n_mounts; i++) {
        const BoxMount *m = &spec->mounts[i];

        if (!m->target || m->target[0] != '/' || m->target[strspn(m->target, "/")] == '\0')
            return error_setf(e, -EINVAL, "box %s: mounts[%zu].target: must be an absolute path below /", spec->name,
                              i);
        if (m->kind == BOX_BIND && !m->source_fd && !m->source)
            return error_setf(e, -EINVAL, "box %s: mounts[%zu].source: missing", spec->name, i);
        if (m->kind == BOX_TMPFS && !m->size)
            return error_setf(e, -EINVAL, "box %s: mounts[%zu].size: a tmpfs needs one", spec->name, i);
    }
    return 0;
}

static int check(const BoxSpec *spec, Error *e)
{
    size_t n = spec->name ? strlen(spec->name) : 0;
    int r;

    if (n == 0 || n > 64 || strspn(spec->name, NAME_CHARS) != n || streq(spec->name, ".") || streq(spec->name, ".."))
        return error_setf(e, -EINVAL, "name of a box: 1 to 64 letters, digits, \".\", \"_\", \"-\"");
    if (!spec->argv || !spec->argv[0] || spec->argv[0][0] != '/')
        return error_setf(e, -EINVAL, "box %s: argv[0]: must be an absolute path", spec->name);
    if (spec->uid >= BOX_IDS || spec->gid >= BOX_IDS)
        return error_setf(e, -EINVAL, "box %s: uid, gid: %u, %u, must be below %u", spec->name, spec->uid, spec->gid,
                          BOX_IDS);
    if (spec->flags & BOX_KEEP_CAPS && spec->uid != 0)
        return error_setf(e, -EINVAL, "box %s: uid: capabilities are kept by uid 0 only", spec->name);
    if (spec->join && (spec->flags & BOX_HOST_NETWORK || spec->join->ended))
        return error_setf(e, -EINVAL, "box %s: join: box %s %s", spec->name, spec->join->name,
                          spec->join->ended ? "has ended" : "and the host's network exclude each other");
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            return error_setf(e, -EBADF, "box %s: fd %d of this process must be open", spec->name, fd);
    r = check_root(spec, e);
    if (r >= 0)
        r = check_mounts(spec, e);
    if (r >= 0 && spec->landlock && (r = landlock_check(spec->landlock, landlock_abi(), e)) < 0)
        return error_wrapf(e, r, "box %s", spec->name);
    return r;
}

/* ---- birth ---- */

static pid_t clone3_process(struct clone_args *args)
{
    return (pid_t) syscall(SYS_clone3, args, sizeof(*args));
}

static void clone_into(const Box *box, int *pidfd, struct clone_args *args)
{
    args->flags |= CLONE_PIDFD;
    args->pidfd = (uint64_t) (uintptr_t) pidfd;
    if (box->cgroup >= 0) {
        args->flags |= CLONE_INTO_CGROUP;
        args->cgroup = (uint64_t) box->cgroup;
    }
}

/* Shares our table of fds, enters the namespaces that are to be joined, and has a brother there, whose pidfd thus becomes ours. */
static _Noreturn void join_and_clone(const BoxPlan *plan, const Box *box)
{
    struct clone_args args = {.flags = NAMESPACES | CLONE_PARENT | CLONE_CLEAR_SIGHAND};
    BoxSays says = {.what = BOX_SAYS_BORN, .pidfd = -EBADF};

    clone_into(box, &says.pidfd, &args);
    if (setns(plan->spec->join->pidfd, CLONE_NEWUSER | CLONE_NEWNET) < 0)
        says = (BoxSays){.what = BOX_SAYS_ERROR, .error.code = -errno};
    else
        says.pid = clone3_process(&args);
    if (says.pid == 0 && says.what == BOX_SAYS_BORN)
        box_child(plan);
    if (says.pid < 0)
        says = (BoxSays){.what = BOX_SAYS_ERROR, .error.code = -errno};
    (void) socket_send_fd(plan->channel, &says, sizeof(says), -EBADF);
    _exit(0);
}

static int birth_in(const BoxPlan *plan, Box *box, int channel, Error *e)
{
    struct clone_args args = {.flags = CLONE_FILES, .exit_signal = SIGCHLD};
    BoxSays says = {};
    pid_t helper;
    int status, fd;

    helper = clone3_process(&args);
    if (helper == 0)
        join_and_clone(plan, box);
    if (helper < 0)
        return error_errnof(e, -errno, "box %s: clone3", box->name);
    while (waitpid(helper, &status, 0) < 0 && errno == EINTR)
        ;
    if (socket_receive_fd(channel, &says, sizeof(says), &fd) != sizeof(says) || says.what != BOX_SAYS_BORN)
        return error_errnof(e, says.error.code < 0 ? says.error.code : -EIO, "box %s: cannot join box %s", box->name,
                            plan->spec->join->name);
    box->pid = says.pid;
    box->pidfd = says.pidfd;
    return 0;
}

static int birth(const BoxPlan *plan, Box *box, int channel, Error *e)
{
    struct clone_args args = {.flags = NAMESPACES | CLONE_NEWUSER | CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
    int pidfd = -EBADF;

    if (plan->spec->join)
        return birth_in(plan, box, channel, e);
    clone_into(box, &pidfd, &args);
    if (!(plan->spec->flags & BOX_HOST_NETWORK))
        args.flags |= CLONE_NEWNET;
    box->pid = clone3_process(&args);
    if (box->pid == 0)
        box_child(plan);
    if (box->pid < 0)
        return error_errnof(e, -errno, "box %s: clone3", box->name);
    box->pidfd = pidfd;
    return 0;
}

/* ---- what the privileged parent does for the child ---- */

static int map_ids(Box *box, const Box *join, Error *e)
{
    char path[64];
    int r;

    if (join) {
        box->base = join->base;
        box->userns = fcntl(join->userns, F_DUPFD_CLOEXEC, 3);
        return box->userns < 0 ? -errno : 0;
    }
    box->base = BASE_FIRST + (uint32_t) box->pid % BASE_RANGES * BOX_IDS;
    const IdMap map = {.inside = 0, .outside = box->base, .count = BOX_IDS};
    r = userns_map(box->pid, &map, 1, &map, 1, e);
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) box->pid);
    box->userns = open(path, O_RDONLY | O_CLOEXEC);
    return box->userns < 0 ? error_errnof(e, -errno, "%s", path) : 0;
}

static int give_mounts(const BoxPlan *plan, Box *box, int channel, Error *e)
{
    int fds[BOX_GIVEN_MAX], r;

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = -EBADF;
    r = map_ids(box, plan->spec->join, e);
    if (r >= 0)
        r = box_make_mounts(plan->spec, box, fds, e);
    for (size_t i = 0; r >= 0 && i < plan->n_given; i++)
        r = socket_send_fd(channel, &box->unattached, 1, fds[i]);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fd_closep(&fds[i]);
    return r;
}

/* Until the program runs or the child says why not. */
static int hear_child(Box *box, int channel, Error *e)
{
    for (;;) {
        _cleanup_close_ int fd = -EBADF;
        BoxSays says = {};
        ssize_t n = socket_receive_fd(channel, &says, sizeof(says), &fd);

        if (n == 0)
            return 0;
        if (n != sizeof(says))
            return error_errnof(e, n < 0 ? (int) n : -EIO, "box %s: no word from its child", box->name);
        if (says.what == BOX_SAYS_UPPER && box->upper < 0)
            box->upper = TAKE_FD(fd);
        if (says.what == BOX_SAYS_ERROR)
            return error_setf(e, says.error.code, "box %s: %s", box->name, says.error.text);
    }
}

/* ---- the cgroup ---- */

/* A fresh one: what a killed predecessor left under this name goes. */
static int make_cgroup(const BoxSpec *spec, Box *box, Error *e)
{
    bool limited = spec->memory || spec->processes || spec->cpu_percent;
    int r = 0;

    if (!spec->cgroup_fd)
        return 0;
    if (mkdirat(spec->cgroup_fd, spec->name, 0755) < 0) {
        if (errno != EEXIST)
            return error_errnof(e, -errno, "cannot make cgroup %s", spec->name);
        r = cgroup_remove(spec->cgroup_fd, spec->name, e);
        if (r >= 0 && mkdirat(spec->cgroup_fd, spec->name, 0755) < 0)
            r = error_errnof(e, -errno, "cannot make cgroup %s", spec->name);
    }
    if (r < 0)
        return r;
    box->cgroup_parent = fcntl(spec->cgroup_fd, F_DUPFD_CLOEXEC, 3);
    /* Only limits need controllers, which cgroup_make() passes on. */
    box->cgroup = limited ? cgroup_make(spec->cgroup_fd, spec->name, e)
                          : openat(spec->cgroup_fd, spec->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return box->cgroup_parent < 0 || box->cgroup < 0 ? error_errnof(e, -errno, "cgroup %s", spec->name) : 0;
}

/* ---- start ---- */

static void plan_done(BoxPlan *plan)
{
    fd_closep(&plan->channel);
    fd_closep(&plan->null_fd);
    seccomp_filter_done(&plan->filter);
}

static int make_plan(const BoxSpec *spec, Box *box, int *ret_channel, BoxPlan *plan, Error *e)
{
    int pair[2], r;

    plan->spec = spec;
    plan->privileged = geteuid() == 0 && process_in_initial_userns();
    plan->n_given = plan->privileged ? box_count_mounts(spec) : 0;
    plan->outer_uid = geteuid();
    plan->outer_gid = getegid();
    r = seccomp_profile(spec->seccomp ? spec->seccomp : "box", &plan->filter, e);
    if (r < 0)
        return r;
    plan->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (plan->null_fd < 0)
        return error_errnof(e, -errno, "/dev/null");
    r = make_cgroup(spec, box, e);
    if (r >= 0)
        r = box_limits_to_cgroup(spec, box, plan, e);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_errnof(e, -errno, "socketpair");
    *ret_channel = pair[0];
    plan->channel = pair[1];
    plan->far_channel = pair[0];
    return 0;
}

static Box *box_new(const char *name)
{
    Box *box = calloc(1, sizeof(*box));

    if (!box)
        return NULL;
    snprintf(box->name, sizeof(box->name), "%s", name);
    box->pidfd = box->userns = box->cgroup_parent = box->cgroup = box->upper = -EBADF;
    return box;
}

int box_start(const BoxSpec *spec, Box **ret, Error *e)
{
    _cleanup_(plan_done) BoxPlan plan = {.channel = -EBADF, .null_fd = -EBADF};
    _cleanup_(box_freep) Box *box = NULL;
    _cleanup_close_ int channel = -EBADF;
    int r;

    r = check(spec, e);
    if (r < 0)
        return r;
    box = box_new(spec->name);
    if (!box)
        return error_errnof(e, -ENOMEM, "box %s", spec->name);
    r = make_plan(spec, box, &channel, &plan, e);
    if (r >= 0)
        r = birth(&plan, box, channel, e);
    fd_closep(&plan.channel);
    if (r >= 0 && plan.privileged)
        r = give_mounts(&plan, box, channel, e);
    if (r >= 0)
        r = hear_child(box, channel, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(box);
    return 0;
}

int box_pidfd(const Box *box)
{
    return box->pidfd;
}

pid_t box_pid(const Box *box)
{
    return box->pid;
}

int box_upper_fd(Box *box)
{
    int r = box->ended ? box_shift_upper(box) : 0;

    return r < 0 ? r : box->upper;
}

/* ---- end ---- */

static bool killed_for_memory(const Box *box)
{
    uint64_t kills = 0;

    return box->over_limit || (box->result.memory_by_cgroup &&
                               cgroup_get(box->cgroup, "memory.events", "oom_kill", &kills) >= 0 && kills > 0);
}

static void account(Box *box, const siginfo_t *si, const struct rusage *usage)
{
    BoxResult *r = &box->result;

    box->ended = true;
    r->end = si->si_code == CLD_EXITED ? BOX_EXITED : BOX_SIGNALED;
    r->status = si->si_status;
    if (r->end == BOX_SIGNALED && killed_for_memory(box))
        r->end = BOX_OUT_OF_MEMORY;
    if (box->cgroup < 0 || cgroup_get(box->cgroup, "cpu.stat", "usage_usec", &r->cpu_usec) < 0)
        r->cpu_usec = (uint64_t) (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * USEC_PER_SEC +
                      (uint64_t) (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
    if (!r->memory_by_cgroup || cgroup_get(box->cgroup, "memory.peak", NULL, &r->memory_peak) < 0)
        r->memory_peak = MAX((uint64_t) usage->ru_maxrss * 1024, box->peak);
}

/* 1 when PID 1 has ended and is accounted for, 0 when it still runs. When PID 1 can be waited for, the kernel has ended all else in its PID
 * namespace: zap_pid_ns_processes() in kernel/pid_namespace.c. */
static int collect(Box *box)
{
    struct rusage usage = {};
    siginfo_t si = {};

    if (box->ended)
        return 1;
    if (syscall(SYS_waitid, P_PIDFD, box->pidfd, &si, WEXITED | WNOHANG | __WALL, &usage) < 0)
        return -errno;
    if (si.si_pid == 0)
        return 0;
    account(box, &si, &usage);
    return 1;
}

int box_wait(Box *box, uint64_t deadline, BoxResult *ret, Error *e)
{
    for (;;) {
        uint64_t until = box->watched ? MIN(deadline, clock_now() + BOX_WATCH_INTERVAL) : deadline;
        struct pollfd p = {.fd = box->pidfd, .events = POLLIN};
        int r = collect(box);

        if (r < 0)
            return error_errnof(e, r, "box %s: cannot wait for it", box->name);
        if (r > 0)
            break;
        (void) box_watch(box);
        if (clock_now() >= deadline)
            return error_setf(e, -ETIMEDOUT, "box %s still runs", box->name);
        (void) poll(&p, 1, clock_poll_timeout(until));
    }
    *ret = box->result;
    return 0;
}

int box_kill(Box *box)
{
    uint64_t deadline = clock_now() + KILL_TIMEOUT;
    BoxResult ignored;
    int r;

    if (box->pidfd < 0)
        return 0;
    if (!box->ended) {
        r = pidfd_signal(box->pidfd, SIGKILL);
        if (r < 0 && r != -ESRCH)
            return r;
        r = box_wait(box, deadline, &ignored, NULL);
        if (r < 0)
            return r;
    }
    return 0;
}

Box *box_free(Box *box)
{
    if (!box)
        return NULL;
    (void) box_kill(box);
    /* With PID 1 all has ended; what is there nevertheless came from elsewhere. */
    if (box->cgroup_parent >= 0 && unlinkat(box->cgroup_parent, box->name, AT_REMOVEDIR) < 0)
        (void) cgroup_remove(box->cgroup_parent, box->name, NULL);
    fd_closep(&box->pidfd);
    fd_closep(&box->userns);
    fd_closep(&box->cgroup);
    fd_closep(&box->cgroup_parent);
    fd_closep(&box->upper);
    free(box);
    return NULL;
}
