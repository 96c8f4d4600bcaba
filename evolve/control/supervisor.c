/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/loop.h"
#include "runtime/base/process.h"
#include "runtime/base/strbuf.h"

#define PATIENCE_USEC (10 * USEC_PER_SEC) /* with a worker that was told to end; what it does is safe to kill */
#define RETRY_FIRST_USEC USEC_PER_SEC
#define RETRY_LAST_USEC (60 * USEC_PER_SEC)

typedef struct Supervisor Supervisor;

typedef struct Child {
    struct Child *next;
    Supervisor *owner;
    char *agent;
    int pidfd; /* -EBADF: it does not run */
    uint64_t begun, retry;
    LoopSource *ended, *again;
    bool wanted; /* its agent is there */
} Child;

struct Supervisor {
    SupervisorSpec spec;
    Loop *loop;
    int lock, notify, signals;
    Child *children;
};

static void say(const Supervisor *s, const char *agent, const Error *e)
{
    s->spec.say(agent, e->text);
}

/* ---- one worker ---- */

/* What is the supervisor's alone: above all the lock, which is to be free when it dies. */
static void child_close(Supervisor *s)
{
    for (Child *c = s->children; c; c = c->next)
        fd_closep(&c->pidfd);
    loop_free(s->loop);
    fd_closep(&s->notify);
    fd_closep(&s->signals);
    fd_closep(&s->lock);
}

static _Noreturn void child_main(Supervisor *s, const char *agent, pid_t parent)
{
    WorkerSpec spec = {s->spec.store_path, agent, s->spec.interval_seconds, s->spec.say};
    Error e = {};

    child_close(s);

    /* Whoever kills the daemon kills its workers. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
        _exit(1);
    if (worker_run(&spec, &e) < 0) {
        spec.say(agent, e.text);
        _exit(1);
    }
    _exit(0);
}

static void child_begin(Child *c);

static void on_again(_unused_ uint32_t events, void *userdata)
{
    child_begin(userdata);
}

static void child_later(Child *c)
{
    int r = loop_timer(c->owner->loop, clock_now() + c->retry, on_again, c, &c->again);

    c->retry = MIN(c->retry * 2, RETRY_LAST_USEC);
    if (r < 0)
        loop_quit(c->owner->loop, r);
}

static void child_free(Child *c)
{
    Child **p = &c->owner->children;

    while (*p != c)
        p = &(*p)->next;
    *p = c->next;
    loop_cancel(&c->ended);
    loop_cancel(&c->again);
    fd_closep(&c->pidfd);
    free(c->agent);
    free(c);
}

static void on_ended(_unused_ uint32_t events, void *userdata)
{
    Child *c = userdata;
    Error e = {};
    int status = 0;

    loop_cancel(&c->ended);
    (void) pidfd_wait(c->pidfd, clock_now() + PATIENCE_USEC, &status);
    fd_closep(&c->pidfd);
    if (!c->wanted) {
        child_free(c);
        return;
    }
    if (clock_now() - c->begun > RETRY_LAST_USEC)
        c->retry = RETRY_FIRST_USEC;
    if (WIFSIGNALED(status)) {
        error_setf(&e, -ECHILD, "the worker was killed by signal %d; there will be another one", WTERMSIG(status));
        say(c->owner, c->agent, &e);
    }
    child_later(c);
}

static void child_begin(Child *c)
{
    Supervisor *s = c->owner;
    pid_t parent = getpid(), pid;
    Error e = {};
    int r;

    c->begun = clock_now();
    pid = fork();
    if (pid == 0)
        child_main(s, c->agent, parent);
    c->pidfd = pid < 0 ? -errno : pidfd_open_cloexec(pid);
    r = c->pidfd < 0 ? c->pidfd : loop_watch(s->loop, c->pidfd, EPOLLIN, on_ended, c, &c->ended);
    if (r >= 0)
        return;
    error_errnof(&e, r, "cannot begin the worker");
    say(s, c->agent, &e);
    if (pid > 0) {
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
    }
    fd_closep(&c->pidfd);
    child_later(c);
}

/* ---- all of them ---- */

static Child *child_find(const Supervisor *s, const char *agent)
{
    for (Child *c = s->children; c; c = c->next)
        if (streq(c->agent, agent))
            return c;
    return NULL;
}

static int child_add(Supervisor *s, const char *agent, Error *e)
{
    Child *c = calloc(1, sizeof(*c));

    if (!c)
        return error_errnof(e, -ENOMEM, "%s", agent);
    *c = (Child){.next = s->children, .owner = s, .pidfd = -EBADF, .retry = RETRY_FIRST_USEC, .wanted = true};
    c->agent = strdup(agent);
    if (!c->agent) {
        free(c);
        return error_errnof(e, -ENOMEM, "%s", agent);
    }
    s->children = c;
    child_begin(c);
    return 0;
}

static int rescan(Supervisor *s, Error *e)
{
    _cleanup_(agent_names_freep) char **names = NULL;
    Child *next;
    int r = agent_names(s->spec.store_path, &names, e);

    if (r < 0)
        return r;
    for (Child *c = s->children; c; c = c->next)
        c->wanted = false;
    for (char **name = names; *name; name++) {
        Child *c = child_find(s, *name);

        if (c)
            c->wanted = true;
        else if ((r = child_add(s, *name, e)) < 0)
            return r;
    }
    for (Child *c = s->children; c; c = next) {
        next = c->next;
        if (c->wanted)
            continue;
        if (c->pidfd >= 0)
            (void) pidfd_signal(c->pidfd, SIGTERM);
        else
            child_free(c);
    }
    return 0;
}

static void on_change(_unused_ uint32_t events, void *userdata)
{
    Supervisor *s = userdata;
    char buf[4096];
    Error e = {};

    while (read(s->notify, buf, sizeof(buf)) > 0)
        ;
    if (rescan(s, &e) < 0)
        say(s, NULL, &e);
}

static void on_signal(_unused_ uint32_t events, void *userdata)
{
    Supervisor *s = userdata;

    loop_quit(s->loop, 0);
}

static void supervisor_done(Supervisor *s)
{
    uint64_t deadline = clock_now() + PATIENCE_USEC;
    int status;

    for (Child *c = s->children; c; c = c->next)
        if (c->pidfd >= 0)
            (void) pidfd_signal(c->pidfd, SIGTERM);
    while (s->children) {
        Child *c = s->children;

        if (c->pidfd >= 0 && pidfd_wait(c->pidfd, deadline, &status) < 0) {
            (void) pidfd_signal(c->pidfd, SIGKILL);
            (void) pidfd_wait(c->pidfd, clock_now() + PATIENCE_USEC, &status);
        }
        child_free(c);
    }
    loop_free(s->loop);
    fd_closep(&s->notify);
    fd_closep(&s->signals);
    fd_closep(&s->lock);
}

/* ---- the daemon ---- */

static int take_lock(Supervisor *s, Error *e)
{
    _cleanup_free_ char *path = xasprintf("%s/daemon.lock", s->spec.store_path);

    if (!path)
        return error_errnof(e, -ENOMEM, "daemon.lock");
    s->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (s->lock < 0)
        return error_errnof(e, -errno, "%s", path);
    if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
        return error_setf(e, -EBUSY, "%s: a moss daemon runs for this store already", path);
    return 0;
}

static int watch(Supervisor *s, Error *e)
{
    _cleanup_free_ char *agents = xasprintf("%s/agents", s->spec.store_path);
    sigset_t set;
    int r;

    if (!agents || mkdir_p(agents, 0700) < 0)
        return error_errnof(e, -errno, "%s/agents", s->spec.store_path);
    s->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (s->notify < 0 || inotify_add_watch(s->notify, agents, IN_CREATE | IN_DELETE | IN_MOVE | IN_ONLYDIR) < 0)
        return error_errnof(e, -errno, "cannot watch %s", agents);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return error_errnof(e, -errno, "signals");
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signals < 0)
        return error_errnof(e, -errno, "signals");
    r = loop_watch(s->loop, s->notify, EPOLLIN, on_change, s, NULL);
    if (r >= 0)
        r = loop_watch(s->loop, s->signals, EPOLLIN, on_signal, s, NULL);
    return r < 0 ? error_errnof(e, r, "event loop") : 0;
}

int supervisor_run(const SupervisorSpec *spec, Error *e)
{
    _cleanup_(supervisor_done) Supervisor s = {.spec = *spec, .lock = -EBADF, .notify = -EBADF, .signals = -EBADF};
    int r = loop_new(&s.loop);

    if (r < 0)
        return error_errnof(e, r, "event loop");
    if ((r = watch(&s, e)) < 0 || (r = take_lock(&s, e)) < 0 || (r = rescan(&s, e)) < 0)
        return r;
    spec->ready();
    r = loop_run(s.loop);
    return r < 0 ? error_errnof(e, r, "event loop") : 0;
}
