/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "clock.h"
#include "fd.h"
#include "file.h"

int pidfd_open_cloexec(pid_t pid)
{
    int fd = (int) syscall(SYS_pidfd_open, pid, 0); /* always close-on-exec */

    return fd < 0 ? -errno : fd;
}

int pidfd_signal(int pidfd, int sig)
{
    return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

/* The inode number of the first user namespace never changes: PROC_USER_INIT_INO in include/linux/proc_ns.h. */
bool process_in_initial_userns(void)
{
    struct stat st;

    return stat("/proc/self/ns/user", &st) == 0 && st.st_ino == 0xEFFFFFFDU;
}

bool process_is_system(void)
{
    const char *run = getenv("XDG_RUNTIME_DIR");

    return geteuid() == 0 && (!run || streq(run, "/run/user/0") || process_in_initial_userns());
}

int wait_status_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int pidfd_pid(int pidfd, pid_t *ret)
{
    _cleanup_close_ int fd = -EBADF;
    char path[64], buf[512];
    const char *line;
    ssize_t n;
    long pid;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = fd_read_full(fd, buf, sizeof(buf) - 1);
    if (n < 0)
        return (int) n;
    buf[n] = '\0';
    line = strstr(buf, "\nPid:");
    if (!line)
        return -EINVAL;
    pid = strtol(line + strlen("\nPid:"), NULL, 10);
    if (pid <= 0)
        return -ESRCH;
    *ret = (pid_t) pid;
    return 0;
}

int pidfd_wait(int pidfd, uint64_t deadline, int *ret_status)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    siginfo_t si = {};
    int r;

    do
        r = poll(&p, 1, clock_poll_timeout(deadline));
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    if (r == 0)
        return -ETIMEDOUT;
    if (waitid((idtype_t) P_PIDFD, (id_t) pidfd, &si, WEXITED) < 0)
        return -errno;
    *ret_status = si.si_code == CLD_EXITED ? (si.si_status & 0xff) << 8 : si.si_status & 0x7f;
    return 0;
}

static _Noreturn void child_exec(const ProcessSpec *spec, int in, int out, int report)
{
    sigset_t none;
    int r;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0 &&
        (!spec->cwd || chdir(spec->cwd) == 0)) {
        if (spec->env)
            environ = (char **) spec->env;
        if (spec->path)
            execv(spec->path, (char *const *) spec->argv);
        else
            execvp(spec->argv[0], (char *const *) spec->argv);
    }
    r = errno;
    (void) !write(report, &r, sizeof(r));
    _exit(127);
}

/* Input and output go through unnamed files, not pipes: no deadlock, and a grandchild that keeps them open holds nobody up. */
static int unnamed_file(const char *data, size_t len)
{
    _cleanup_close_ int fd = (int) syscall(SYS_memfd_create, "moss-io", 1U /* MFD_CLOEXEC */);
    int r;

    if (fd < 0)
        return -errno;
    r = fd_write_all(fd, data ? data : "", len);
    if (r < 0)
        return r;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int finish(pid_t pid, uint64_t timeout_usec, bool leave_children)
{
    _cleanup_close_ int pidfd = pidfd_open_cloexec(pid);
    int status, r;

    if (pidfd < 0)
        return pidfd;
    r = pidfd_wait(pidfd, timeout_usec == UINT64_MAX ? UINT64_MAX : clock_now() + timeout_usec, &status);
    if (r == -ETIMEDOUT || !leave_children)
        kill(-pid, SIGKILL); /* the whole group: what it started ends with it */
    if (r == -ETIMEDOUT) {
        kill(pid, SIGKILL);
        (void) pidfd_wait(pidfd, UINT64_MAX, &status);
    }
    return r < 0 ? r : wait_status_code(status);
}

int process_run(const ProcessSpec *spec, char **ret_output, Error *e)
{
    _cleanup_close_ int in = -EBADF, out = -EBADF, report_r = -EBADF, report_w = -EBADF;
    int report[2], failed = 0, r;
    pid_t pid;

    in = unnamed_file(spec->input, spec->input_len);
    out = unnamed_file(NULL, 0);
    if (in < 0 || out < 0)
        return error_errnof(e, in < 0 ? in : out, "cannot run %s", spec->argv[0]);
    if (pipe2(report, O_CLOEXEC) < 0)
        return error_errnof(e, -errno, "cannot run %s", spec->argv[0]);
    report_r = report[0];
    report_w = report[1];
    pid = fork();
    if (pid < 0)
        return error_errnof(e, -errno, "cannot run %s", spec->argv[0]);
    if (pid == 0)
        child_exec(spec, in, out, report_w);
    fd_closep(&report_w);
    if (fd_read_full(report_r, &failed, sizeof(failed)) == sizeof(failed)) {
        (void) finish(pid, UINT64_MAX, false);
        return error_errnof(e, -failed, "cannot run %s", spec->argv[0]);
    }
    r = finish(pid, spec->timeout_usec, spec->leave_children);
    if (r == -ETIMEDOUT)
        return error_setf(e, r, "%s: not done after %llu ms", spec->argv[0],
                          (unsigned long long) (spec->timeout_usec / USEC_PER_MSEC));
    if (r < 0)
        return error_errnof(e, r, "cannot wait for %s", spec->argv[0]);
    if (ret_output) {
        int q = lseek(out, 0, SEEK_SET) < 0 ? -errno : file_read_fd(out, spec->output_max, ret_output, NULL);

        if (q < 0)
            return error_errnof(e, q, "cannot read what %s printed", spec->argv[0]);
    }
    return r;
}

int process_boot_id(char ret[static BOOT_ID_SIZE])
{
    _cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char buf[BOOT_ID_SIZE];
    ssize_t n = fd < 0 ? -errno : fd_read_full(fd, buf, sizeof(buf) - 1);

    if (n < 0)
        return (int) n;
    if (n < BOOT_ID_SIZE - 1)
        return -EIO;
    buf[BOOT_ID_SIZE - 1] = '\0';
    memcpy(ret, buf, sizeof(buf));
    return 0;
}
