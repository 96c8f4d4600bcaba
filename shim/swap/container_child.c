/* SPDX-License-Identifier: Apache-2.0 */
#include "container_child.h"

#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "runtime/base/fd.h"
#include "runtime/base/program.h"
#include "runtime/box/caps.h"
#include "runtime/box/mounts.h"
#include "runtime/box/net.h"
#include "shim/init/protocol.h"

#define INIT_UID 65534U
#define HIGH_FD 10U

int container_seal_init(Error *e)
{
    _cleanup_free_ char *path = NULL;
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    int r;

    if (n < 0)
        return error_errnof(e, -errno, "/proc/self/exe");
    self[n] = '\0';
    r = program_find(self, "moss-init", &path, e);
    return r < 0 ? r : program_seal(path, e);
}

/* ---- the child ---- */

static int make_bare_root(Error *e)
{
    _cleanup_close_ int root = mount_new_tmpfs(1 << 20, 0755, 0, 0, e), proc = -EBADF, at = -EBADF, dev = -EBADF;
    int r;

    if (root < 0)
        return root;
    r = mount_cover_root(root, e);
    if (r < 0)
        return r;
    proc = mount_new_proc(e);
    if (proc < 0)
        return proc;
    at = mount_attach(proc, root, "/proc", e);
    if (at < 0)
        return at;
    dev = mount_new_dev(false, e);
    if (dev < 0)
        return dev;
    r = mount_attach_dev(dev, false, root, "/dev", e);
    return r < 0 ? r : mount_pivot(root, e);
}

static int become_init(Error *e)
{
    const CapSets none = {};
    sigset_t all;

    if (unshare(CLONE_NEWCGROUP) < 0)
        return error_errnof(e, -errno, "cgroup namespace");
    if (caps_drop_bounding(0) < 0 || setgroups(0, NULL) < 0 || setresgid(INIT_UID, INIT_UID, INIT_UID) < 0 ||
        setresuid(INIT_UID, INIT_UID, INIT_UID) < 0 || caps_set(&none) < 0)
        return error_errnof(e, -errno, "cannot drop privileges");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setsid() < 0)
        return error_errnof(e, -errno, "cannot become moss-init");
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL); /* moss-init reads the one it wants from a signalfd */
    return 0;
}

/* The last thing: a change of ids takes it back. The parent may have ended before. */
static int end_with_parent(int channel, Error *e)
{
    struct pollfd p = {.fd = channel, .events = POLLRDHUP};

    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return error_errnof(e, -errno, "PR_SET_PDEATHSIG");
    return poll(&p, 1, 0) == 0 ? 0 : error_setf(e, -EPIPE, "the parent is gone");
}

static int set_up(const ContainerChild *child, Error *e)
{
    char go;
    int r;

    if (read(child->channel, &go, 1) != 1)
        return error_setf(e, -EPIPE, "the parent is gone");
    if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return error_errnof(e, -errno, "cannot become root of the container");
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (sethostname(child->hostname, strlen(child->hostname)) < 0)
        return error_errnof(e, -errno, "hostname %s", child->hostname);
    if (child->own_network && (r = net_loopback_up(e)) < 0)
        return r;
    if ((r = make_bare_root(e)) < 0 || (r = become_init(e)) < 0)
        return r;
    return child->ends_with_parent ? end_with_parent(child->channel, e) : 0;
}

/* Comes back only with an error. `channel` is moved out of the way of the numbers that moss-init expects. */
static int run_init(const ContainerChild *child, int null, int *channel, Error *e)
{
    static const char *const argv[] = {"moss-init", NULL};
    static const char *const env[] = {NULL};
    int high = fcntl(child->channel, F_DUPFD_CLOEXEC, HIGH_FD);
    int program = fcntl(child->program, F_DUPFD_CLOEXEC, HIGH_FD);

    if (high >= 0)
        *channel = high;
    if (high < 0 || program < 0 || dup2(child->listener, INIT_LISTEN_FD) < 0 || dup2(null, 0) < 0 ||
        dup2(null, 1) < 0 || dup2(null, 2) < 0 || close_range(HIGH_FD, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ||
        close_range(INIT_LISTEN_FD + 1, HIGH_FD - 1, 0) < 0)
        return error_errnof(e, -errno, "cannot run moss-init");
    syscall(SYS_execveat, program, "", argv, env, AT_EMPTY_PATH);
    return error_errnof(e, -errno, "cannot run moss-init");
}

_Noreturn void container_child(const ContainerChild *child)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), channel = child->channel;
    Error e = {};

    close(child->parent);
    if (set_up(child, &e) >= 0)
        (void) run_init(child, null, &channel, &e);
    (void) !write(channel, &e, sizeof(e));
    _exit(127);
}
