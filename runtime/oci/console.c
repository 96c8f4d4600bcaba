/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <termios.h>

#include "mounts.h"
#include "rootfs.h"
#include "runtime/base/fd.h"
#include "runtime/base/process.h"
#include "runtime/base/socket.h"

int console_connect(const char *path, Error *e)
{
    int fd = socket_connect_stream(path);

    return fd < 0 ? error_errnof(e, fd, "--console-socket %s", path) : fd;
}

static int open_master(int root, Error *e)
{
    _cleanup_close_ int pts = rootfs_open_plain_directory(root, "/dev/pts"), fd = -EBADF;
    struct statfs fs;
    int unlock = 0;

    if (pts < 0 || fstatfs(pts, &fs) < 0)
        return error_errnof(e, pts < 0 ? pts : -errno, "terminal: /dev/pts");
    if (fs.f_type != DEVPTS_SUPER_MAGIC)
        return error_setf(e, -ENODEV, "terminal: needs a devpts mounted on /dev/pts");
    fd = openat(pts, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, TIOCSPTLCK, &unlock) < 0)
        return error_errnof(e, -errno, "terminal: /dev/pts/ptmx");
    return TAKE_FD(fd);
}

int console_receive(int socket, Error *e)
{
    char name[64];
    int fd;
    ssize_t n = socket_receive_fd(socket, name, sizeof(name), &fd);

    if (n < 0)
        return error_errnof(e, (int) n, "terminal");
    return fd < 0 ? error_setf(e, -EPROTO, "terminal: the container has not sent it") : fd;
}

static int mount_dev_console(int root, int peer, Error *e)
{
    _cleanup_close_ int dev = rootfs_open(root, "/dev", ROOTFS_DIRECTORY), made = -EBADF, target = -EBADF,
                        tree = -EBADF;
    struct stat st;
    int r;

    if (dev < 0)
        return error_errnof(e, dev, "/dev/console");
    made = openat(dev, "console", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0620);
    target = openat(dev, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (target < 0 || fstat(target, &st) < 0)
        return error_errnof(e, -errno, "/dev/console");
    if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
        return error_setf(e, -ELOOP, "/dev/console: the root file system has something else there");
    tree = mounts_clone(peer, false);
    r = tree < 0 ? tree : rootfs_attach(tree, target);
    return r < 0 ? error_errnof(e, r, "/dev/console") : 0;
}

static int end_lines_plainly(int tty)
{
    struct termios modes;

    if (tcgetattr(tty, &modes) < 0)
        return -errno;
    modes.c_oflag &= ~(tcflag_t) ONLCR;
    return tcsetattr(tty, TCSANOW, &modes) < 0 ? -errno : 0;
}

int console_setup(const ConfigProcess *p, int root, int socket, bool dev_console, bool plain_lines, Error *e)
{
    struct winsize size = {.ws_row = p->console_height, .ws_col = p->console_width};
    _cleanup_close_ int master = open_master(root, e), peer = -EBADF;
    int r;

    if (master < 0)
        return master;
    peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (peer < 0)
        return error_errnof(e, -errno, "terminal: its other end");
    if ((size.ws_row || size.ws_col) && ioctl(master, TIOCSWINSZ, &size) < 0)
        return error_errnof(e, -errno, "terminal: size");
    if (plain_lines && (r = end_lines_plainly(peer)) < 0)
        return error_errnof(e, r, "terminal: modes");
    r = dev_console ? mount_dev_console(root, peer, e) : 0;
    if (r < 0)
        return r;
    r = socket_send_fd(socket, "/dev/ptmx", strlen("/dev/ptmx"), master);
    if (r < 0)
        return error_errnof(e, r, "--console-socket: cannot send the terminal");
    if (ioctl(peer, TIOCSCTTY, 0) < 0)
        return error_errnof(e, -errno, "terminal: cannot become the controlling one");
    for (int fd = 0; fd <= 2; fd++)
        if (dup2(peer, fd) < 0)
            return error_errnof(e, -errno, "terminal: standard streams");
    return 0;
}

static int carry(int from, int to)
{
    char buf[8192];
    ssize_t n = read(from, buf, sizeof(buf));

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 1 : -errno;
    if (n == 0)
        return 0;
    return fd_write_all(to, buf, (size_t) n) < 0 ? -EIO : 1;
}

static void resize(int master)
{
    struct winsize size;

    if (master >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        (void) ioctl(master, TIOCSWINSZ, &size);
}

static void passed_on(sigset_t *set)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGWINCH};

    sigemptyset(set);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        sigaddset(set, signals[i]);
}

int console_block_signals(void)
{
    sigset_t set;

    passed_on(&set);
    return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

static void pass_on(int signals, int pidfd, int master)
{
    struct signalfd_siginfo si;

    if (read(signals, &si, sizeof(si)) != sizeof(si))
        return;
    if (si.ssi_signo == SIGWINCH)
        resize(master);
    else
        (void) pidfd_signal(pidfd, (int) si.ssi_signo);
}

static int attend(int master, int pidfd, int signals, Relay *relay)
{
    struct pollfd p[] = {{.fd = master, .events = POLLIN},
                         {.fd = master >= 0 ? STDIN_FILENO : -1, .events = POLLIN},
                         {.fd = signals, .events = POLLIN},
                         {.fd = pidfd, .events = POLLIN},
                         {.fd = relay ? relay->in : -1, .events = POLLIN}};

    for (;;) {
        if (poll(p, ARRAY_SIZE(p), -1) < 0) {
            if (errno != EINTR)
                return -errno;
            continue;
        }
        if (p[4].revents && relay_serve(relay, NULL) != 0) /* a manager that is gone is no reason to end */
            p[4].fd = -1;
        if (p[2].revents)
            pass_on(signals, pidfd, master);
        if (p[1].revents && carry(STDIN_FILENO, master) <= 0)
            p[1].fd = -1;
        /* What is left to read comes before the end; -EIO: no one holds the other side any more. */
        if (p[0].revents && carry(master, STDOUT_FILENO) <= 0)
            p[0].fd = -1;
        else if (!p[0].revents && p[3].revents)
            return 0;
    }
}

int console_attend(int master, int pidfd, Relay *relay, Error *e)
{
    _cleanup_close_ int signals = -EBADF;
    struct termios old, raw;
    bool tty = master >= 0 && tcgetattr(STDIN_FILENO, &old) == 0;
    sigset_t set;
    int r;

    passed_on(&set);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (signals < 0)
        return error_errnof(e, -errno, "signals");
    if (tty) {
        raw = old;
        cfmakeraw(&raw);
        (void) tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        resize(master);
    }
    r = attend(master, pidfd, signals, relay);
    if (tty)
        (void) tcsetattr(STDIN_FILENO, TCSANOW, &old);
    return r < 0 ? error_errnof(e, r, "waiting for the container") : 0;
}
