/* SPDX-License-Identifier: Apache-2.0 */
#include "incarnation.h"

#include <signal.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "drain.h"
#include "listen.h"
#include "pivot.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/process.h"
#include "runtime/base/socket.h"
#include "runtime/base/strbuf.h"
#include "runtime/box/cgroup.h"
#include "shim/init/protocol.h"
#include "shim/probe/checks.h"
#include "spawn.h"

#define NOTIFY_SOCKET "notify.sock"

struct Incarnation {
    IncarnationSpec spec;
    char generation[DIGEST_SIZE], nonce[33];
    const char **env;
    char *own_env[4]; /* what MOSS adds to the agent's */
    Spawned process;
    LoopSource *exit_source, *notify_source;
    ProbeContext context;
    Checks *checks;
    Drain *drain;
};

pid_t incarnation_pid(const Incarnation *i)
{
    return i->process.pidfd >= 0 ? i->process.pid : 0;
}

bool incarnation_ready(const Incarnation *i)
{
    return checks_ready(i->checks);
}

Incarnation *incarnation_free(Incarnation *i)
{
    if (!i)
        return NULL;
    drain_free(i->drain);
    checks_free(i->checks);
    loop_cancel(&i->exit_source);
    loop_cancel(&i->notify_source);
    fd_closep(&i->process.pidfd);
    fd_closep(&i->process.notify);
    for (size_t k = 0; k < ARRAY_SIZE(i->own_env); k++)
        free(i->own_env[k]);
    free(i->env);
    free(i);
    return NULL;
}

json_t *incarnation_probes(const Incarnation *i)
{
    return checks_to_json(i->checks);
}

json_t *incarnation_probe(const Incarnation *i, const char *name)
{
    return checks_probe_to_json(i->checks, name);
}

json_t *incarnation_blame(const Incarnation *i)
{
    return checks_blame(i->checks);
}

json_t *incarnation_unmet(const Incarnation *i)
{
    return checks_unmet(i->checks);
}

const char *incarnation_says(const Incarnation *i)
{
    return checks_status(i->checks);
}

/* ---- health ---- */

static void on_verdict(HealthVerdict verdict, const char *why, void *userdata)
{
    static const IncarnationEvent events[] = {
        [HEALTH_READY] = INCARNATION_READY,
        [HEALTH_NOT_READY] = INCARNATION_NOT_READY,
        [HEALTH_FAILED] = INCARNATION_FAILED,
    };
    Incarnation *i = userdata;

    if (verdict == HEALTH_READY && i->spec.memory)
        i->spec.memory->ready = true;
    i->spec.event(events[verdict], why, i->spec.userdata);
}

static void on_heard(const NotifyMessage *m, void *userdata)
{
    Incarnation *i = userdata;

    if (m->ready && i->spec.memory)
        i->spec.memory->announced = true;
    if (!i->drain)
        return;
    if (m->stopping)
        drain_stopping(i->drain);
    if (m->extend_usec)
        drain_extend(i->drain, m->extend_usec);
}

static void on_overdue(const char *why, void *userdata)
{
    Incarnation *i = userdata;

    i->spec.event(INCARNATION_OVERDUE, why, i->spec.userdata);
}

void incarnation_signal(Incarnation *i, int sig)
{
    if (i->process.pidfd >= 0)
        (void) pidfd_signal(i->process.pidfd, sig);
}

void incarnation_drain(Incarnation *i)
{
    DrainOrder order = {&i->context, i->process.pidfd, on_overdue, i};

    checks_stop(i->checks);
    if (i->spec.memory)
        i->spec.memory->drained = true;
    if (!i->drain && drain_start(&order, &i->drain) < 0)
        (void) pidfd_signal(i->process.pidfd, SIGKILL);
}

/* ---- the process ---- */

static void on_exit_status(uint32_t events, void *userdata)
{
    Incarnation *i = userdata;
    char why[80];
    int status = 0;

    (void) events;
    loop_cancel(&i->exit_source);
    checks_stop(i->checks);
    if (container_exit_status(i->spec.container, &status) < 0)
        snprintf(why, sizeof(why), "the agent has ended");
    else if (WIFSIGNALED(status))
        snprintf(why, sizeof(why), "the agent was killed by signal %d", WTERMSIG(status));
    else
        snprintf(why, sizeof(why), "the agent has exited with status %d", WEXITSTATUS(status));
    fd_closep(&i->process.pidfd);
    if (i->spec.hold)
        hold_wait(i->spec.hold);
    i->spec.event(INCARNATION_DIED, why, i->spec.userdata);
}

static void on_socket_call(uint32_t events, void *userdata)
{
    Incarnation *i = userdata;

    if (events & EPOLLIN)
        (void) hold_handle(i->spec.hold, i->process.notify, i->spec.container->cgroup_agent, &i->spec.memory->pending);
    else
        loop_cancel(&i->notify_source); /* the last process under the filter is gone */
}

static int make_nonce(Incarnation *i)
{
    unsigned char random[16];

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return -EIO;
    for (size_t b = 0; b < sizeof(random); b++)
        snprintf(i->nonce + 2 * b, 3, "%02x", random[b]);
    return 0;
}

static int make_own_environment(Incarnation *i)
{
    const Agent *a = i->spec.agent;
    size_t n = 0;

    i->own_env[n++] = xasprintf("MOSS_GENERATION=%s", i->generation);
    i->own_env[n++] = xasprintf("MOSS_NONCE=%s", i->nonce);
    if (agent_notifies(a))
        i->own_env[n++] = strdup("NOTIFY_SOCKET=" CONTAINER_NOTIFY);
    if (a->watchdog_seconds)
        i->own_env[n++] = xasprintf("WATCHDOG_USEC=%llu", a->watchdog_seconds * USEC_PER_SEC);
    while (n-- > 0)
        if (!i->own_env[n])
            return -ENOMEM;
    return 0;
}

static int make_environment(Incarnation *i)
{
    const char *const *given = (const char *const *) i->spec.agent->run_env;
    size_t n = 0, k = 0;
    int r = make_own_environment(i);

    if (r < 0)
        return r;
    while (given[n])
        n++;
    i->env = calloc(n + ARRAY_SIZE(i->own_env) + 1, sizeof(*i->env));
    if (!i->env)
        return -ENOMEM;
    for (; k < n; k++)
        i->env[k] = given[k];
    for (n = 0; n < ARRAY_SIZE(i->own_env); n++)
        if (i->own_env[n])
            i->env[k++] = i->own_env[n];
    return 0;
}

/* The page is filled before moss-init hears of the process that it is about. */
static void remember(const Incarnation *i)
{
    Memory *m = i->spec.memory;

    memcpy(m->generation, i->generation, sizeof(m->generation));
    memcpy(m->nonce, i->nonce, sizeof(m->nonce));
    m->epoch = i->spec.epoch;
    m->network = i->spec.agent->network;
    m->since = clock_now();
    m->announced = m->ready = m->drained = false;
}

static int on_born(const Spawned *s, void *userdata, Error *e)
{
    Incarnation *i = userdata;
    Container *c = i->spec.container;
    int r;

    if (i->spec.memory)
        remember(i);
    r = container_keep(c, INIT_TAG_CALLS, s->notify);
    if (r >= 0)
        r = container_keep(c, INIT_TAG_AGENT, s->pidfd);
    return r < 0 ? error_errnof(e, r, "moss-init does not take the agent") : 0;
}

static int watch(Incarnation *i, Error *e)
{
    int r = loop_watch(i->spec.loop, i->process.pidfd, EPOLLIN, on_exit_status, i, &i->exit_source);

    if (r >= 0 && i->process.notify >= 0)
        r = loop_watch(i->spec.loop, i->process.notify, EPOLLIN, on_socket_call, i, &i->notify_source);
    return r < 0 ? error_errnof(e, r, "event loop") : 0;
}

static int start_process(Incarnation *i, const ListenFds *listen, Error *e)
{
    const Agent *a = i->spec.agent;
    SpawnSpec spec = {.argv = (const char *const *) a->run_argv,
                      .env = i->env,
                      .cwd = a->run_cwd,
                      .uid = a->run_uid,
                      .gid = a->run_gid,
                      .output = i->spec.output,
                      .cgroup = i->spec.container->cgroup_agent,
                      .filter = i->spec.filter,
                      .landlock = a->landlock,
                      .processes = a->limit_processes,
                      .listen = listen,
                      .notify = i->spec.hold && a->sockets == SOCKETS_TRANSPARENT,
                      .born = on_born,
                      .userdata = i};
    int r = container_limit(i->spec.container->cgroup_agent, a, e);

    if (r >= 0)
        r = container_spawn(i->spec.container, &spec, &i->process, e);
    return r < 0 ? r : watch(i, e);
}

static PivotSpec pivot_spec(const IncarnationSpec *s)
{
    return (PivotSpec){.store = s->store,
                       .generation = s->generation,
                       .state = s->state,
                       .state_path = s->agent->state_path,
                       .upper_size = s->agent->limit_disk,
                       .root = s->root,
                       .notify = -EBADF};
}

int incarnation_root(const IncarnationSpec *spec, Error *e)
{
    PivotSpec pivot = pivot_spec(spec);

    return container_root(spec->container, &pivot, e);
}

/* The root, with the socket that the agent speaks to, if it is one that does: *ret_notify. */
static int pivot(const IncarnationSpec *s, int *ret_notify, Error *e)
{
    PivotSpec spec = pivot_spec(s);
    _cleanup_close_ int notify = -EBADF, file = -EBADF;
    int dir = s->container->run_dir, r;

    if (!agent_notifies(s->agent))
        return container_pivot(s->container, &spec, e);
    notify = socket_receive_at(dir, NOTIFY_SOCKET);
    if (notify < 0)
        return error_errnof(e, notify, NOTIFY_SOCKET);
    spec.notify = file = openat(dir, NOTIFY_SOCKET, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0)
        return error_errnof(e, -errno, NOTIFY_SOCKET);
    r = container_pivot(s->container, &spec, e);
    (void) unlinkat(dir, NOTIFY_SOCKET, 0); /* nobody else is to send there */
    if (r < 0)
        return r;
    *ret_notify = TAKE_FD(notify);
    return 0;
}

/* Takes `notify`. */
static int begin_checks(Incarnation *i, ChecksSpec spec, Error *e)
{
    const IncarnationSpec *s = &i->spec;
    int r;

    i->context = (ProbeContext){s->loop, s->container, s->agent, s->filter, i->env, i->nonce, i->generation};
    spec.context = &i->context;
    spec.verdict = on_verdict;
    spec.heard = on_heard;
    spec.userdata = i;
    r = checks_start(&spec, &i->checks);
    return r < 0 ? error_errnof(e, r, "probes") : 0;
}

static int start(Incarnation *i, Error *e)
{
    const IncarnationSpec *s = &i->spec;
    _cleanup_close_ int notify = -EBADF;
    ListenFds listen;
    int r;

    if ((r = make_nonce(i)) < 0 || (r = make_environment(i)) < 0)
        return error_errnof(e, r, "environment");
    if (s->hold)
        hold_begin(s->hold);
    if ((r = pivot(s, &notify, e)) < 0)
        return r;
    r = container_keep(s->container, INIT_TAG_NOTIFY, notify);
    if (r < 0)
        return error_errnof(e, r, "moss-init");
    if ((r = listen_open(s->container, s->agent, s->hold, &listen, e)) < 0)
        return r;
    r = start_process(i, &listen, e);
    listen_done(&listen);
    if (r < 0)
        return r;
    return begin_checks(i, (ChecksSpec){.candidate = s->candidate, .notify = TAKE_FD(notify)}, e);
}

static Incarnation *incarnation_new(const IncarnationSpec *spec)
{
    Incarnation *i = calloc(1, sizeof(*i));

    if (!i)
        return NULL;
    i->spec = *spec;
    i->process = (Spawned){.pidfd = -EBADF, .notify = -EBADF};
    snprintf(i->generation, sizeof(i->generation), "%s", spec->generation);
    return i;
}

int incarnation_start(const IncarnationSpec *spec, Incarnation **ret, Error *e)
{
    Incarnation *i = incarnation_new(spec);
    int r;

    if (!i)
        return error_errnof(e, -ENOMEM, "incarnation");
    r = start(i, e);
    if (r < 0) {
        (void) container_clear(spec->container, &spec->container->cgroup_agent, NULL);
        incarnation_free(i);
        return r;
    }
    *ret = i;
    return 0;
}

int incarnation_adopt(const IncarnationSpec *spec, IncarnationKept *kept, Incarnation **ret, Error *e)
{
    _cleanup_(incarnation_freep) Incarnation *i = incarnation_new(spec);
    _cleanup_close_ int notify = TAKE_FD(kept->notify), pidfd = TAKE_FD(kept->pidfd), calls = TAKE_FD(kept->calls);
    const Memory *m = spec->memory;
    int r;

    if (!i)
        return error_errnof(e, -ENOMEM, "incarnation");
    i->process = (Spawned){.pidfd = TAKE_FD(pidfd), .notify = TAKE_FD(calls)};
    memcpy(i->nonce, m->nonce, sizeof(i->nonce));
    if ((r = pidfd_pid(i->process.pidfd, &i->process.pid)) < 0 || (r = make_environment(i)) < 0)
        return error_errnof(e, r, "the agent that runs");
    if ((r = watch(i, e)) < 0)
        return r;
    r = begin_checks(
        i, (ChecksSpec){.adopted = true, .passed = m->ready, .announced = m->announced, .notify = TAKE_FD(notify)}, e);
    if (r < 0)
        return r;
    if (spec->hold)
        hold_resume(spec->hold, i->process.notify, spec->container->cgroup_agent, &spec->memory->pending);
    *ret = TAKE_PTR(i);
    return 0;
}
