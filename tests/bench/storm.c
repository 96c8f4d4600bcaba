/* SPDX-License-Identifier: Apache-2.0 */

/* New connections at a steady rate, whatever becomes of those before (an open loop), until SIGTERM: what clients see of a server that is swapped below them.
 *
 *     storm ADDRESS RATE FILE       ADDRESS: tcp:PORT (of 127.0.0.1) or unix:@NAME (abstract)
 *
 * A connection sends one GET and reads to the end. It is answered (HTTP status 200), refused (by connect), or cut: accepted by the kernel, and ended without
 * an answer. FILE gets a line for each that is not answered: "refused|cut|lost START END", in nanoseconds of the wall clock, as the one that asks for the swaps has
 * only that. Prints one JSON object at the end. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "tests/bench/bench.h"

#define REQUEST "GET / HTTP/1.0\r\nHost: storm\r\n\r\n"
#define OPEN_MAX_HERE 16000U
#define LOST_NSEC (60 * UINT64_C(1000000000))
#define LATENCIES_MAX 4000000U

typedef struct Connection {
    int fd; /* < 0: free */
    bool sent, seen;
    char head[16];
    size_t got;
    uint64_t start;
} Connection;

typedef struct Storm {
    int epoll;
    FILE *log;
    struct sockaddr_storage sa;
    socklen_t len;
    Connection *all;
    unsigned *unused, n_unused;
    uint64_t *latencies;
    size_t made, answered, refused, cut, lost;
} Storm;

static uint64_t wall(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t) ts.tv_sec * UINT64_C(1000000000) + (uint64_t) ts.tv_nsec;
}

static void end(Storm *s, Connection *c, const char *how, size_t *count)
{
    uint64_t now = wall();

    (*count)++;
    if (how)
        fprintf(s->log, "%s %llu %llu\n", how, (unsigned long long) c->start, (unsigned long long) now);
    else if (s->answered <= LATENCIES_MAX)
        s->latencies[s->answered - 1] = now - c->start;
    close(c->fd);
    c->fd = -EBADF;
    s->unused[s->n_unused++] = (unsigned) (c - s->all);
}

static void begin(Storm *s)
{
    Connection *c;
    struct epoll_event ev = {.events = EPOLLOUT | EPOLLIN};
    int r;

    if (s->n_unused == 0)
        bench_die("more connections are open than are allowed for");
    c = &s->all[s->unused[--s->n_unused]];
    *c = (Connection){.fd = socket(s->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .start = wall()};
    ev.data.ptr = c;
    s->made++;
    if (c->fd < 0)
        bench_die("socket");
    r = connect(c->fd, (struct sockaddr *) &s->sa, s->len) < 0 && errno != EINPROGRESS ? -errno : 0;
    if (r < 0)
        end(s, c, "refused", &s->refused);
    else if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        bench_die("epoll");
}

static void send_request(Storm *s, Connection *c)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

    c->sent = true;
    if (send(c->fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL) != (ssize_t) strlen(REQUEST))
        end(s, c, "cut", &s->cut);
    else
        (void) epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

static void read_answer(Storm *s, Connection *c)
{
    char buf[16384];
    ssize_t n = recv(c->fd, buf, sizeof(buf), 0);
    bool ok;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0) {
        size_t more = MIN((size_t) n, sizeof(c->head) - 1 - c->got);

        memcpy(c->head + c->got, buf, more);
        c->got += more;
        return;
    }
    ok = n == 0 && startswith(c->head, "HTTP/1.") && strstr(c->head, " 200");
    end(s, c, ok ? NULL : "cut", ok ? &s->answered : &s->cut);
}

static void on_event(Storm *s, Connection *c, uint32_t events)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (c->fd < 0)
        return;
    if (!c->seen && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
        c->seen = true;
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error != 0) {
            end(s, c, error == ECONNREFUSED ? "refused" : "cut", error == ECONNREFUSED ? &s->refused : &s->cut);
            return;
        }
    }
    if (!c->sent && (events & EPOLLOUT))
        send_request(s, c);
    else if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        read_answer(s, c);
}

static void expire(Storm *s, bool all)
{
    uint64_t now = wall();

    for (unsigned i = 0; i < OPEN_MAX_HERE; i++)
        if (s->all[i].fd >= 0 && (all || now > s->all[i].start + LOST_NSEC))
            end(s, &s->all[i], "lost", &s->lost);
}

/* As many as may wait at once. */
static void allow_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        bench_die("RLIMIT_NOFILE");
    files.rlim_cur = files.rlim_max;
    (void) setrlimit(RLIMIT_NOFILE, &files);
}

static void address(Storm *s, const char *text)
{
    const char *port = startswith(text, "tcp:"), *name = startswith(text, "unix:@");
    struct sockaddr_in *in = (void *) &s->sa;
    struct sockaddr_un *un = (void *) &s->sa;

    if (port) {
        *in = (struct sockaddr_in){.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t) strtoul(port, NULL, 10)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        s->len = sizeof(*in);
    } else if (name && strlen(name) < sizeof(un->sun_path) - 1) {
        un->sun_family = AF_UNIX;
        memcpy(un->sun_path + 1, name, strlen(name));
        s->len = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    } else
        bench_die(text);
}

/* Until SIGTERM; then for as long as connections are open that may still be answered. */
static void run(Storm *s, uint64_t interval)
{
    uint64_t next = bench_nsec(), stop = UINT64_MAX, checked = next;

    while (bench_nsec() < stop && !(stop != UINT64_MAX && s->n_unused == OPEN_MAX_HERE)) {
        struct epoll_event ev[256];
        uint64_t now = bench_nsec();
        int n;

        for (; stop == UINT64_MAX && next <= now; next += interval)
            begin(s);
        n = epoll_wait(s->epoll, ev, 256, 1);
        for (int i = 0; i < n; i++) {
            if (ev[i].data.ptr)
                on_event(s, ev[i].data.ptr, ev[i].events);
            else if (stop == UINT64_MAX)
                stop = bench_nsec() + LOST_NSEC;
        }
        if (now > checked + 1000000000) {
            expire(s, false);
            checked = now;
        }
    }
    expire(s, true);
}

int main(int argc, char **argv)
{
    Storm s = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
    struct epoll_event ev = {.events = EPOLLIN};
    unsigned long rate = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    sigset_t mask;
    int signals;

    if (rate == 0) {
        fputs("usage: storm tcp:PORT|unix:@NAME RATE FILE\n", stderr);
        return 2;
    }
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signals = signalfd(-1, &mask, SFD_CLOEXEC);
    s.log = fdopen(open(argv[3], O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644), "w");
    s.all = calloc(OPEN_MAX_HERE, sizeof(*s.all));
    s.unused = calloc(OPEN_MAX_HERE, sizeof(*s.unused));
    s.latencies = calloc(LATENCIES_MAX, sizeof(*s.latencies));
    if (!s.log || !s.all || !s.unused || !s.latencies || epoll_ctl(s.epoll, EPOLL_CTL_ADD, signals, &ev) < 0)
        bench_die("storm");
    for (unsigned i = 0; i < OPEN_MAX_HERE; i++) {
        s.all[i].fd = -EBADF;
        s.unused[s.n_unused++] = i;
    }
    address(&s, argv[1]);
    allow_files();
    run(&s, UINT64_C(1000000000) / rate);
    fclose(s.log);
    qsort(s.latencies, MIN(s.answered, (size_t) LATENCIES_MAX), sizeof(uint64_t), bench_compare);
    printf("{\"connections\":%zu,\"answered\":%zu,\"refused\":%zu,\"cut\":%zu,\"lost\":%zu,\"p50_usec\":%llu,\"p99_"
           "usec\":%llu,\"max_usec\":%llu}\n",
           s.made, s.answered, s.refused, s.cut, s.lost,
           s.answered ? (unsigned long long) s.latencies[s.answered / 2] / 1000 : 0,
           s.answered ? (unsigned long long) s.latencies[s.answered * 99 / 100] / 1000 : 0,
           s.answered ? (unsigned long long) s.latencies[s.answered - 1] / 1000 : 0);
    return 0;
}
