/* SPDX-License-Identifier: Apache-2.0 */
#include "incarnation.h"

#include <signal.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "pivot.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/process.h"
#include "runtime/base/strbuf.h"
#include "runtime/box/cgroup.h"
#include "shim/probe/probe.h"
#include "spawn.h"

typedef struct Role {
    Incarnation *incarnation;
    ProbeRole role;
    Probe *probe;
} Role;

struct Incarnation {
    IncarnationSpec spec;
    char generation[DIGEST_SIZE], nonce[33];
    const char **env;
    char *env_generation, *env_nonce;
    Spawned process;
    LoopSource *exit_source, *notify_source, *timer;
    Health health;
    ProbeContext context;
    Role roles[PROBE_ROLES];
    HealthVerdict told;
};

pid_t incarnation_pid(const Incarnation *i)
{
    return i->process.pidfd >= 0 ? i->process.pid : 0;
}

bool incarnation_ready(const Incarnation *i)
{
    return i->health.ready;
}

void incarnation_signal(Incarnation *i, int sig)
{
    if (i->process.pidfd >= 0)
        (void) pidfd_signal(i->process.pidfd, sig);
}

Incarnation *incarnation_free(Incarnation *i)
{
    if (!i)
        return NULL;
    for (ProbeRole r = 0; r < PROBE_ROLES; r++)
        probe_cancel(i->roles[r].probe);
    loop_cancel(&i->exit_source);
    loop_cancel(&i->notify_source);
    loop_cancel(&i->timer);
    fd_closep(&i->process.pidfd);
    fd_closep(&i->process.notify);
    free(i->env_generation);
    free(i->env_nonce);
    free(i->env);
    free(i);
    return NULL;
}

/* ---- health ---- */

static void schedule(Incarnation *i);

static void tell(Incarnation *i)
{
    static const IncarnationEvent events[] = {
        [HEALTH_READY] = INCARNATION_READY,
        [HEALTH_NOT_READY] = INCARNATION_NOT_READY,
        [HEALTH_FAILED] = INCARNATION_FAILED,
    };
    char why[HEALTH_WHY_MAX] = "";
    HealthVerdict v = health_verdict(&i->health, clock_now(), why);

    schedule(i);
    if (v == i->told || v == HEALTH_PENDING || (v == HEALTH_READY && i->told == HEALTH_NOT_READY)) {
        i->told = v;
        return;
    }
    i->told = v;
    i->spec.event(events[v], why, i->spec.userdata);
}

static void on_probe(bool ok, const char *why, void *userdata)
{
    Role *role = userdata;

    role->probe = NULL;
    health_result(&role->incarnation->health, role->role, clock_now(), ok, why);
    tell(role->incarnation);
}

static void on_time(uint32_t events, void *userdata)
{
    Incarnation *i = userdata;
    ProbeRole r;
    uint64_t at;

    (void) events;
    while (health_next(&i->health, &r, &at) && at <= clock_now()) {
        health_begin(&i->health, r);
        if (probe_start(&i->context, i->health.probes[r].spec, on_probe, &i->roles[r], &i->roles[r].probe) < 0)
            health_result(&i->health, r, clock_now(), false, "the probe could not be started");
    }
    tell(i);
}

static void schedule(Incarnation *i)
{
    uint64_t at = health_wake(&i->health), probe_at;
    ProbeRole r;

    if (health_next(&i->health, &r, &probe_at))
        at = MIN(at, probe_at);
    loop_cancel(&i->timer);
    if (at != UINT64_MAX)
        (void) loop_timer(i->spec.loop, at, on_time, i, &i->timer);
}

/* ---- the process ---- */

static void on_exit_status(uint32_t events, void *userdata)
{
    Incarnation *i = userdata;
    char why[80];
    int status = 0;

    (void) events;
    loop_cancel(&i->exit_source);
    loop_cancel(&i->timer);
    if (pidfd_wait(i->process.pidfd, UINT64_MAX, &status) < 0)
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
        (void) hold_handle(i->spec.hold, i->process.notify, i->spec.container->cgroup_agent);
    else
        loop_cancel(&i->notify_source); /* the last process under the filter is gone */
}

static int make_environment(Incarnation *i)
{
    const char *const *given = (const char *const *) i->spec.agent->run_env;
    unsigned char random[16];
    size_t n = 0, k = 0;

    while (given[n])
        n++;
    i->env = calloc(n + 3, sizeof(*i->env));
    if (!i->env || getrandom(random, sizeof(random), 0) != sizeof(random))
        return -ENOMEM;
    for (size_t b = 0; b < sizeof(random); b++)
        snprintf(i->nonce + 2 * b, 3, "%02x", random[b]);
    i->env_generation = xasprintf("MOSS_GENERATION=%s", i->generation);
    i->env_nonce = xasprintf("MOSS_NONCE=%s", i->nonce);
    if (!i->env_generation || !i->env_nonce)
        return -ENOMEM;
    for (; k < n; k++)
        i->env[k] = given[k];
    i->env[k++] = i->env_generation;
    i->env[k] = i->env_nonce;
    return 0;
}

/* Where the cgroup has the controllers; RLIMIT_NPROC, on an id that only this container has, holds elsewhere. */
static int set_limits(const Container *c, const Agent *agent, Error *e)
{
    char value[32];
    int r = 0;

    if (agent->limit_memory && cgroup_has(c->cgroup_agent, "memory")) {
        snprintf(value, sizeof(value), "%llu", (unsigned long long) agent->limit_memory);
        r = cgroup_set(c->cgroup_agent, "memory.max", value, e);
    }
    if (r >= 0 && agent->limit_processes && cgroup_has(c->cgroup_agent, "pids")) {
        snprintf(value, sizeof(value), "%llu", (unsigned long long) agent->limit_processes);
        r = cgroup_set(c->cgroup_agent, "pids.max", value, e);
    }
    return r;
}

static int start_process(Incarnation *i, Error *e)
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
                      .notify = i->spec.hold != NULL};
    int r = set_limits(i->spec.container, a, e);

    if (r >= 0)
        r = container_spawn(i->spec.container, &spec, &i->process, e);
    if (r < 0)
        return r;
    r = loop_watch(i->spec.loop, i->process.pidfd, EPOLLIN, on_exit_status, i, &i->exit_source);
    if (r >= 0 && i->process.notify >= 0)
        r = loop_watch(i->spec.loop, i->process.notify, EPOLLIN, on_socket_call, i, &i->notify_source);
    return r < 0 ? error_errnof(e, r, "event loop") : 0;
}

static int start(Incarnation *i, Error *e)
{
    const IncarnationSpec *s = &i->spec;
    PivotSpec pivot = {s->store, s->generation, s->state, s->agent->state_path, s->agent->limit_disk};
    int r;

    if (make_environment(i) < 0)
        return error_errnof(e, -ENOMEM, "environment");
    if ((r = container_pivot(s->container, &pivot, e)) < 0)
        return r;
    if (s->hold)
        hold_begin(s->hold);
    if ((r = start_process(i, e)) < 0)
        return r;
    i->context = (ProbeContext){s->loop, s->container, s->agent, s->filter, i->env, i->nonce, i->generation};
    health_init(&i->health, s->agent, clock_now());
    schedule(i);
    return 0;
}

int incarnation_start(const IncarnationSpec *spec, Incarnation **ret, Error *e)
{
    Incarnation *i = calloc(1, sizeof(*i));
    int r;

    if (!i)
        return -ENOMEM;
    i->spec = *spec;
    i->process = (Spawned){.pidfd = -EBADF, .notify = -EBADF};
    snprintf(i->generation, sizeof(i->generation), "%s", spec->generation);
    for (ProbeRole p = 0; p < PROBE_ROLES; p++)
        i->roles[p] = (Role){i, p, NULL};
    r = start(i, e);
    if (r < 0) {
        (void) container_clear(spec->container, &spec->container->cgroup_agent, NULL);
        incarnation_free(i);
        return r;
    }
    *ret = i;
    return 0;
}
