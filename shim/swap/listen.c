/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "runtime/base/fd.h"
#include "runtime/base/strbuf.h"

/* A path of the host's, or NULL. */
static const char *path_of(const ListenSpec *l)
{
    const struct sockaddr_un *un = (const void *) &l->sa;

    return l->sa.ss_family == AF_UNIX && un->sun_path[0] ? un->sun_path : NULL;
}

static int refuse(const ListenSpec *l, int r, const char *what, Error *e)
{
    HoldAddress a = {.sa = l->sa, .len = l->len, .type = l->type};
    char text[ADDRESS_TEXT_MAX];

    address_format(&a, text);
    return error_setf(e, r, "cannot listen at %s: %s", text, what);
}

/* What a process that was killed has left is removed; what somebody listens at is not. */
static int remove_stale(const ListenSpec *l, const char *path, Error *e)
{
    _cleanup_close_ int probe = -EBADF;
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : refuse(l, -errno, strerror(errno), e);
    if (!S_ISSOCK(st.st_mode))
        return refuse(l, -EEXIST, "there is a file that is no socket", e);
    probe = socket(AF_UNIX, l->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return refuse(l, -errno, strerror(errno), e);
    if (connect(probe, (const struct sockaddr *) &l->sa, l->len) == 0 || errno != ECONNREFUSED)
        return refuse(l, -EADDRINUSE, strerror(EADDRINUSE), e);
    return unlink(path) < 0 ? refuse(l, -errno, strerror(errno), e) : 0;
}

static int bind_path(const ListenSpec *l, const char *path, int sock, Error *e)
{
    mode_t mask;
    int r = remove_stale(l, path, e);

    if (r < 0)
        return r;
    mask = umask(~l->mode & 0777);
    r = bind(sock, (const struct sockaddr *) &l->sa, l->len) < 0 ? -errno : 0;
    umask(mask);
    return r < 0 ? refuse(l, r, strerror(-r), e) : 0;
}

static int bind_address(const ListenSpec *l, int sock, bool passing, Error *e)
{
    const int on = 1;
    socklen_t len = l->len;

    if (l->sa.ss_family != AF_UNIX)
        (void) setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (l->sa.ss_family == AF_INET6)
        (void) setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (path_of(l)) {
        if (!passing)
            return bind_path(l, path_of(l), sock, e);
        len = sizeof(sa_family_t); /* the kernel makes up a name */
    }
    return bind(sock, (const struct sockaddr *) &l->sa, len) < 0 ? refuse(l, -errno, strerror(errno), e) : 0;
}

static int make(const Container *c, const ListenSpec *l, bool passing, Error *e)
{
    _cleanup_close_ int sock = container_socket(c, l->sa.ss_family, l->type);
    int r;

    if (sock < 0)
        return refuse(l, sock, strerror(-sock), e);
    if ((r = bind_address(l, sock, passing, e)) < 0)
        return r;
    return listen(sock, INT_MAX) < 0 ? refuse(l, -errno, strerror(errno), e) : TAKE_FD(sock);
}

static int open_held(const Container *c, const ListenSpec *l, Hold *hold, Error *e)
{
    const HoldAddress a = {.sa = l->sa, .len = l->len, .type = l->type, .v6only = l->sa.ss_family == AF_INET6};
    int fd = hold_claim(hold, &a), r;

    if (fd >= 0) {
        (void) fcntl(fd, F_SETFL, 0); /* an agent before may have made it non-blocking */
        return fd;
    }
    fd = make(c, l, false, e);
    if (fd < 0)
        return fd;
    r = hold_add(hold, fd);
    return r < 0 ? refuse(l, r, strerror(-r), e) : fd;
}

int listen_open(const Container *c, const Agent *agent, Hold *hold, ListenFds *ret, Error *e)
{
    ListenFds l = {.passing = !hold, .specs = agent->listen};

    for (; l.n < agent->n_listen; l.n++) {
        const ListenSpec *spec = &agent->listen[l.n];
        int fd = hold ? open_held(c, spec, hold, e) : make(c, spec, true, e);

        if (fd < 0) {
            listen_done(&l);
            return fd;
        }
        l.fds[l.n] = fd;
    }
    *ret = l;
    return 0;
}

void listen_done(ListenFds *l)
{
    while (l->passing && l->n > 0)
        close(l->fds[--l->n]);
    l->n = 0;
}

/* ---- in the agent's process ---- */

static int place(const ListenFds *l)
{
    int high[LISTEN_MAX];

    for (size_t i = 0; i < l->n; i++)
        if ((high[i] = fcntl(l->fds[i], F_DUPFD_CLOEXEC, LISTEN_FDS_END)) < 0)
            return -errno;
    for (size_t i = 0; i < l->n; i++)
        if (dup2(high[i], LISTEN_FDS_START + (int) i) < 0)
            return -errno;
    return 0;
}

static char *join_names(const ListenFds *l)
{
    size_t size = sizeof("LISTEN_FDNAMES="), at;
    char *text;

    for (size_t i = 0; i < l->n; i++)
        size += strlen(l->specs[i].name) + 1;
    text = malloc(size);
    if (!text)
        return NULL;
    at = (size_t) snprintf(text, size, "LISTEN_FDNAMES=");
    for (size_t i = 0; i < l->n; i++)
        at += (size_t) snprintf(text + at, size - at, "%s%s", i > 0 ? ":" : "", l->specs[i].name);
    return text;
}

int listen_hand_over(const ListenFds *l, const char *const *env, const char *const **ret_env)
{
    const char **all;
    size_t n = 0;
    int r = place(l);

    if (r < 0)
        return r;
    while (env[n])
        n++;
    all = calloc(n + 4, sizeof(*all));
    if (!all)
        return -ENOMEM;
    memcpy(all, env, n * sizeof(*all));
    all[n] = xasprintf("LISTEN_FDS=%zu", l->n);
    all[n + 1] = xasprintf("LISTEN_PID=%d", (int) getpid());
    all[n + 2] = join_names(l);
    if (!all[n] || !all[n + 1] || !all[n + 2])
        return -ENOMEM; /* the process is about to end */
    *ret_env = all;
    return 0;
}
