/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/ioprio.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "rootfs.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/strbuf.h"
#include "sync.h"

#define PASSWD_MAX ((size_t) 1 << 20)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* struct sched_attr of sched_setattr(2), which no header of glibc 2.36 has. */
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t util_min,
        util_max; /* for SCHED_FLAG_UTIL_CLAMP_*: the specification has no values for them, so these clamp nothing */
};
#define UTIL_MAX 1024

int process_limits(const ConfigProcess *p, Error *e)
{
    struct scheduling s = {sizeof(s),         p->sched_policy,   p->sched_flags,
                           p->sched_nice,     p->sched_priority, p->sched_runtime,
                           p->sched_deadline, p->sched_period,   0,
                           UTIL_MAX};

    if (p->has_scheduler && syscall(SYS_sched_setattr, 0, &s, 0) < 0)
        return error_errnof(e, -errno, "process.scheduler");
    if (p->has_io_priority && syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, p->io_priority) < 0)
        return error_errnof(e, -errno, "process.ioPriority");
    for (size_t i = 0; i < p->n_rlimits; i++) {
        const ConfigRlimit *l = &p->rlimits[i];

        if (setrlimit((__rlimit_resource_t) l->resource, &l->limit) < 0)
            return error_errnof(e, -errno, "process.rlimits: cannot set %s to soft %llu, hard %llu", l->name,
                                (unsigned long long) l->limit.rlim_cur, (unsigned long long) l->limit.rlim_max);
    }
    return 0;
}

/* Podman hides what is mounted below /sys/kernel from a runtime that makes a user namespace; the module's parameter stays. */
static bool has_apparmor(void)
{
    _cleanup_close_ int fd = -EBADF;
    char enabled;

    if (access("/sys/kernel/security/apparmor/profiles", F_OK) == 0)
        return true;
    fd = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, &enabled, 1) == 1 && enabled == 'Y';
}

int process_labels_check(const ConfigProcess *p, const char *mount_label, Error *e)
{
    if (p->apparmor && !has_apparmor())
        return error_setf(e, -EOPNOTSUPP, "process.apparmorProfile \"%s\": this host does not have AppArmor",
                          p->apparmor);
    if (p->selinux && access("/sys/fs/selinux/enforce", F_OK) < 0)
        return error_setf(e, -EOPNOTSUPP, "process.selinuxLabel \"%s\": this host does not have SELinux", p->selinux);
    if (mount_label && access("/sys/fs/selinux/enforce", F_OK) < 0)
        return error_setf(e, -EOPNOTSUPP, "linux.mountLabel \"%s\": this host does not have SELinux", mount_label);
    return 0;
}

static int write_label(int procfs, const char *file, const char *text, Error *e)
{
    _cleanup_close_ int fd = -EBADF;
    struct statfs fs;

    if (fstatfs(procfs, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
        return error_setf(e, -EINVAL, "label \"%s\": this is no procfs", text);
    fd = openat(procfs, file, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return error_errnof(e, -errno, "/proc/%s: \"%s\"", file, text);
    return 0;
}

int process_labels(const ConfigProcess *p, int procfs, Error *e)
{
    char text[4096];
    int r;

    if (p->selinux) {
        r = write_label(procfs, "thread-self/attr/exec", p->selinux, e);
        if (r < 0)
            return r;
    }
    if (!p->apparmor)
        return 0;
    snprintf(text, sizeof(text), "exec %s", p->apparmor);
    return write_label(procfs, "thread-self/attr/apparmor/exec", text, e);
}

void process_own_streams(const ConfigProcess *p)
{
    for (int fd = 0; fd <= 2; fd++) {
        struct stat st;

        if (fstat(fd, &st) < 0 || st.st_uid == p->uid || S_ISDIR(st.st_mode))
            continue;
        if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
            continue;                           /* everybody's */
        (void) !fchown(fd, p->uid, (gid_t) -1); /* an owner that this namespace does not know stays */
    }
}

static int set_groups(const ConfigProcess *p, Error *e)
{
    if (p->keep_groups || setgroups(p->n_groups, p->groups) == 0)
        return 0;
    /* Where setgroups is denied for good, having none to set is no error. */
    if (errno == EPERM && p->n_groups == 0)
        return 0;
    return error_errnof(e, -errno, "process.user.additionalGids");
}

/* A magic link as the working directory ("/proc/self/fd/7") would lead to a directory of the host, were one open. */
static int open_cwd(const char *cwd)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, AT_FDCWD, cwd, &how, sizeof(how));

    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (root < 0)
            return -errno;
        fd = rootfs_open(root, cwd, ROOTFS_EXISTING);
        close(root);
        return (int) fd;
    }
    return fd < 0 ? -errno : (int) fd;
}

static int enter_cwd(const char *cwd, Error *e)
{
    _cleanup_close_ int fd = open_cwd(cwd);
    char now[PATH_MAX];

    if (fd < 0 || fchdir(fd) < 0)
        return error_errnof(e, fd < 0 ? fd : -errno, "process.cwd: cannot change to %s", cwd);
    if (syscall(SYS_getcwd, now, sizeof(now)) < 0 || now[0] != '/')
        return error_setf(e, -EPERM, "process.cwd: %s is outside of the container's root", cwd);
    return 0;
}

int process_become(const ConfigProcess *p, const CapSets *caps, bool seccomp_pending, Error *e)
{
    CapSets now = *caps;
    int r, cwd;

    r = caps_drop_bounding(caps->bounding);
    if (r < 0)
        return error_errnof(e, r, "process.capabilities.bounding");
    cwd = enter_cwd(p->cwd, NULL); /* the runtime's right to enter counts, and else the user's own */
    r = caps_keep();
    if (r >= 0)
        r = set_groups(p, e);
    if (r < 0)
        return r;
    if (setresgid(p->gid, p->gid, p->gid) < 0)
        return error_errnof(e, -errno, "process.user.gid: cannot become %u", p->gid);
    if (setresuid(p->uid, p->uid, p->uid) < 0)
        return error_errnof(e, -errno, "process.user.uid: cannot become %u", p->uid);
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) /* a change of ids sets it anew */
        return error_errnof(e, -errno, "dumpable");
    if (seccomp_pending && !p->no_new_privileges) {
        now.permitted |= UINT64_C(1) << CAP_SYS_ADMIN;
        now.effective |= UINT64_C(1) << CAP_SYS_ADMIN;
    }
    r = caps_set(&now);
    if (r < 0)
        return error_errnof(e, r, "process.capabilities");
    if (p->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_errnof(e, -errno, "process.noNewPrivileges");
    umask(p->has_umask ? p->umask : 022);
    return cwd < 0 ? enter_cwd(p->cwd, e) : 0;
}

static const char *search_path(const ConfigProcess *p)
{
    for (const char **v = p->env; v && *v; v++) {
        const char *path = startswith(*v, "PATH=");

        if (path)
            return path;
    }
    return DEFAULT_PATH;
}

/* -ENOENT, -EACCES; 0: can be executed. */
static int executable(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EACCES;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* Engines look for "permission denied". */
static const char *why_denied(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0 || (S_ISREG(st.st_mode) && st.st_mode & 0111))
        return "permission denied";
    return S_ISDIR(st.st_mode)   ? "is a directory: permission denied"
           : S_ISREG(st.st_mode) ? "is not executable: permission denied"
                                 : "is no regular file: permission denied";
}

int process_find(const ConfigProcess *p, char *ret_path, size_t size, Error *e)
{
    const char *name = p->args[0], *path;
    bool denied = false;
    int r;

    if (strchr(name, '/')) {
        r = executable(name);
        if (r < 0)
            return error_setf(e, r, "exec: \"%s\": %s", name,
                              r == -ENOENT   ? "no such file or directory"
                              : r == -EACCES ? why_denied(name)
                                             : strerror(-r));
        if ((size_t) snprintf(ret_path, size, "%s", name) >= size)
            return error_errnof(e, -ENAMETOOLONG, "exec: \"%s\"", name);
        return 0;
    }
    for (path = search_path(p); *path; path += strspn(path, ":")) {
        size_t n = strcspn(path, ":");

        if ((size_t) snprintf(ret_path, size, "%.*s/%s", (int) n, path, name) < size) {
            r = executable(ret_path);
            if (r == 0)
                return 0;
            denied = denied || r == -EACCES;
        }
        path += n;
    }
    if (denied)
        return error_setf(e, -EACCES, "exec: \"%s\": permission denied", name);
    return error_setf(e, -ENOENT, "exec: \"%s\": executable file not found in $PATH", name);
}

/* "HOME=" of the user in the container's /etc/passwd; that file may be anything. */
static char *home_of(uid_t uid)
{
    _cleanup_close_ int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    _cleanup_free_ char *text = NULL;
    char *save = NULL;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || file_read_fd(fd, PASSWD_MAX, &text, NULL) < 0)
        return strdup("HOME=/");
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *field[7] = {}, *rest = line;

        for (size_t i = 0; i < ARRAY_SIZE(field) && rest; i++)
            field[i] = strsep(&rest, ":");
        if (field[5] && field[5][0] == '/' && field[2][0] && strspn(field[2], "0123456789") == strlen(field[2]) &&
            strtoul(field[2], NULL, 10) == uid)
            return xasprintf("HOME=%s", field[5]);
    }
    return strdup("HOME=/");
}

/* Programs expect a HOME, and not every engine sets one. */
static const char **environment(const ConfigProcess *p)
{
    static const char *none[] = {NULL};
    const char **env = p->env ? p->env : none, **with_home;
    size_t n = 0;

    for (; env[n]; n++)
        if (startswith(env[n], "HOME="))
            return env;
    with_home = calloc(n + 2, sizeof(*with_home));
    if (!with_home)
        return env;
    memcpy(with_home, env, n * sizeof(*env));
    with_home[n] = home_of(p->uid);
    return with_home;
}

/* Once the other end has the listener it must be gone here, or nobody would notice the end of who answers. */
static int install(const SeccompFilter *filter, int sync)
{
    int fd, r;

    if (!filter->notify)
        return seccomp_install(filter);
    fd = seccomp_install_listener(filter);
    r = fd < 0 ? fd : sync_send_listener(sync, fd);
    if (r < 0)
        return r;
    (void) sync_wait_go(sync);
    close(fd);
    return 0;
}

int process_confine(const ConfigProcess *p, const CapSets *caps, const SeccompFilter *filter, unsigned keep_fds,
                    int sync, Error *e)
{
    int r;

    if (syscall(SYS_close_range, keep_fds, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return error_errnof(e, -errno, "cannot close what is not the container's");
    if (filter->code) {
        r = install(filter, sync);
        if (r < 0)
            return error_errnof(e, r, "linux.seccomp: the kernel refuses the filter");
        r = p->no_new_privileges ? 0 : caps_set_last(caps);
        if (r < 0)
            return error_errnof(e, r, "process.capabilities: behind the system call filter");
    }
    return 0;
}

int process_exec(const ConfigProcess *p, const char *path, Error *e)
{
    const char **env = environment(p);
    int r;

    execve(path, (char **) p->args, (char **) env);
    r = -errno;
    /* The kernel says "no such file" of a script whose interpreter is missing, too. */
    if (r == -ENOENT)
        return error_setf(e, r, "exec: \"%s\": no such file or directory (it, its interpreter or its loader)", path);
    return error_setf(e, r, "exec: \"%s\": %s", path, r == -EACCES ? "permission denied" : strerror(-r));
}
