/* SPDX-License-Identifier: Apache-2.0 */
#include "checks.h"

#include "results.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/box/cgroup.h"

#define SHORT_OUTPUT 200U
#define FROZEN_INTERVAL (500 * USEC_PER_MSEC)

typedef struct Check {
    Checks *checks;
    unsigned which;
    char name[64];
    Probe *probe;
    uint64_t began;
    Results results;
} Check;

struct Checks {
    ChecksSpec spec;
    Health health;
    Check checks[HEALTH_PROBES_MAX];
    Notify *notify;
    LoopSource *timer;
    HealthVerdict told;
    bool stopped;
    char status[NOTIFY_STATUS_MAX + 1];
};

bool checks_ready(const Checks *c)
{
    return c->health.ready && c->health.announced;
}

const char *checks_status(const Checks *c)
{
    return c->status;
}

/* ---- the verdict ---- */

static void schedule(Checks *c);

/* The gate is not passed by one that the kernel has killed a process of; its leaf is new, so the count began at 0. */
static void look_for_oom(Checks *c)
{
    uint64_t n;

    if (cgroup_get(c->spec.context->container->cgroup_agent, "memory.events", "oom_kill", &n) >= 0 && n > 0)
        health_fail(&c->health, "the kernel has killed a process of the agent: out of memory");
}

static void tell(Checks *c)
{
    char why[HEALTH_WHY_MAX] = "";
    HealthVerdict v = health_verdict(&c->health, clock_now(), why), before = c->told;

    if (v == HEALTH_READY && before == HEALTH_PENDING) {
        look_for_oom(c);
        v = health_verdict(&c->health, clock_now(), why);
    }
    schedule(c);
    c->told = v;
    if (v != before && v != HEALTH_PENDING && !(v == HEALTH_READY && before == HEALTH_NOT_READY))
        c->spec.verdict(v, why, c->spec.userdata);
}

static void on_probe(const ProbeResult *result, void *userdata)
{
    Check *k = userdata;

    k->probe = NULL;
    if (!result->ok && container_frozen(k->checks->spec.context->container))
        health_skip(&k->checks->health, k->which, clock_now());
    else {
        results_add(&k->results, result, k->began, clock_now());
        health_result(&k->checks->health, k->which, clock_now(), result->ok, result->why);
    }
    tell(k->checks);
}

static void begin(Check *k)
{
    const ProbeContext *context = k->checks->spec.context;
    Health *h = &k->checks->health;

    k->began = clock_now();
    health_begin(h, k->which);
    if (probe_start(context, h->probes[k->which].spec, k->name, on_probe, k, &k->probe) < 0)
        health_result(h, k->which, clock_now(), false, "the probe could not be started");
}

static void on_time(uint32_t events, void *userdata)
{
    Checks *c = userdata;
    unsigned which;
    uint64_t at;

    (void) events;
    /* Nobody in there can answer, nor be started, nor say that it is alive. */
    if (container_frozen(c->spec.context->container)) {
        if (c->health.watched_since)
            health_heard(&c->health, clock_now());
        (void) loop_timer(c->spec.context->loop, clock_now() + FROZEN_INTERVAL, on_time, c, &c->timer);
        return;
    }
    while (health_next(&c->health, &which, &at) && at <= clock_now())
        begin(&c->checks[which]);
    tell(c);
}

static void schedule(Checks *c)
{
    uint64_t at = health_wake(&c->health), probe_at;
    unsigned which;

    if (health_next(&c->health, &which, &probe_at))
        at = MIN(at, probe_at);
    loop_cancel(&c->timer);
    if (at != UINT64_MAX)
        (void) loop_timer(c->spec.context->loop, at, on_time, c, &c->timer);
}

/* ---- what it says ---- */

static void on_heard(const NotifyMessage *m, void *userdata)
{
    Checks *c = userdata;
    uint64_t now = clock_now();

    if (m->status[0])
        memcpy(c->status, m->status, sizeof(c->status));
    if (!c->stopped) {
        if (m->ready)
            health_announced(&c->health, now);
        if (m->alive)
            health_heard(&c->health, now);
        if (m->trigger && c->spec.context->agent->watchdog_seconds)
            health_fail(&c->health, "watchdog: the agent has said that it is at fault");
        /* From the loop: the next step may free what hears. */
        loop_cancel(&c->timer);
        (void) loop_timer(c->spec.context->loop, now, on_time, c, &c->timer);
    }
    c->spec.heard(m, c->spec.userdata);
}

/* ---- life ---- */

void checks_stop(Checks *c)
{
    c->stopped = true;
    loop_cancel(&c->timer);
    for (unsigned i = 0; i < c->health.n; i++)
        c->checks[i].probe = probe_cancel(c->checks[i].probe);
}

Checks *checks_free(Checks *c)
{
    if (!c)
        return NULL;
    checks_stop(c);
    notify_free(c->notify);
    for (unsigned i = 0; i < c->health.n; i++)
        results_done(&c->checks[i].results);
    free(c);
    return NULL;
}

int checks_start(const ChecksSpec *spec, Checks **ret)
{
    const ProbeContext *context = spec->context;
    Checks *c = calloc(1, sizeof(*c));
    int r = 0, notify = spec->notify;

    if (!c) {
        fd_closep(&notify);
        return -ENOMEM;
    }
    c->spec = *spec;
    if (spec->adopted)
        health_adopt(&c->health, context->agent, spec->passed, spec->announced, clock_now());
    else
        health_init(&c->health, context->agent, spec->candidate, clock_now());
    for (unsigned i = 0; i < c->health.n; i++) {
        Check *k = &c->checks[i];
        char name[64];

        k->checks = c;
        k->which = i;
        snprintf(k->name, sizeof(k->name), "%s", health_probe_name(&c->health, i, name));
    }
    if (notify >= 0)
        r = notify_new(context->loop, notify, &context->container->cgroup_agent, on_heard, c, &c->notify);
    if (r < 0) {
        checks_free(c);
        return r;
    }
    schedule(c);
    *ret = c;
    return 0;
}

/* ---- for the operator ---- */

static json_t *check_to_json(const Checks *c, const Check *k)
{
    const HealthProbe *p = &c->health.probes[k->which];
    json_t *list = results_to_json(&k->results, 1, SHORT_OUTPUT, clock_now()), *last = json_array_get(list, 0),
           *o = json_pack("{s:s,s:b,s:I,s:I,s:O?}", "name", k->name, "ok", (int) (p->successes > 0), "successes",
                          (json_int_t) p->successes, "failures", (json_int_t) p->failures, "last", last);

    json_decref(list);
    return o;
}

static bool is_there(const Checks *c, const Check *k)
{
    return c->health.probes[k->which].spec->kind != PROBE_NONE;
}

json_t *checks_to_json(const Checks *c)
{
    json_t *list = json_array();

    for (unsigned i = 0; list && i < c->health.n; i++)
        if (is_there(c, &c->checks[i]) && json_array_append_new(list, check_to_json(c, &c->checks[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

json_t *checks_probe_to_json(const Checks *c, const char *name)
{
    for (unsigned i = 0; i < c->health.n; i++) {
        const Check *k = &c->checks[i];

        if (is_there(c, k) && streq(k->name, name))
            return json_pack("{s:s,s:o}", "name", k->name, "results",
                             results_to_json(&k->results, RESULTS_MAX, PROBE_OUTPUT_MAX, clock_now()));
    }
    return NULL;
}

/* In the gate one of startup and readiness may be what it still waits for. */
static const Check *to_blame(const Checks *c)
{
    const Check *found = NULL;

    for (unsigned i = 0; i < c->health.n; i++) {
        const Check *k = &c->checks[i];

        if (startswith(c->health.why, k->name))
            return k;
        if (i <= PROBE_READINESS && k->results.n > 0 && c->health.probes[i].failures > 0)
            found = k;
    }
    return found;
}

json_t *checks_blame(const Checks *c)
{
    const Check *k = to_blame(c);
    const KeptResult *last = k && k->results.n > 0 ? &k->results.kept[0] : NULL;

    if (!last || last->ok)
        return json_null();
    return json_pack("{s:s,s:s?,s:s?}", "name", k->name, "why", last->why, "output", last->output);
}

json_t *checks_unmet(const Checks *c)
{
    json_t *list = json_array();

    for (unsigned i = PROBE_ROLES; list && i < c->health.n; i++)
        if (c->health.probes[i].failures > 0)
            (void) json_array_append_new(list, json_sprintf("%s: %s", c->checks[i].name, c->health.probes[i].why));
    return list;
}
