/* SPDX-License-Identifier: Apache-2.0 */

/* What serving through a held socket costs a request: the same server three times on one machine, in turn.
 *
 *     sockets [ROUNDS [REQUESTS]]
 *
 *   not held   nothing is between it and the kernel
 *   held       under the filter that reports bind and listen, its socket kept by another process
 *   replaced   the same, and its socket is that of a server before it
 *
 * A request is connect, send, accept, receive, answer, receive, close. Prints the median of requests a second, and its ratio to the first. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "runtime/base/socket.h"
#include "shim/hold/hold.h"
#include "tests/bench/bench.h"

enum { NOT_HELD, HELD, REPLACED, SERVERS };
#define ROUNDS_MAX 1000U

typedef struct Server {
    pid_t pid;
    struct sockaddr_in at;
    uint64_t nsec[ROUNDS_MAX];
} Server;

static int allow(void *userdata)
{
    (void) userdata;
    return 0;
}

static void ignore(unsigned tag, int fd, void *userdata)
{
    (void) tag;
    (void) fd;
    (void) userdata;
}

static _Noreturn void serve(struct sockaddr_in at, bool held, int channel)
{
    int on = 1, sock, listener = -EBADF;
    socklen_t len = sizeof(at);
    char byte;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (held && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || (listener = hold_install_filter()) < 0 ||
                 socket_send_fd(channel, "f", 1, listener) < 0))
        bench_die("filter");
    if (listener >= 0)
        close(listener);
    sock = socket(AF_INET, SOCK_STREAM, 0);
    if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(sock, (struct sockaddr *) &at, sizeof(at)) < 0 || listen(sock, 128) < 0 ||
        getsockname(sock, (struct sockaddr *) &at, &len) < 0 || send(channel, &at, sizeof(at), 0) < 0)
        bench_die("server");
    for (;;) {
        int conn = accept(sock, NULL, NULL);

        if (conn < 0)
            bench_die("accept");
        if (read(conn, &byte, 1) == 1)
            (void) !write(conn, &byte, 1);
        close(conn);
    }
}

/* Starts one and answers its calls until it listens. */
static void start(Server *s, in_port_t port, Hold *hold)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    HoldPending pending = {};
    int pair[2], notify = -EBADF;
    char byte;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || (s->pid = fork()) < 0)
        bench_die("fork");
    if (s->pid == 0)
        serve(at, hold != NULL, pair[1]);
    close(pair[1]);
    if (hold && socket_receive_fd(pair[0], &byte, 1, &notify) != 1)
        bench_die("filter");
    for (;;) {
        struct pollfd p[] = {{.fd = notify, .events = POLLIN}, {.fd = pair[0], .events = POLLIN}};

        if (poll(p, 2, -1) < 0)
            bench_die("poll");
        if (p[0].revents & POLLIN)
            (void) hold_handle(hold, notify, -EBADF, &pending);
        if (p[1].revents)
            break;
    }
    if (recv(pair[0], &s->at, sizeof(s->at), 0) != sizeof(s->at))
        bench_die("server");
    close(pair[0]);
    if (notify >= 0)
        close(notify);
}

static void end(Server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

static uint64_t ask(const Server *s, unsigned requests)
{
    uint64_t begin = bench_nsec();

    for (unsigned i = 0; i < requests; i++) {
        int sock = socket(AF_INET, SOCK_STREAM, 0);
        char byte = 'x';

        if (sock < 0 || connect(sock, (const struct sockaddr *) &s->at, sizeof(s->at)) < 0 ||
            write(sock, &byte, 1) != 1 || read(sock, &byte, 1) != 1)
            bench_die("request");
        close(sock);
    }
    return bench_nsec() - begin;
}

int main(int argc, char **argv)
{
    static const char *const labels[] = {"not held", "held", "replaced"};
    const HoldHooks hooks = {.handing = allow, .held = ignore};
    unsigned rounds = argc > 1 ? (unsigned) strtoul(argv[1], NULL, 10) : 100;
    unsigned requests = argc > 2 ? (unsigned) strtoul(argv[2], NULL, 10) : 200;
    static Server servers[SERVERS];
    Hold *hold = NULL;
    double first = 0;

    if (rounds < 1 || rounds > ROUNDS_MAX || requests < 1)
        return 2;
    if (hold_new(&hooks, &hold) < 0)
        bench_die("hold");
    start(&servers[NOT_HELD], 0, NULL);
    start(&servers[REPLACED], 0, hold);
    end(&servers[REPLACED]);
    hold_begin(hold);
    start(&servers[REPLACED], servers[REPLACED].at.sin_port, hold);
    start(&servers[HELD], 0, hold);
    for (unsigned r = 0; r < rounds; r++)
        for (unsigned k = 0; k < SERVERS; k++) {
            Server *s = &servers[(r + k) % SERVERS];

            s->nsec[r] = ask(s, requests);
        }
    for (unsigned k = 0; k < SERVERS; k++) {
        double rate = requests / (bench_median(servers[k].nsec, rounds) / 1e6);

        end(&servers[k]);
        first = k == NOT_HELD ? rate : first;
        printf("%-10s %9.0f requests/s   %.3f\n", labels[k], rate, rate / first);
    }
    hold_free(hold);
    return 0;
}
