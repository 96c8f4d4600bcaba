/* SPDX-License-Identifier: Apache-2.0 */
#include "health.h"

#include <stdio.h>

#include "runtime/base/clock.h"

#define GATE_INTERVAL (100 * USEC_PER_MSEC)

const char *probe_role_name(ProbeRole role)
{
    static const char *const names[] = {"startupProbe", "readinessProbe", "livenessProbe"};

    return names[role];
}

static bool has(const Health *h, ProbeRole role)
{
    return h->probes[role].spec->kind != PROBE_NONE;
}

void health_init(Health *h, const Agent *agent, uint64_t now)
{
    const ProbeSpec *specs[] = {&agent->startup, &agent->readiness, &agent->liveness};

    *h = (Health){.gate = agent->gate, .started = now, .startup_done = agent->startup.kind == PROBE_NONE};
    for (ProbeRole r = 0; r < PROBE_ROLES; r++)
        h->probes[r] = (HealthProbe){.spec = specs[r], .next_at = now + specs[r]->initial_delay_seconds * USEC_PER_SEC};
    if (h->startup_done && !has(h, PROBE_READINESS)) {
        h->ready = true;
        h->ready_since = now;
    }
}

bool health_next(const Health *h, ProbeRole *ret_role, uint64_t *ret_at)
{
    bool found = false;

    for (ProbeRole r = 0; r < PROBE_ROLES; r++) {
        const HealthProbe *p = &h->probes[r];

        if (!has(h, r) || p->running || (r == PROBE_STARTUP) == h->startup_done)
            continue;
        if (!found || p->next_at < *ret_at) {
            *ret_role = r;
            *ret_at = p->next_at;
            found = true;
        }
    }
    return found;
}

void health_begin(Health *h, ProbeRole role)
{
    h->probes[role].running = true;
}

static uint64_t interval(const Health *h, const HealthProbe *p)
{
    uint64_t period = MAX(p->spec->period_seconds, 1U) * USEC_PER_SEC;

    return h->passed || p->spec->kind == PROBE_EXEC ? period : MIN(period, GATE_INTERVAL);
}

static void fail(Health *h, ProbeRole role)
{
    h->failed = true;
    snprintf(h->why, sizeof(h->why), "%s: %.120s", probe_role_name(role), h->probes[role].why);
}

static void startup_passed(Health *h, uint64_t now)
{
    h->startup_done = true;
    if (!has(h, PROBE_READINESS)) {
        h->ready = true;
        h->ready_since = now;
    }
}

static void judge(Health *h, ProbeRole role, uint64_t now, bool ok)
{
    HealthProbe *p = &h->probes[role];

    switch (role) {
    case PROBE_STARTUP:
        if (ok && p->successes >= p->spec->success_threshold)
            startup_passed(h, now);
        else if (!ok && now >= h->started + (p->spec->initial_delay_seconds +
                                             (uint64_t) p->spec->period_seconds * p->spec->failure_threshold) *
                                                USEC_PER_SEC)
            fail(h, role);
        break;
    case PROBE_READINESS:
        if (ok && !h->ready && p->successes >= p->spec->success_threshold) {
            h->ready = true;
            h->ready_since = now;
        } else if (!ok && p->failures >= (h->passed ? p->spec->failure_threshold : 1))
            h->ready = false; /* in the gate one failure starts the count again */
        break;
    case PROBE_LIVENESS:
        if (!ok && p->failures >= p->spec->failure_threshold)
            fail(h, role);
        break;
    case PROBE_ROLES:
        break;
    }
}

void health_result(Health *h, ProbeRole role, uint64_t now, bool ok, const char *why)
{
    HealthProbe *p = &h->probes[role];

    p->running = false;
    p->successes = ok ? p->successes + 1 : 0;
    p->failures = ok ? 0 : p->failures + 1;
    if (!ok)
        snprintf(p->why, sizeof(p->why), "%s", why ? why : "failed");
    judge(h, role, now, ok);
    /* Liveness keeps its own pace even in the gate: failureThreshold has to span its time. */
    p->next_at = now + (role == PROBE_LIVENESS ? MAX(p->spec->period_seconds, 1U) * USEC_PER_SEC : interval(h, p));
}

static const char *last_failure(const Health *h)
{
    const HealthProbe *p = &h->probes[h->startup_done ? PROBE_READINESS : PROBE_STARTUP];

    return p->why[0] ? p->why : "no answer yet";
}

HealthVerdict health_verdict(Health *h, uint64_t now, char why[HEALTH_WHY_MAX])
{
    uint64_t gate_end = h->started + h->gate.gate_timeout_seconds * USEC_PER_SEC;

    if (!h->failed && !h->passed && h->ready && now >= h->ready_since + h->gate.min_ready_seconds * USEC_PER_SEC)
        h->passed = true;
    if (!h->failed && !h->passed && now >= gate_end) {
        h->failed = true;
        snprintf(h->why, sizeof(h->why), "not ready after %u s: %.110s", h->gate.gate_timeout_seconds, last_failure(h));
    }
    if (h->failed) {
        if (why)
            memcpy(why, h->why, HEALTH_WHY_MAX);
        return HEALTH_FAILED;
    }
    if (!h->passed)
        return HEALTH_PENDING;
    if (h->ready)
        return HEALTH_READY;
    if (why)
        snprintf(why, HEALTH_WHY_MAX, "readinessProbe: %.120s", h->probes[PROBE_READINESS].why);
    return HEALTH_NOT_READY;
}

uint64_t health_wake(const Health *h)
{
    uint64_t end = h->started + h->gate.gate_timeout_seconds * USEC_PER_SEC;

    if (h->passed || h->failed)
        return UINT64_MAX;
    return h->ready ? MIN(end, h->ready_since + h->gate.min_ready_seconds * USEC_PER_SEC) : end;
}
