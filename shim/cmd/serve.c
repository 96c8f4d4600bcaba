/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/socket.h"
#include "shim/agent/agent.h"
#include "shim/client/client.h"
#include "shim/swap/drive.h"

#define CLIENTS_MAX 32U
#define LOCK_TIMEOUT (30 * USEC_PER_SEC)
#define ANSWER_TIMEOUT (2 * USEC_PER_SEC)

typedef struct Server Server;

typedef struct Client {
    Server *server;
    LoopSource *source;
    int fd;     /* < 0: free */
    bool waits; /* for the end of the swap */
} Client;

struct Server {
    const ServeSpec *spec;
    Loop *loop;
    Drive *drive;
    Agent *agent;
    Store *store;
    int agent_dir, run_dir, lock, listener, signals;
    Client clients[CLIENTS_MAX];
    bool started;  /* spec->started was called */
    bool stopping; /* the agent is told to end */
    bool over;     /* the loop is not to be entered, or left */
    bool leave;    /* the agent runs on */
    Error failure;
};

/* ---- its end ---- */

static void end(Server *s, int r, bool leave)
{
    s->over = true;
    s->leave = leave;
    loop_quit(s->loop, r);
}

static void stop(Server *s)
{
    s->stopping = true;
    drive_stop(s->drive);
}

static void on_stopped(void *userdata)
{
    end(userdata, 0, false);
}

/* ---- clients ---- */

static void client_drop(Client *c)
{
    loop_cancel(&c->source);
    fd_closep(&c->fd);
    c->waits = false;
}

static void client_send(Client *c, json_t *answer)
{
    _unused_ _cleanup_json_ json_t *owned = answer;
    _cleanup_free_ char *text = answer ? json_canonical(answer) : NULL;

    if (!text || socket_send_fd(c->fd, text, strlen(text), -1) < 0)
        client_drop(c);
}

static void client_fail(Client *c, const char *why)
{
    client_send(c, json_pack("{s:b,s:s}", "ok", 0, "error", why));
}

static void on_progress(const char *state, void *userdata)
{
    Server *s = userdata;

    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (s->clients[i].fd >= 0 && s->clients[i].waits)
            client_send(&s->clients[i], json_pack("{s:s}", "event", state));
}

static void on_ended(const json_t *record, void *userdata)
{
    Server *s = userdata;

    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (s->clients[i].fd >= 0 && s->clients[i].waits) {
            json_t *answer = json_deep_copy(record);

            json_object_set_new(answer, "ok", json_true());
            s->clients[i].waits = false;
            client_send(&s->clients[i], answer);
        }
}

static void serve_swap(Client *c, const json_t *request, Error *e)
{
    JsonAt at = {"request", ""};
    SwapRequest swap = {.rehearse = true};
    int r;

    if ((r = json_need_string(request, at, "generation", &swap.generation, e)) < 0 ||
        (r = json_want_string(request, at, "consent", &swap.consent, e)) < 0 ||
        (r = json_want_bool(request, at, "rehearse", &swap.rehearse, e)) < 0)
        return;
    c->waits = true; /* before: the first steps report progress from within */
    if (drive_swap(c->server->drive, &swap, e) < 0)
        c->waits = false;
}

static void serve_rollback(Client *c, const json_t *request, Error *e)
{
    const char *to = NULL;

    if (json_want_string(request, (JsonAt){"request", ""}, "to", &to, e) < 0)
        return;
    c->waits = true;
    if (drive_rollback(c->server->drive, to, e) < 0)
        c->waits = false;
}

static void serve_recover(Client *c, const json_t *request, Error *e)
{
    JsonAt at = {"request", ""};
    Side to = {.epoch = EPOCH_NONE};
    const char *generation = NULL;

    if (json_want_string(request, at, "generation", &generation, e) < 0 ||
        (generation && json_need_integer(request, at, "epoch", 0, INT64_MAX, &to.epoch, e) < 0))
        return;
    snprintf(to.generation, sizeof(to.generation), "%s", generation ? generation : "");
    if (drive_resume(c->server->drive, generation ? &to : NULL, e) >= 0)
        client_send(c, json_pack("{s:b}", "ok", 1));
}

static void serve_discard(Client *c, const json_t *request, Error *e)
{
    int64_t epoch;

    if (json_need_integer(request, (JsonAt){"request", ""}, "epoch", 0, INT64_MAX, &epoch, e) >= 0 &&
        drive_discard(c->server->drive, epoch, e) >= 0)
        client_send(c, json_pack("{s:b}", "ok", 1));
}

static void serve_probe(Client *c, const json_t *request, Error *e)
{
    const char *name;
    json_t *probe;

    if (json_need_string(request, (JsonAt){"request", ""}, "name", &name, e) < 0)
        return;
    probe = drive_probe(c->server->drive, name);
    if (!probe) {
        error_setf(e, -ENOENT, "the agent has no probe \"%.60s\"", name);
        return;
    }
    json_object_set_new(probe, "ok", json_true());
    client_send(c, probe);
}

static void serve_request(Client *c, const json_t *request)
{
    Server *s = c->server;
    JsonAt at = {"request", ""};
    const char *op = "";
    Error e = {};

    (void) json_need_string(request, at, "op", &op, &e);
    if (streq(op, "status"))
        client_send(c, drive_status(s->drive));
    else if (streq(op, "swap"))
        serve_swap(c, request, &e);
    else if (streq(op, "rollback"))
        serve_rollback(c, request, &e);
    else if (streq(op, "recover"))
        serve_recover(c, request, &e);
    else if (streq(op, "probe"))
        serve_probe(c, request, &e);
    else if (streq(op, "discard"))
        serve_discard(c, request, &e);
    else if (streq(op, "stop")) {
        client_send(c, json_pack("{s:b}", "ok", 1));
        stop(s);
    } else if (streq(op, "detach")) {
        client_send(c, json_pack("{s:b}", "ok", 1));
        end(s, 0, true);
    } else if (e.code == 0)
        error_setf(&e, -EINVAL, "request: op \"%.40s\" is unknown", op);
    if (e.code < 0 && c->fd >= 0)
        client_fail(c, e.text);
}

static void on_client(uint32_t events, void *userdata)
{
    Client *c = userdata;
    _cleanup_free_ char *buf = malloc(SHIM_PACKET_MAX);
    _cleanup_json_ json_t *request = NULL;
    _cleanup_close_ int stray = -EBADF;
    Error e = {};
    ssize_t n;

    (void) events;
    n = buf ? socket_receive_fd(c->fd, buf, SHIM_PACKET_MAX, &stray) : -ENOMEM;
    if (n <= 0) {
        client_drop(c);
        return;
    }
    if (json_parse(buf, (size_t) n, "request", &request, &e) < 0)
        client_fail(c, e.text);
    else if (!json_is_object(request))
        client_fail(c, "request: must be an object");
    else if (c->server->stopping)
        client_fail(c, "moss-shim is stopping");
    else
        serve_request(c, request);
}

static void on_connection(uint32_t events, void *userdata)
{
    Server *s = userdata;
    _cleanup_close_ int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    uid_t uid;

    (void) events;
    if (fd < 0 || socket_peer_uid(fd, &uid) < 0 || (uid != 0 && uid != geteuid()))
        return;
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        Client *c = &s->clients[i];

        if (c->fd >= 0)
            continue;
        *c = (Client){.server = s, .fd = TAKE_FD(fd)};
        if (loop_watch(s->loop, c->fd, EPOLLIN, on_client, c, &c->source) < 0)
            client_drop(c);
        return;
    }
}

/* ---- the agent's life ---- */

static void report(Server *s, int r, const char *why)
{
    if (s->started)
        return;
    s->started = true;
    s->spec->started(r, why, s->spec->userdata);
}

static void on_settled(const char *why, void *userdata)
{
    Server *s = userdata;
    Error e = {};

    if (s->started) /* later failures are the restarts' business */
        return;
    if (!why) {
        report(s, 0, NULL);
        return;
    }
    if (drive_head(s->drive)->state == SWAP_HALTED) {
        error_setf(&e, -EHOSTDOWN, "agent \"%s\" is halted: %s; `moss-shim recover %s` starts it again", s->spec->agent,
                   why, s->spec->agent);
        report(s, e.code, e.text);
        return;
    }
    if (drive_tries_again(s->drive))
        return;
    s->stopping = true;
    error_setf(&s->failure, -EIO, "agent \"%s\" does not become ready: %s", s->spec->agent, why);
    end(s, -EIO, false);
}

static void on_signal(uint32_t events, void *userdata)
{
    Server *s = userdata;
    struct signalfd_siginfo si;

    (void) events;
    if (read(s->signals, &si, sizeof(si)) != sizeof(si))
        return;
    if (si.ssi_signo == SIGTERM)
        end(s, 0, true);
    else if (s->stopping)
        end(s, 0, false);
    else
        stop(s);
}

/* ---- setup ---- */

/* A connection says nothing: the kernel makes it for one that was killed, too, until it has put away all of it. */
static bool answers(const char *agent)
{
    _cleanup_json_ json_t *request = json_pack("{s:s}", "op", "status"), *answer = NULL;

    return request && shim_call(agent, request, ANSWER_TIMEOUT, NULL, NULL, &answer, NULL) >= 0;
}

/* Whoever has the lock and does not answer is about to end. */
static int take_lock(Server *s, Error *e)
{
    uint64_t deadline = clock_now() + LOCK_TIMEOUT;

    s->lock = openat(s->run_dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (s->lock < 0)
        return error_errnof(e, -errno, "lock");
    while (flock(s->lock, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return error_errnof(e, -errno, "lock");
        if (answers(s->spec->agent) || clock_now() >= deadline)
            return error_setf(e, -EBUSY, "agent \"%s\" is running already", s->spec->agent);
        usleep(10000);
    }
    return 0;
}

int serve_wait_end(const char *agent, uint64_t timeout_usec, Error *e)
{
    _cleanup_free_ char *run = NULL;
    _cleanup_close_ int dir = -EBADF, lock = -EBADF;
    uint64_t deadline = clock_now() + timeout_usec;
    int r = agent_run_directory(agent, &run, e);

    if (r < 0)
        return r;
    dir = open(run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    lock = dir < 0 ? -EBADF : openat(dir, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (lock < 0)
        return error_errnof(e, -errno, "%s/lock", run);
    while (flock(lock, LOCK_SH | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return error_errnof(e, -errno, "%s/lock", run);
        if (clock_now() >= deadline)
            return error_setf(e, -ETIMEDOUT, "the shim of agent \"%s\" does not end", agent);
        usleep(10000);
    }
    return 0;
}

static int open_all(Server *s, Error *e)
{
    _cleanup_free_ char *run = NULL;
    int r;

    if ((r = agent_load_named(s->spec->store_path, s->spec->agent, &s->agent, e)) < 0)
        return r;
    s->agent_dir = agent_open_directory(s->spec->store_path, s->spec->agent, e);
    if (s->agent_dir < 0)
        return s->agent_dir;
    if ((r = agent_run_directory(s->spec->agent, &run, e)) < 0)
        return r;
    s->run_dir = open(run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->run_dir < 0)
        return error_errnof(e, -errno, "%s", run);
    if ((r = take_lock(s, e)) < 0)
        return r;
    return store_open(s->spec->store_path, &s->store, e);
}

static int listen_all(Server *s, Error *e)
{
    sigset_t mask;
    int r;

    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    s->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signals < 0)
        return error_errnof(e, -errno, "signalfd");
    s->listener = socket_listen_at(s->run_dir, SHIM_SOCKET);
    if (s->listener < 0)
        return error_errnof(e, s->listener, SHIM_SOCKET);
    if ((r = loop_watch(s->loop, s->signals, EPOLLIN, on_signal, s, NULL)) < 0 ||
        (r = loop_watch(s->loop, s->listener, EPOLLIN, on_connection, s, NULL)) < 0)
        return error_errnof(e, r, "event loop");
    return 0;
}

static int begin(Server *s, Error *e)
{
    drive_recover(s->drive);
    if (s->spec->container && !s->over)
        report(
            s, 0,
            NULL); /* engines wait for no gate; and of a halted agent the container stays, for the operator to recover */
    if (drive_head(s->drive)->state != SWAP_HALTED)
        return 0;
    if (s->spec->resume)
        return drive_resume(s->drive, s->spec->to, e);
    on_settled(drive_head(s->drive)->reason, s);
    return 0;
}

static int run(Server *s, Error *e)
{
    DriveSpec spec = {.loop = s->loop,
                      .store = s->store,
                      .agent = s->agent,
                      .agent_dir = s->agent_dir,
                      .run_dir = s->run_dir,
                      .engine = s->spec->container,
                      .settled = on_settled,
                      .progress = on_progress,
                      .ended = on_ended,
                      .stopped = on_stopped,
                      .userdata = s};
    int r;

    if (s->spec->stop && !drive_exists(s->agent, s->agent_dir, s->run_dir))
        return error_setf(e, -ENOENT, "agent \"%s\" is not running", s->spec->agent);
    r = drive_new(&spec, &s->drive, e);
    if (r < 0)
        return r;
    s->leave = drive_adopted(s->drive);
    r = listen_all(s, e);
    if (r < 0)
        return r;
    s->leave = true; /* unless it is told otherwise below */
    if (s->spec->stop)
        stop(s);
    else if ((r = begin(s, e)) < 0)
        return r;
    if (!s->over && (r = loop_run(s->loop)) < 0 && s->failure.code == 0)
        return error_errnof(e, r, "event loop");
    return s->failure.code < 0 ? error_setf(e, s->failure.code, "%s", s->failure.text) : 0;
}

static void server_done(Server *s)
{
    if (s->drive && !s->leave)
        drive_destroy(s->drive);
    drive_free(s->drive);
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        client_drop(&s->clients[i]);
    if (s->listener >= 0)
        (void) unlinkat(s->run_dir, SHIM_SOCKET, 0);
    fd_closep(&s->listener);
    fd_closep(&s->signals);
    store_free(s->store);
    agent_free(s->agent);
    loop_free(s->loop);
    fd_closep(&s->agent_dir);
    fd_closep(&s->lock);
    fd_closep(&s->run_dir);
}

int serve(const ServeSpec *spec, Error *e)
{
    Server s = {
        .spec = spec, .agent_dir = -EBADF, .run_dir = -EBADF, .lock = -EBADF, .listener = -EBADF, .signals = -EBADF};
    int r;

    for (size_t i = 0; i < CLIENTS_MAX; i++)
        s.clients[i].fd = -EBADF;
    prctl(PR_SET_NAME, "moss-shim", 0, 0, 0);
    umask(0077);
    r = loop_new(&s.loop);
    if (r < 0)
        return error_errnof(e, r, "event loop");
    r = open_all(&s, e);
    if (r >= 0)
        r = run(&s, e);
    server_done(&s);
    report(&s, r, r < 0 && e ? e->text : NULL);
    return r;
}
