/* SPDX-License-Identifier: Apache-2.0 */
#include "health.h"

#include <stdio.h>

#include "runtime/base/clock.h"

#define PACE_FIRST (5 * USEC_PER_MSEC)
#define PACE_MAX (100 * USEC_PER_MSEC)
#define PACE_FIRST_EXEC (100 * USEC_PER_MSEC)

const char *health_probe_name(const Health *h, unsigned which, char buf[static 64])
{
    static const char *const names[] = {"startupProbe", "readinessProbe", "livenessProbe"};

    if (which < PROBE_ROLES)
        return names[which];
    snprintf(buf, 64, "acceptance.%s", h->agent->acceptance[which - PROBE_ROLES].name);
    return buf;
}

static bool is_there(const Health *h, ProbeRole role)
{
    return h->probes[role].spec->kind != PROBE_NONE;
}

/* An acceptance check that has been made. */
static bool is_done(const HealthProbe *p)
{
    return p->successes + p->failures > 0;
}

/* ---- steps ---- */

static void become_ready(Health *h, uint64_t now)
{
    h->ready = true;
    h->ready_since = now;
}

static void start_watchdog(Health *h, uint64_t now)
{
    if (h->startup_done && h->announced)
        h->watched_since = now;
}

static void startup_passed(Health *h, uint64_t now)
{
    h->startup_done = true;
    start_watchdog(h, now);
    if (!is_there(h, PROBE_READINESS))
        become_ready(h, now);
}

void health_init(Health *h, const Agent *agent, bool candidate, uint64_t now)
{
    const ProbeSpec *specs[] = {&agent->startup, &agent->readiness, &agent->liveness};

    *h = (Health){.agent = agent,
                  .n = PROBE_ROLES + (candidate ? (unsigned) agent->n_acceptance : 0),
                  .started = now,
                  .announced = !agent->notify,
                  .announced_at = now};
    for (unsigned i = 0; i < h->n; i++) {
        const ProbeSpec *spec = i < PROBE_ROLES ? specs[i] : &agent->acceptance[i - PROBE_ROLES].probe;

        h->probes[i] = (HealthProbe){.spec = spec, .next_at = now + spec->initial_delay_seconds * USEC_PER_SEC};
    }
    if (agent->startup.kind == PROBE_NONE)
        startup_passed(h, now);
}

void health_fail(Health *h, const char *why)
{
    if (h->failed)
        return;
    h->failed = true;
    snprintf(h->why, sizeof(h->why), "%s", why);
}

static void fail(Health *h, unsigned which)
{
    char text[HEALTH_WHY_MAX], name[64];

    snprintf(text, sizeof(text), "%s: %.90s", health_probe_name(h, which, name), h->probes[which].why);
    health_fail(h, text);
}

void health_announced(Health *h, uint64_t now)
{
    if (h->announced)
        return;
    h->announced = true;
    h->announced_at = now;
    start_watchdog(h, now);
    /* It says that it would answer now. */
    for (unsigned i = PROBE_STARTUP; i <= PROBE_READINESS; i++) {
        h->probes[i].next_at = MIN(h->probes[i].next_at, now);
        h->probes[i].pace = 0;
    }
}

void health_adopt(Health *h, const Agent *agent, bool passed, bool announced, uint64_t now)
{
    health_init(h, agent, false, now);
    if (announced)
        health_announced(h, now);
    if (!passed)
        return;
    startup_passed(h, now);
    h->passed = true;
    h->unknown = !h->ready;
    for (unsigned i = 0; i < h->n; i++)
        h->probes[i].next_at = now;
}

void health_heard(Health *h, uint64_t now)
{
    start_watchdog(h, now);
}

/* ---- the schedule ---- */

static bool is_wanted(const Health *h, unsigned which)
{
    const HealthProbe *p = &h->probes[which];

    if (p->spec->kind == PROBE_NONE || p->running)
        return false;
    if (which == PROBE_STARTUP)
        return !h->startup_done;
    if (which < PROBE_ROLES)
        return h->startup_done;
    return h->ready && h->announced && !is_done(p);
}

bool health_next(const Health *h, unsigned *ret_which, uint64_t *ret_at)
{
    bool found = false;

    for (unsigned i = 0; i < h->n; i++) {
        if (!is_wanted(h, i) || (found && h->probes[i].next_at >= *ret_at))
            continue;
        *ret_which = i;
        *ret_at = h->probes[i].next_at;
        found = true;
    }
    return found;
}

void health_begin(Health *h, unsigned which)
{
    h->probes[which].running = true;
}

/* Until the same probe is run again. Liveness keeps its own pace even in the gate: failureThreshold has to span its time. */
static uint64_t pause_after(Health *h, unsigned which, bool is_news)
{
    HealthProbe *p = &h->probes[which];
    bool exec = p->spec->kind == PROBE_EXEC;
    uint64_t period = p->spec->period_seconds * USEC_PER_SEC;

    if (which == PROBE_LIVENESS)
        return period;
    if (h->passed)
        return p->spec->settled_period_seconds * USEC_PER_SEC;
    if (is_news || p->pace == 0)
        p->pace = exec ? PACE_FIRST_EXEC : PACE_FIRST;
    else
        p->pace *= 2;
    p->pace = MIN(p->pace, exec ? period : MIN(period, PACE_MAX));
    return p->pace;
}

/* ---- results ---- */

static uint64_t startup_budget(const ProbeSpec *spec)
{
    return (spec->initial_delay_seconds + (uint64_t) spec->period_seconds * spec->failure_threshold) * USEC_PER_SEC;
}

static void judge_readiness(Health *h, uint64_t now, bool ok)
{
    const HealthProbe *p = &h->probes[PROBE_READINESS];

    if (ok && !h->ready && p->successes >= (h->passed ? 1 : p->spec->success_threshold)) {
        become_ready(h, now);
        h->unknown = false;
    } else if (!ok && p->failures >= (h->passed ? p->spec->failure_threshold : 1)) {
        h->ready = false; /* in the gate one failure starts the count again */
        h->unknown = false;
    }
}

static void judge(Health *h, unsigned which, uint64_t now, bool ok)
{
    const HealthProbe *p = &h->probes[which];

    switch (which) {
    case PROBE_STARTUP:
        if (ok && p->successes >= p->spec->success_threshold)
            startup_passed(h, now);
        else if (!ok && now >= h->started + startup_budget(p->spec))
            fail(h, which);
        break;
    case PROBE_READINESS:
        judge_readiness(h, now, ok);
        break;
    case PROBE_LIVENESS:
        if (!ok && p->failures >= p->spec->failure_threshold)
            fail(h, which);
        break;
    default:
        if (!ok && h->agent->acceptance[which - PROBE_ROLES].required)
            fail(h, which);
        break;
    }
}

void health_skip(Health *h, unsigned which, uint64_t now)
{
    h->probes[which].running = false;
    h->probes[which].next_at = now + pause_after(h, which, false);
}

void health_result(Health *h, unsigned which, uint64_t now, bool ok, const char *why)
{
    HealthProbe *p = &h->probes[which];
    bool is_news = ok ? p->successes == 0 : p->failures == 0;

    p->running = false;
    p->successes = ok ? p->successes + 1 : 0;
    p->failures = ok ? 0 : p->failures + 1;
    if (!ok)
        snprintf(p->why, sizeof(p->why), "%s", why ? why : "failed");
    judge(h, which, now, ok);
    p->next_at = now + pause_after(h, which, is_news);
}

/* ---- the verdict ---- */

static uint64_t gate_end(const Health *h)
{
    return h->started + h->agent->gate.gate_timeout_seconds * USEC_PER_SEC;
}

/* When the gate is passed if nothing else happens; UINT64_MAX: not yet to be said. */
static uint64_t pass_at(const Health *h)
{
    if (!h->ready || !h->announced)
        return UINT64_MAX;
    for (unsigned i = PROBE_ROLES; i < h->n; i++)
        if (!is_done(&h->probes[i]))
            return UINT64_MAX;
    return MAX(h->ready_since, h->announced_at) + h->agent->gate.min_ready_seconds * USEC_PER_SEC;
}

static uint64_t watchdog_end(const Health *h)
{
    return h->agent->watchdog_seconds && h->watched_since ? h->watched_since + h->agent->watchdog_seconds * USEC_PER_SEC
                                                          : UINT64_MAX;
}

/* What the gate still waits for. */
static const char *missing(const Health *h)
{
    const HealthProbe *p = &h->probes[h->startup_done ? PROBE_READINESS : PROBE_STARTUP];

    if (h->startup_done && h->ready)
        return h->announced ? "an acceptance check has not ended" : "it has not said READY=1";
    return p->why[0] ? p->why : "no answer yet";
}

static void pass_time(Health *h, uint64_t now)
{
    char text[HEALTH_WHY_MAX];

    if (now >= watchdog_end(h)) {
        snprintf(text, sizeof(text), "watchdog: no WATCHDOG=1 for %u s", h->agent->watchdog_seconds);
        health_fail(h, text);
    }
    if (h->failed || h->passed)
        return;
    if (now >= pass_at(h))
        h->passed = true;
    else if (now >= gate_end(h)) {
        snprintf(text, sizeof(text), "not ready after %u s: %.110s", h->agent->gate.gate_timeout_seconds, missing(h));
        health_fail(h, text);
    }
}

HealthVerdict health_verdict(Health *h, uint64_t now, char why[HEALTH_WHY_MAX])
{
    pass_time(h, now);
    if (h->failed) {
        if (why)
            memcpy(why, h->why, HEALTH_WHY_MAX);
        return HEALTH_FAILED;
    }
    if (!h->passed || h->unknown)
        return HEALTH_PENDING;
    if (h->ready)
        return HEALTH_READY;
    if (why)
        snprintf(why, HEALTH_WHY_MAX, "readinessProbe: %.120s", h->probes[PROBE_READINESS].why);
    return HEALTH_NOT_READY;
}

uint64_t health_wake(const Health *h)
{
    uint64_t at = watchdog_end(h);

    if (h->failed)
        return UINT64_MAX;
    return h->passed ? at : MIN(at, MIN(gate_end(h), pass_at(h)));
}
