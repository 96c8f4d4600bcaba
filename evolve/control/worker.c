/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>

#include "evolve/evidence/evidence.h"
#include "peer.h"
#include "rate.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "server.h"

/* The agent may ask this much: a flag reads session files. */
#define AGENT_BURST 10U
#define AGENT_USEC_EACH (2 * USEC_PER_SEC)

typedef struct Worker {
    WorkerSpec spec;
    Loop *loop;
    int control, notify, signals;
    Agent *agent; /* NULL: it could not be loaded yet, `broken` says why */
    Error broken;
    ControlServer *server;
    json_t *catch_up; /* of the last time */
    LoopSource *timer;
    Rate rate;
} Worker;

static void worker_done(Worker *w)
{
    control_server_free(w->server);
    loop_free(w->loop);
    fd_closep(&w->notify);
    fd_closep(&w->signals);
    fd_closep(&w->control);
    agent_free(w->agent);
    json_decref(w->catch_up);
}

static void say(const Worker *w, const char *fmt, ...) _printf_(2, 3);
static void say(const Worker *w, const char *fmt, ...)
{
    char text[sizeof(w->broken.text) + 100];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    w->spec.say(w->spec.agent, text);
}

/* ---- catch-up ---- */

int worker_catch_up(const char *store_path, const Agent *agent, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *report = NULL;
    Error why = {};
    char now[21];
    int r;

    if (agent_can_evolve(agent, NULL) < 0)
        return 0;
    clock_iso8601(now);
    r = evidence_catch_up(store_path, agent, &report, &why);
    if (r < 0 && r != -ENOENT) { /* it has no sessions yet */
        error_setf(e, r, "%s", why.code ? why.text : strerror(-r));
        *ret = json_pack("{s:s, s:s}", "at", now, "error", why.code ? why.text : strerror(-r));
        return r;
    }
    *ret = json_pack("{s:s, s:I}", "at", now, "new_chunks", json_integer_value(json_object_get(report, "new_chunks")));
    return *ret ? 0 : error_errnof(e, -ENOMEM, "catch-up");
}

static void on_time(uint32_t events, void *userdata);

static void set_timer(Worker *w, uint64_t deadline)
{
    int r;

    loop_cancel(&w->timer);
    r = loop_timer(w->loop, deadline, on_time, w, &w->timer);
    if (r < 0)
        loop_quit(w->loop, r);
}

static void on_time(_unused_ uint32_t events, void *userdata)
{
    Worker *w = userdata;
    unsigned interval = w->spec.interval_seconds;
    json_t *report = NULL;
    Error e = {};

    if (w->agent && w->agent->evidence_interval_seconds)
        interval = w->agent->evidence_interval_seconds;
    if (w->agent && worker_catch_up(w->spec.store_path, w->agent, &report, &e) < 0)
        say(w, "%s", e.text);
    if (report) {
        json_int_t n = json_integer_value(json_object_get(report, "new_chunks"));

        if (n > 0)
            say(w, "%" JSON_INTEGER_FORMAT " new complaints", n);
        json_decref(w->catch_up);
        w->catch_up = report;
    }
    set_timer(w, clock_now() + interval * USEC_PER_SEC);
}

/* ---- the agent's settings ---- */

static void load_agent(Worker *w)
{
    Agent *a = NULL;
    Error e = {};

    if (agent_load_named(w->spec.store_path, w->spec.agent, &a, &e) < 0) {
        say(w, "%s", e.text);
        w->broken = e;
        return;
    }
    agent_free(w->agent);
    w->agent = a;
    if (control_server_set_open(w->server, a->control, &e) < 0)
        say(w, "%s", e.text);
    set_timer(w, clock_now());
}

/* Is it about agent.json, or have we lost track? */
static bool concerns_agent(const struct inotify_event *event, const char *name)
{
    return event->mask & IN_Q_OVERFLOW || (event->len > 0 && streq(name, "agent.json"));
}

static void on_change(_unused_ uint32_t events, void *userdata)
{
    Worker *w = userdata;
    bool changed = false, gone = false;
    char buf[4096];
    ssize_t n;

    while ((n = read(w->notify, buf, sizeof(buf))) > 0)
        for (const char *p = buf; p < buf + n;) {
            struct inotify_event event;

            memcpy(&event, p, sizeof(event));
            changed |= concerns_agent(&event, p + sizeof(event));
            gone |= (event.mask & (IN_MOVE_SELF | IN_DELETE_SELF)) != 0;
            p += sizeof(event) + event.len;
        }
    if (gone) /* removed, or another one has its name: the supervisor knows */
        loop_quit(w->loop, 0);
    else if (changed)
        load_agent(w);
}

/* ---- the socket ---- */

static int admit(uid_t uid, ControlPeer *ret, void *userdata)
{
    const Worker *w = userdata;

    return control_peer(w->agent, uid, ret);
}

static json_t *answer(ControlPeer peer, const char *packet, size_t len, void *userdata)
{
    Worker *w = userdata;
    uint64_t wait = peer == CONTROL_AGENT ? rate_take(&w->rate, clock_now()) : 0;
    Error e = {};

    if (wait > 0) {
        error_setf(&e, -EBUSY, "too many requests: ask again in %llu seconds",
                   (unsigned long long) ((wait + USEC_PER_SEC - 1) / USEC_PER_SEC));
        return control_error(e.text);
    }
    if (!w->agent)
        return control_error(w->broken.text);
    return control_answer(&(ControlPlace){w->spec.store_path, w->agent, w->catch_up}, peer, packet, len);
}

/* ---- the process ---- */

static void on_signal(_unused_ uint32_t events, void *userdata)
{
    Worker *w = userdata;

    loop_quit(w->loop, 0);
}

static int open_control(Worker *w, Error *e)
{
    _cleanup_free_ char *path = NULL;
    int r = agent_control_directory(w->spec.agent, &path, e);

    if (r < 0)
        return r;
    w->control = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (w->control < 0)
        return error_errnof(e, -errno, "%s", path);
    if (flock(w->control, LOCK_EX | LOCK_NB) < 0)
        return error_setf(e, -EBUSY, "%s: another moss daemon listens there", path);
    return 0;
}

static int watch_agent(Worker *w, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(w->spec.store_path, w->spec.agent, e);
    char path[FD_PATH_MAX];
    int r;

    if (dir < 0)
        return dir;
    w->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->notify < 0 ||
        inotify_add_watch(w->notify, fd_path(dir, path), IN_MOVED_TO | IN_MOVE_SELF | IN_DELETE_SELF) < 0)
        return error_errnof(e, -errno, "cannot watch the agent's directory");
    r = loop_watch(w->loop, w->notify, EPOLLIN, on_change, w, NULL);
    return r < 0 ? error_errnof(e, r, "cannot watch the agent's directory") : 0;
}

static int watch_signals(Worker *w, Error *e)
{
    sigset_t set;
    int r;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    r = w->signals < 0 ? -errno : loop_watch(w->loop, w->signals, EPOLLIN, on_signal, w, NULL);
    return r < 0 ? error_errnof(e, r, "signals") : 0;
}

int worker_run(const WorkerSpec *spec, Error *e)
{
    _cleanup_(worker_done) Worker w = {
        .spec = *spec,
        .control = -EBADF,
        .notify = -EBADF,
        .signals = -EBADF,
        .rate = rate_make(AGENT_BURST, AGENT_USEC_EACH, clock_now()),
    };
    int r = loop_new(&w.loop);

    if (r < 0)
        return error_errnof(e, r, "event loop");
    if ((r = open_control(&w, e)) < 0 || (r = watch_signals(&w, e)) < 0 || (r = watch_agent(&w, e)) < 0)
        return r;
    r = control_server_new(
        &(ControlServerSpec){.loop = w.loop, .directory = w.control, .admit = admit, .answer = answer, .userdata = &w},
        &w.server, e);
    if (r < 0)
        return r;
    load_agent(&w);
    r = loop_run(w.loop);
    return r < 0 ? error_errnof(e, r, "event loop") : 0;
}
