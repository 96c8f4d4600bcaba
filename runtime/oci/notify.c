/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "kept.h"
#include "runtime/base/fd.h"
#include "runtime/base/socket.h"
#include "runtime/base/strbuf.h"
#include "runtime/box/cgroup.h"

#define DIRECTORY "notify"
#define SOCKET "notify.sock"
#define INSIDE "/run/notify"
#define VARIABLE "NOTIFY_SOCKET="
#define DATAGRAM_MAX 4096U
#define STATUS_LENGTH_MAX 200
#define FDS_MAX 16U
#define MANAGER_TIMEOUT 5 /* seconds for a manager that does not read */

/* ---- the container's end ---- */

static int add_variable(ConfigProcess *p, const char *variable)
{
    size_t n = 0;
    const char **env;

    while (p->env && p->env[n])
        n++;
    env = realloc(p->env, (n + 2) * sizeof(*env));
    if (!env)
        return -ENOMEM;
    env[n] = variable;
    env[n + 1] = NULL;
    p->env = env;
    return 0;
}

static int add_mount(Config *c, const char *source, const char *inside)
{
    static const char *const options[] = {"bind", "ro", "nosuid", "nodev", "noexec", NULL};
    ConfigMount *mounts = realloc(c->mounts, (c->n_mounts + 1) * sizeof(*mounts));

    if (!mounts)
        return -ENOMEM;
    c->mounts = mounts;
    mounts[c->n_mounts] = (ConfigMount){.destination = inside, .source = source, .type = "bind"};
    return mount_options_parse(options, &mounts[c->n_mounts++].options);
}

static bool wants_none(const Config *c)
{
    for (const char **env = c->process.env; env && *env; env++)
        if (startswith(*env, VARIABLE))
            return true;
    return kept_agent(c) || !config_new(c, NS_MOUNT);
}

/* The place has the name of the manager's socket, as with crun, unless that lies in a directory that is bound there, where a name of the host's may be taken. */
static const char *place_inside(const Config *c, const char *host)
{
    for (size_t i = 0; i < c->n_mounts; i++) {
        const char *rest = c->mounts[i].options.bind ? startswith(host, c->mounts[i].destination) : NULL;

        if (rest && (*rest == '/' || *rest == '\0' || rest[-1] == '/'))
            return INSIDE;
    }
    return host[0] == '/' && host[1] ? host : INSIDE;
}

int notify_prepare(Config *c, int dir, const char *host, NotifyNames *ret, Error *e)
{
    const char *inside = place_inside(c, host);
    char link[FD_PATH_MAX], path[4096];
    ssize_t n;

    if (wants_none(c))
        return 0;
    n = readlink(fd_path(dir, link), path, sizeof(path) - sizeof("/" DIRECTORY));
    if (n < 0 || mkdirat(dir, DIRECTORY, 0755) < 0 || fchmodat(dir, DIRECTORY, 0755, 0) < 0)
        return error_errnof(e, -errno, "directory of the container's notification socket");
    memcpy(path + n, "/" DIRECTORY, sizeof("/" DIRECTORY));
    ret->source = strdup(path);
    ret->variable = xasprintf(VARIABLE "%s/" SOCKET, inside);
    if (!ret->source || !ret->variable || add_mount(c, ret->source, inside) < 0 ||
        add_variable(&c->process, ret->variable) < 0)
        return error_errnof(e, -ENOMEM, "the container's notification socket");
    return 0;
}

bool notify_has(int dir)
{
    return faccessat(dir, DIRECTORY, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- the manager's end ---- */

static int connect_manager(const char *host, Error *e)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = MANAGER_TIMEOUT};
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    size_t n = strlen(host);

    if ((host[0] != '/' && host[0] != '@') || n >= sizeof(sa.sun_path))
        return error_setf(e, -EINVAL, VARIABLE "%s: is no socket that can be reached", host);
    memcpy(sa.sun_path, host, n);
    if (host[0] == '@') /* an abstract name */
        sa.sun_path[0] = '\0';
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
        connect(fd, (struct sockaddr *) &sa, (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n)) < 0)
        return error_errnof(e, -errno, VARIABLE "%s", host);
    return TAKE_FD(fd);
}

/* The manager asks who has sent a message, which it cannot find out of a process that is gone: so we stay until it has read all. An old manager that does not
 * know of this only closes the fd. */
static void await_manager(int out)
{
    int pipe[2];

    if (pipe2(pipe, O_CLOEXEC) < 0)
        return;
    struct pollfd p = {.fd = pipe[0]};
    int r = socket_send_fd(out, "BARRIER=1", strlen("BARRIER=1"), pipe[1]);

    close(pipe[1]);
    if (r >= 0)
        (void) poll(&p, 1, MANAGER_TIMEOUT * 1000);
    close(pipe[0]);
}

int relay_open(int dir, const char *host, const State *state, Relay *ret, Error *e)
{
    _cleanup_(relay_done) Relay r = RELAY_INIT;
    _cleanup_close_ int at = -EBADF;

    if (!host || !*host)
        return 0;
    at = openat(dir, DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (at < 0)
        return errno == ENOENT ? 0 : error_errnof(e, -errno, "the container's notification socket");
    r.out = connect_manager(host, e);
    if (r.out < 0 && r.out != -ENOENT &&
        r.out != -ECONNREFUSED) /* what is inherited from a session may be out of date */
        return r.out;
    r.in = socket_receive_at(at, SOCKET);
    if (r.in < 0)
        return error_errnof(e, r.in, "the container's notification socket");
    r.state = state;
    *ret = r;
    r = RELAY_INIT;
    return 0;
}

void relay_done(Relay *r)
{
    fd_closep(&r->in);
    fd_closep(&r->out);
}

/* ---- messages ---- */

/* Closes what came along, which is the answer to BARRIER=1, and returns who sent it. */
static pid_t take_control(struct msghdr *msg)
{
    pid_t pid = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        struct ucred cred;
        int fd;

        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
            memcpy(&cred, CMSG_DATA(c), sizeof(cred));
            pid = cred.pid;
        }
        for (size_t at = CMSG_LEN(0); c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && at < c->cmsg_len;
             at += sizeof(fd)) {
            memcpy(&fd, (char *) c + at, sizeof(fd));
            close(fd);
        }
    }
    return pid;
}

/* A sender that has ended already (systemd-notify in a script) cannot be looked at; only the container and the state's owner reach the socket. */
static bool is_ours(const State *s, pid_t pid)
{
    _cleanup_free_ char *path = NULL;
    const char *rest;

    if (!s->cgroup || pid <= 0 || cgroup_path_of(pid, &path, NULL) < 0)
        return pid > 0;
    rest = startswith(path, s->cgroup);
    return rest && (!*rest || *rest == '/');
}

/* Returns the text's length; 0: nothing that counts. */
static size_t receive(const Relay *r, char text[static DATAGRAM_MAX + 1])
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = text, .iov_len = DATAGRAM_MAX};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(r->in, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    pid_t pid = n < 0 ? 0 : take_control(&msg);

    if (n <= 0 || (msg.msg_flags & MSG_TRUNC) || memchr(text, '\0', (size_t) n) || !is_ours(r->state, pid))
        return 0;
    text[n] = '\0';
    return (size_t) n;
}

static int tell(const Relay *r, const char *text, Error *e)
{
    if (r->out < 0)
        return 0;
    return send(r->out, text, strlen(text), MSG_NOSIGNAL) < 0 ? error_errnof(e, -errno, "the service manager") : 0;
}

static int tell_status(Relay *r, const char *line, Error *e)
{
    char text[STATUS_LENGTH_MAX + 1];

    r->statuses++;
    snprintf(text, sizeof(text), "%s", line);
    for (char *c = text; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return tell(r, text, e);
}

int relay_serve(Relay *r, Error *e)
{
    char text[DATAGRAM_MAX + 1] = "", *save = NULL;
    bool ready = false;
    int k = 0;

    if (receive(r, text) == 0)
        return 0;
    for (char *line = strtok_r(text, "\n", &save); line && k >= 0; line = strtok_r(NULL, "\n", &save)) {
        ready |= streq(line, "READY=1");
        if (startswith(line, "STATUS=") && r->statuses < RELAY_STATUS_MAX)
            k = tell_status(r, line, e);
    }
    if (k < 0 || !ready)
        return k;
    snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1", (int) r->state->pid);
    k = tell(r, r->attended ? "READY=1" : text, e);
    if (k < 0)
        return k;
    if (r->out >= 0)
        await_manager(r->out);
    return 1;
}

int relay_await(Relay *r, int pidfd, Error *e)
{
    struct pollfd p[] = {{.fd = r->in, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};

    while (r->in >= 0) {
        int n = poll(p, ARRAY_SIZE(p), pidfd < 0 ? 0 : -1);

        if (n < 0 && errno != EINTR)
            return error_errnof(e, -errno, "waiting for the container to be ready");
        if (n < 0)
            continue;
        if (p[0].revents) { /* what it said before it ended counts */
            n = relay_serve(r, e);
            if (n != 0)
                return n < 0 ? n : 0;
        } else if (pidfd < 0 || p[1].revents) {
            return 0;
        }
    }
    return 0;
}
