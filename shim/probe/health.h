/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_PROBE_HEALTH_H
#define MOSS_PROBE_HEALTH_H

/* When to probe one incarnation, and what the answers mean: pure, on a clock that the caller reads.
 *
 *     health_init(&h, agent, now);
 *     while (health_next(&h, &role, &at))            run that probe at that time…
 *         health_result(&h, role, now, ok, why);     …and say how it went
 *     health_verdict(&h, now, why)                   any time
 *
 * Semantics are those of Kubernetes: the startup probe holds the others back; a probe does not overlap itself; thresholds count in a row. Until the
 * gate is passed, network probes come every 100 ms instead of every periodSeconds, so that a swap does not wait for a period to pass; the budget of
 * the startup probe, failureThreshold × periodSeconds, stays the same time. */

#include "shim/agent/agent.h"

typedef enum ProbeRole { PROBE_STARTUP, PROBE_READINESS, PROBE_LIVENESS, PROBE_ROLES } ProbeRole;

typedef enum HealthVerdict {
    HEALTH_PENDING,   /* in the gate */
    HEALTH_READY,     /* the gate is passed */
    HEALTH_NOT_READY, /* it was, but readiness has failed failureThreshold times since */
    HEALTH_FAILED,    /* the gate was not passed in time, or liveness has failed */
} HealthVerdict;

#define HEALTH_WHY_MAX 160

typedef struct HealthProbe {
    const ProbeSpec *spec;
    uint64_t next_at;
    unsigned successes, failures; /* in a row */
    bool running;
    char why[HEALTH_WHY_MAX]; /* of the last failure */
} HealthProbe;

typedef struct Health {
    HealthProbe probes[PROBE_ROLES];
    GateSpec gate;
    uint64_t started, ready_since;
    bool startup_done, ready, passed, failed;
    char why[HEALTH_WHY_MAX];
} Health;

void health_init(Health *h, const Agent *agent, uint64_t now);

/* The next probe that is due, and when (which may have passed); false: none, all run. */
bool health_next(const Health *h, ProbeRole *ret_role, uint64_t *ret_at);
void health_begin(Health *h, ProbeRole role);
void health_result(Health *h, ProbeRole role, uint64_t now, bool ok, const char *why);

/* `why` (may be NULL): one line, when it is HEALTH_NOT_READY or HEALTH_FAILED. */
HealthVerdict health_verdict(Health *h, uint64_t now, char why[HEALTH_WHY_MAX]);
/* When the verdict may change without a result: the end of the gate or of minReadySeconds. UINT64_MAX: never. */
uint64_t health_wake(const Health *h);

const char *probe_role_name(ProbeRole role);

#endif
