/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/socket.h>

#include "peer.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"

#define BATCH 16U
#define REST (10 * USEC_PER_MSEC)
#define FDS_MAX 16U

/* ---- the text ---- */

static int parse_usec(const char *value, size_t len, uint64_t *ret)
{
    uint64_t n = 0;

    if (len == 0 || len > 18)
        return -EBADMSG;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char) value[i]))
            return -EBADMSG;
        n = n * 10 + (uint64_t) (value[i] - '0');
    }
    *ret = n;
    return 0;
}

static bool is(const char *line, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(line, text, len) == 0;
}

static const char *value_of(const char *line, size_t len, const char *key)
{
    size_t n = strlen(key);

    return len >= n && memcmp(line, key, n) == 0 ? line + n : NULL;
}

static int parse_line(const char *line, size_t len, NotifyMessage *m)
{
    const char *value;

    if (is(line, len, "READY=1"))
        m->ready = true;
    else if (is(line, len, "STOPPING=1"))
        m->stopping = true;
    else if (is(line, len, "RELOADING=1"))
        m->reloading = true;
    else if (is(line, len, "WATCHDOG=1"))
        m->alive = true;
    else if (is(line, len, "WATCHDOG=trigger"))
        m->trigger = true;
    else if ((value = value_of(line, len, "EXTEND_TIMEOUT_USEC=")))
        return parse_usec(value, len - (size_t) (value - line), &m->extend_usec);
    else if ((value = value_of(line, len, "STATUS="))) {
        size_t n = MIN(len - (size_t) (value - line), NOTIFY_STATUS_MAX);

        for (size_t i = 0; i < n; i++)
            m->status[i] = value[i];
        m->status[n] = '\0';
        for (char *c = m->status; *c; c++)
            if (*c < ' ' || *c > '~')
                *c = '?';
    }
    return 0;
}

int notify_parse(const char *data, size_t len, NotifyMessage *ret)
{
    NotifyMessage m = {};
    const char *p = data, *end = data + len;

    if (memchr(data, '\0', len))
        return -EBADMSG;
    while (p < end) {
        const char *eol = memchr(p, '\n', (size_t) (end - p));
        size_t n = (size_t) ((eol ? eol : end) - p);
        int r = parse_line(p, n, &m);

        if (r < 0)
            return r;
        p += n + 1;
    }
    *ret = m;
    return 0;
}

/* ---- the socket ---- */

struct Notify {
    Loop *loop;
    int sock;
    const int *cgroup;
    NotifyHeard heard;
    void *userdata;
    LoopSource *source, *rest;
    bool *freed; /* set when `heard` has freed us */
};

Notify *notify_free(Notify *n)
{
    if (!n)
        return NULL;
    if (n->freed)
        *n->freed = true;
    loop_cancel(&n->source);
    loop_cancel(&n->rest);
    fd_closep(&n->sock);
    free(n);
    return NULL;
}

/* Closes what came along: to whoever sent BARRIER=1 that is the answer, and nothing else is asked for. Returns who has sent it. */
static pid_t take_control(struct msghdr *msg)
{
    pid_t pid = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
            struct ucred cred;

            memcpy(&cred, CMSG_DATA(c), sizeof(cred));
            pid = cred.pid;
        } else if (c->cmsg_type == SCM_RIGHTS) {
            size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

            for (size_t i = 0; i < n; i++) {
                int fd;

                memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
                close(fd);
            }
        }
    }
    return pid;
}

/* 1: a message that counts; 0: one that does not; -EAGAIN: there is none. */
static int receive(const Notify *n, NotifyMessage *ret)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    char buf[NOTIFY_DATAGRAM_MAX];
    struct iovec iov = {.iov_base = buf, .iov_len = sizeof(buf)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t len = recvmsg(n->sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    pid_t pid;

    if (len < 0)
        return errno == EINTR ? 0 : -EAGAIN;
    pid = take_control(&msg);
    if ((msg.msg_flags & MSG_TRUNC) || pid <= 0 || !peer_process_is_in(pid, *n->cgroup))
        return 0;
    return notify_parse(buf, (size_t) len, ret) >= 0;
}

static void on_rest_over(uint32_t events, void *userdata);

static void on_datagram(uint32_t events, void *userdata)
{
    Notify *n = userdata;
    bool freed = false;

    (void) events;
    n->freed = &freed;
    for (unsigned i = 0; i < BATCH; i++) {
        NotifyMessage m;
        int r = receive(n, &m);

        if (r > 0)
            n->heard(&m, n->userdata);
        if (freed)
            return;
        if (r < 0) {
            n->freed = NULL;
            return;
        }
    }
    n->freed = NULL;
    /* Somebody is loud: the others have their turn first. */
    loop_cancel(&n->source);
    (void) loop_timer(n->loop, clock_now() + REST, on_rest_over, n, &n->rest);
}

static void on_rest_over(uint32_t events, void *userdata)
{
    Notify *n = userdata;

    (void) events;
    (void) loop_watch(n->loop, n->sock, EPOLLIN, on_datagram, n, &n->source);
}

int notify_new(Loop *loop, int sock, const int *cgroup, NotifyHeard heard, void *userdata, Notify **ret)
{
    Notify *n = calloc(1, sizeof(*n));
    int r;

    if (!n) {
        close(sock);
        return -ENOMEM;
    }
    *n = (Notify){.loop = loop, .sock = sock, .cgroup = cgroup, .heard = heard, .userdata = userdata};
    r = loop_watch(loop, sock, EPOLLIN, on_datagram, n, &n->source);
    if (r < 0) {
        notify_free(n);
        return r;
    }
    *ret = n;
    return 0;
}
