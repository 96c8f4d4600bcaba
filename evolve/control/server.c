/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/socket.h"

#define SOCKET_NAME "control.sock"

typedef struct Client {
    ControlServer *server; /* NULL: the slot is free */
    int fd;
    ControlPeer peer;
    LoopSource *readable, *deadline;
} Client;

struct ControlServer {
    ControlServerSpec spec;
    int fd;
    LoopSource *acceptable;
    Client clients[CONTROL_CLIENTS_MAX];
    char *packet; /* CONTROL_PACKET_MAX bytes: requests are answered one at a time */
};

/* A socket that is closed with requests unread resets the connection, and the peer is shown that before our last answer: read what there is, after which nothing more can
 * come. */
static void drain(int fd)
{
    char byte;

    if (shutdown(fd, SHUT_RD) < 0)
        return;
    while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) > 0)
        ;
}

static void client_drop(Client *c)
{
    if (!c->server)
        return;
    loop_cancel(&c->readable);
    loop_cancel(&c->deadline);
    drain(c->fd);
    fd_closep(&c->fd);
    c->server = NULL;
}

/* Takes the reference. -EAGAIN: the peer does not read. */
static int send_answer(int fd, json_t *answer)
{
    _cleanup_json_ json_t *owned = answer;
    _cleanup_free_ char *text = owned ? json_canonical(owned) : NULL;

    if (!text)
        return -ENOMEM;
    if (strlen(text) > CONTROL_PACKET_MAX)
        return send_answer(fd, control_error("the answer does not fit into a packet"));
    return socket_send_fd(fd, text, strlen(text), -1);
}

static void on_deadline(_unused_ uint32_t events, void *userdata)
{
    Client *c = userdata;

    (void) send_answer(c->fd, control_error("there was no request for 5 seconds"));
    client_drop(c);
}

static int client_wait(Client *c)
{
    loop_cancel(&c->deadline);
    return loop_timer(c->server->spec.loop, clock_now() + CONTROL_SILENCE_USEC, on_deadline, c, &c->deadline);
}

static void on_readable(_unused_ uint32_t events, void *userdata)
{
    Client *c = userdata;
    ControlServer *s = c->server;
    _cleanup_close_ int stray = -EBADF; /* nobody has to send us an fd */
    ssize_t n = socket_receive_fd(c->fd, s->packet, CONTROL_PACKET_MAX, &stray);

    if (n == -EAGAIN)
        return;
    if (n == -EMSGSIZE)
        (void) send_answer(c->fd, control_error("request: has more than 65536 bytes"));
    if (n <= 0 || send_answer(c->fd, s->spec.answer(c->peer, s->packet, (size_t) n, s->spec.userdata)) < 0 ||
        client_wait(c) < 0)
        client_drop(c);
}

static int client_begin(ControlServer *s, Client *c, int fd, ControlPeer peer)
{
    int r;

    *c = (Client){.server = s, .fd = fd, .peer = peer};
    r = loop_watch(s->spec.loop, fd, EPOLLIN, on_readable, c, &c->readable);
    if (r >= 0)
        r = client_wait(c);
    if (r < 0)
        client_drop(c);
    return r;
}

static void turn_away(int fd, const char *why)
{
    (void) send_answer(fd, control_error(why));
    drain(fd);
}

static void on_acceptable(_unused_ uint32_t events, void *userdata)
{
    ControlServer *s = userdata;
    _cleanup_close_ int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    ControlPeer peer;
    uid_t uid;

    if (fd < 0 || socket_peer_uid(fd, &uid) < 0)
        return;
    if (s->spec.admit(uid, &peer, s->spec.userdata) < 0) {
        turn_away(fd, "this socket is the operator's and the agent's");
        return;
    }
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (!s->clients[i].server) {
            (void) client_begin(s, &s->clients[i], TAKE_FD(fd), peer);
            return;
        }
    turn_away(fd, "there are 16 clients already");
}

static ControlServer *server_alloc(const ControlServerSpec *spec)
{
    ControlServer *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->spec = *spec;
    s->fd = -EBADF;
    s->packet = malloc(CONTROL_PACKET_MAX);
    return s->packet ? s : control_server_free(s);
}

int control_server_new(const ControlServerSpec *spec, ControlServer **ret, Error *e)
{
    _cleanup_(control_server_freep) ControlServer *s = server_alloc(spec);
    int r;

    if (!s)
        return error_errnof(e, -ENOMEM, SOCKET_NAME);
    s->fd = socket_listen_at(spec->directory, SOCKET_NAME);
    if (s->fd < 0)
        return error_errnof(e, s->fd, "cannot listen at " SOCKET_NAME);
    /* Who connects and is gone again must not make accept(2) wait for the next one. */
    if (fcntl(s->fd, F_SETFL, O_NONBLOCK) < 0)
        return error_errnof(e, -errno, SOCKET_NAME);
    r = loop_watch(spec->loop, s->fd, EPOLLIN, on_acceptable, s, &s->acceptable);
    if (r < 0)
        return error_errnof(e, r, SOCKET_NAME);
    *ret = TAKE_PTR(s);
    return 0;
}

int control_server_set_open(ControlServer *s, bool open, Error *e)
{
    /* Only who can enter the directory gets this far, and admit() decides. */
    if (fchmodat(s->spec.directory, SOCKET_NAME, open ? 0666 : 0600, 0) < 0)
        return error_errnof(e, -errno, SOCKET_NAME);
    return 0;
}

ControlServer *control_server_free(ControlServer *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        client_drop(&s->clients[i]);
    loop_cancel(&s->acceptable);
    if (s->fd >= 0) {
        close(s->fd);
        (void) unlinkat(s->spec.directory, SOCKET_NAME, 0);
    }
    free(s->packet);
    free(s);
    return NULL;
}
