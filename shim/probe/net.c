/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "internal.h"
#include "peer.h"

static void finish_errno(Probe *p, const char *what, int error)
{
    char text[120];

    snprintf(text, sizeof(text), "%s: %s", what, strerror(error));
    probe_finish(p, false, text);
}

/* The answer is there and would do. */
static void pass(Probe *p)
{
    bool ours = peer_is_in(p->fd, p->context->container->cgroup_agent);

    probe_finish(p, ours,
                 p->spec->kind == PROBE_TCP ? "no process of the agent listens there"
                                            : "the answer is not from a process of the agent");
}

/* ---- the exchange ---- */

static void judge_http(Probe *p, bool end)
{
    const ProbeContext *c = p->context;
    Error e = {};
    int r = http_read(p->answer, p->got, end, &p->http, &e);

    if (r == -EAGAIN)
        return;
    if (r >= 0)
        r = http_judge(p->spec, &p->http, c->nonce, c->generation, &e);
    if (r < 0)
        probe_finish(p, false, e.text);
    else
        pass(p);
}

static void judge_grpc(Probe *p, bool end)
{
    Error e = {};
    int r = grpc_judge(p->answer, p->got, end, &e);

    if (r == -EAGAIN)
        return;
    if (r < 0)
        probe_finish(p, false, e.text);
    else
        pass(p);
}

static void on_answer(Probe *p)
{
    ssize_t n = 0;

    if (p->got < sizeof(p->answer)) {
        n = recv(p->fd, p->answer + p->got, sizeof(p->answer) - p->got, MSG_DONTWAIT);
        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR)
                finish_errno(p, "receive", errno);
            return;
        }
    }
    p->got += (size_t) n;
    if (p->spec->kind == PROBE_GRPC)
        judge_grpc(p, n == 0);
    else
        judge_http(p, n == 0);
}

/* 1: all of it is sent. */
static int send_request(Probe *p)
{
    while (p->sent < p->request_len) {
        ssize_t n = send(p->fd, p->request + p->sent, p->request_len - p->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        p->sent += (size_t) n;
    }
    return 1;
}

static void on_socket(uint32_t events, void *userdata);

static int watch(Probe *p, uint32_t events)
{
    loop_cancel(&p->source);
    return loop_watch(p->context->loop, p->fd, events, on_socket, p, &p->source);
}

static void on_writable(Probe *p)
{
    int r = send_request(p);

    if (r > 0)
        r = watch(p, EPOLLIN);
    if (r == -EPIPE || r == -ECONNRESET) /* it may have answered before it has heard all */
        r = watch(p, EPOLLIN);
    if (r < 0)
        finish_errno(p, "send", -r);
}

static void on_socket(uint32_t events, void *userdata)
{
    Probe *p = userdata;
    int error = 0;
    socklen_t len = sizeof(error);

    if (!p->connected) {
        if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0) {
            finish_errno(p, "connect", error ? error : errno);
            return;
        }
        p->connected = true;
        if (p->spec->kind == PROBE_TCP) {
            pass(p);
            return;
        }
    }
    if (events & EPOLLOUT)
        on_writable(p);
    else
        on_answer(p);
}

/* ---- where to ---- */

typedef struct Target {
    struct sockaddr_storage sa;
    socklen_t len;
    int file; /* what the address leads through, to be closed when it was used */
} Target;

/* The agent's file system is hostile: the path is resolved beneath the container's root, and what it leads to is opened before it is connected to. */
static int resolve_unix_path(const Container *c, const char *path, Target *t)
{
    struct sockaddr_un *un = (void *) &t->sa;
    _cleanup_close_ int root = -EBADF;
    char text[64];

    snprintf(text, sizeof(text), "/proc/%d/root", (int) c->pid);
    root = open(text, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return -errno;
    t->file = openat_beneath(root, path + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    if (t->file < 0)
        return t->file;
    un->sun_family = AF_UNIX;
    snprintf(un->sun_path, sizeof(un->sun_path), "/proc/self/fd/%d", t->file);
    t->len = sizeof(*un);
    return 0;
}

static int resolve_unix(const Container *c, const char *name, Target *t)
{
    struct sockaddr_un *un = (void *) &t->sa;
    size_t len = strlen(name);

    if (name[0] != '@')
        return resolve_unix_path(c, name, t);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, name, MIN(len, sizeof(un->sun_path)));
    un->sun_path[0] = '\0';
    t->len = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + len);
    return 0;
}

static int resolve(const Probe *p, Target *t, Error *e)
{
    const char *host = p->spec->host ? p->spec->host : "127.0.0.1";
    struct sockaddr_in *v4 = (void *) &t->sa;
    struct sockaddr_in6 *v6 = (void *) &t->sa;
    int r;

    if (p->spec->socket) {
        r = resolve_unix(p->context->container, p->spec->socket, t);
        return r < 0 ? error_errnof(e, r, "%s", p->spec->socket) : 0;
    }
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(p->spec->port);
        t->len = sizeof(*v4);
        return 0;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(p->spec->port);
        t->len = sizeof(*v6);
        return 0;
    }
    return error_setf(e, -EINVAL, "\"%s\" is no address", host);
}

static int make_request(Probe *p)
{
    if (p->spec->kind == PROBE_HTTP) {
        p->request = http_request(p->spec);
        p->request_len = p->request ? strlen(p->request) : 0;
    } else if (p->spec->kind == PROBE_GRPC)
        p->request = grpc_request(p->spec, &p->request_len);
    return p->request || p->spec->kind == PROBE_TCP ? 0 : -ENOMEM;
}

int probe_net_start(Probe *p, Error *e)
{
    Target t = {.file = -EBADF};
    int r = make_request(p);

    if (r >= 0)
        r = resolve(p, &t, e);
    if (r >= 0)
        r = p->fd = container_socket(p->context->container, t.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK);
    if (r >= 0 && connect(p->fd, (struct sockaddr *) &t.sa, t.len) < 0 && errno != EINPROGRESS)
        r = error_errnof(e, -errno, "connect");
    fd_closep(&t.file);
    return r < 0 ? r : watch(p, EPOLLOUT);
}
