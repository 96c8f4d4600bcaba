/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "http.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/process.h"
#include "shim/swap/spawn.h"

#define KILL_TIMEOUT (2 * USEC_PER_SEC)

struct Probe {
    const ProbeContext *context;
    const ProbeSpec *spec;
    ProbeDone done;
    void *userdata;
    LoopSource *source, *timer;
    int fd; /* socket, or pidfd of exec */
    bool connected;
    char *request;
    size_t sent, got;
    char answer[HTTP_ANSWER_MAX];
    Error early; /* what went wrong before the loop had it */
};

Probe *probe_cancel(Probe *p)
{
    if (!p)
        return NULL;
    loop_cancel(&p->source);
    loop_cancel(&p->timer);
    if (p->spec->kind == PROBE_EXEC && p->fd >= 0) {
        int status;

        (void) container_clear(p->context->container, &p->context->container->cgroup_probe, NULL);
        (void) pidfd_wait(p->fd, clock_now() + KILL_TIMEOUT, &status);
    }
    fd_closep(&p->fd);
    free(p->request);
    free(p);
    return NULL;
}

static void finish(Probe *p, bool ok, const char *why)
{
    char text[sizeof(p->early.text)];
    ProbeDone done = p->done;
    void *userdata = p->userdata;

    snprintf(text, sizeof(text), "%s", why ? why : "");
    probe_cancel(p);
    done(ok, ok ? NULL : text, userdata);
}

static void finish_errno(Probe *p, const char *what, int error)
{
    char text[120];

    snprintf(text, sizeof(text), "%s: %s", what, strerror(error));
    finish(p, false, text);
}

static void on_timeout(uint32_t events, void *userdata)
{
    Probe *p = userdata;
    char text[80];

    (void) events;
    if (p->early.code < 0) {
        finish(p, false, p->early.text);
        return;
    }
    snprintf(text, sizeof(text), "no answer within %u s", p->spec->timeout_seconds);
    finish(p, false, text);
}

/* ---- network ---- */

static int send_request(Probe *p)
{
    size_t len = strlen(p->request);

    while (p->sent < len) {
        ssize_t n = send(p->fd, p->request + p->sent, len - p->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        p->sent += (size_t) n;
    }
    return 1;
}

static void on_answer(Probe *p)
{
    const ProbeContext *c = p->context;
    Error e = {};
    ssize_t n;
    int r;

    if (p->got == sizeof(p->answer)) {
        finish(p, false, "the answer is too long");
        return;
    }
    n = recv(p->fd, p->answer + p->got, sizeof(p->answer) - p->got, MSG_DONTWAIT);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            finish_errno(p, "receive", errno);
        return;
    }
    p->got += (size_t) n;
    r = http_judge(p->spec, p->answer, p->got, n == 0, c->nonce, c->generation, &e);
    if (r != -EAGAIN)
        finish(p, r > 0, e.text);
}

static void on_socket(uint32_t events, void *userdata);

static int watch(Probe *p, uint32_t events)
{
    loop_cancel(&p->source);
    return loop_watch(p->context->loop, p->fd, events, on_socket, p, &p->source);
}

static void on_socket(uint32_t events, void *userdata)
{
    Probe *p = userdata;
    int r, error = 0;
    socklen_t len = sizeof(error);

    if (!p->connected) {
        if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0) {
            finish_errno(p, "connect", error ? error : errno);
            return;
        }
        p->connected = true;
        if (p->spec->kind == PROBE_TCP) {
            finish(p, true, NULL);
            return;
        }
    }
    if (events & EPOLLOUT) {
        r = send_request(p);
        if (r > 0)
            r = watch(p, EPOLLIN);
        if (r < 0)
            finish_errno(p, "send", -r);
        return;
    }
    on_answer(p);
}

static int resolve(const ProbeSpec *spec, struct sockaddr_storage *ret, socklen_t *ret_len)
{
    const char *host = spec->host ? spec->host : "127.0.0.1";
    struct sockaddr_in *v4 = (void *) ret;
    struct sockaddr_in6 *v6 = (void *) ret;

    *ret = (struct sockaddr_storage){};
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(spec->port);
        *ret_len = sizeof(*v4);
        return 0;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(spec->port);
        *ret_len = sizeof(*v6);
        return 0;
    }
    return -EINVAL; /* names would need a resolver, and a probe must not depend on one */
}

static int start_socket(Probe *p, Error *e)
{
    struct sockaddr_storage sa;
    socklen_t len;
    int r;

    r = resolve(p->spec, &sa, &len);
    if (r < 0)
        return error_setf(e, r, "\"%s\" is no address", p->spec->host);
    p->fd = container_socket(p->context->container, sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK);
    if (p->fd < 0)
        return error_errnof(e, p->fd, "socket");
    p->request = http_request(p->spec);
    if (!p->request)
        return -ENOMEM;
    if (connect(p->fd, (struct sockaddr *) &sa, len) < 0 && errno != EINPROGRESS)
        return error_errnof(e, -errno, "connect");
    return watch(p, EPOLLOUT);
}

/* ---- exec ---- */

static void on_exit_status(uint32_t events, void *userdata)
{
    Probe *p = userdata;
    char text[80];
    int status = 0, code;

    (void) events;
    if (pidfd_wait(p->fd, UINT64_MAX, &status) < 0)
        status = 255 << 8;
    code = wait_status_code(status);
    snprintf(text, sizeof(text), "%.60s: exit status %d", p->spec->argv[0], code);
    finish(p, code == 0, text);
}

static int start_exec(Probe *p, Error *e)
{
    const ProbeContext *c = p->context;
    _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    SpawnSpec spec = {.argv = p->spec->argv,
                      .env = c->env,
                      .cwd = c->agent->run_cwd,
                      .uid = c->agent->run_uid,
                      .gid = c->agent->run_gid,
                      .output = null,
                      .cgroup = c->container->cgroup_probe,
                      .filter = c->filter,
                      .landlock = c->agent->landlock};
    Spawned s;
    int r = container_spawn(c->container, &spec, &s, e);

    if (r < 0)
        return r;
    p->fd = s.pidfd;
    return loop_watch(c->loop, p->fd, EPOLLIN, on_exit_status, p, &p->source);
}

int probe_start(const ProbeContext *context, const ProbeSpec *spec, ProbeDone done, void *userdata, Probe **ret)
{
    Probe *p = calloc(1, sizeof(*p));
    uint64_t limit;
    int r;

    if (!p)
        return -ENOMEM;
    p->context = context;
    p->spec = spec;
    p->done = done;
    p->userdata = userdata;
    p->fd = -EBADF;
    r = spec->kind == PROBE_EXEC ? start_exec(p, &p->early) : start_socket(p, &p->early);
    if (r < 0 && p->early.code == 0)
        error_errnof(&p->early, r, "probe");
    limit = r < 0 ? 0 : clock_now() + MAX(spec->timeout_seconds, 1U) * USEC_PER_SEC;
    r = loop_timer(context->loop, limit, on_timeout, p, &p->timer);
    if (r < 0) {
        probe_cancel(p);
        return r;
    }
    *ret = p;
    return 0;
}
