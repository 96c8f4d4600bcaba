/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_PROBE_HEALTH_H
#define MOSS_PROBE_HEALTH_H

/* When to probe one incarnation, and what the answers mean: pure, on a clock that the caller reads.
 *
 *     health_init(&h, agent, candidate, now);
 *     while (health_next(&h, &which, &at))            run that probe at that time: health_begin()…
 *         health_result(&h, which, now, ok, why);     …and say how it went
 *     health_announced(&h, now), health_heard(&h, now)  what the agent says of itself: READY=1, WATCHDOG=1
 *     health_verdict(&h, now, why)                    any time
 *
 * Semantics are those of Kubernetes: the startup probe holds the others back; a probe does not overlap itself; thresholds count in a row; the readiness probe
 * goes on for life. Until the gate is passed probes do not wait for a period to pass, so that a swap does not: after an outcome that is new the next answer is
 * asked for in 5 ms (exec: 100 ms), then in twice that, up to 100 ms (exec: its period). The budget of the startup probe, failureThreshold × periodSeconds,
 * stays the same time.
 *
 * The gate is passed when the startup probe has passed, the readiness probe successThreshold times in a row, READY=1 has come (if the agent is one that says so), and
 * minReadySeconds are over since; a candidate's acceptance checks are made, all at once, as soon as it is ready: one that is required and fails fails it.
 *
 * The watchdog runs from then on when the startup probe has passed and READY=1 has come. */

#include "shim/agent/agent.h"

/* Then come the acceptance checks. */
typedef enum ProbeRole { PROBE_STARTUP, PROBE_READINESS, PROBE_LIVENESS, PROBE_ROLES } ProbeRole;

#define HEALTH_PROBES_MAX (PROBE_ROLES + AGENT_ACCEPTANCE_MAX)

typedef enum HealthVerdict {
    HEALTH_PENDING,   /* in the gate */
    HEALTH_READY,     /* the gate is passed */
    HEALTH_NOT_READY, /* it was, but readiness has failed failureThreshold times since */
    HEALTH_FAILED,    /* the gate was not passed, or liveness or the watchdog has failed */
} HealthVerdict;

#define HEALTH_WHY_MAX 160

typedef struct HealthProbe {
    const ProbeSpec *spec;
    uint64_t next_at, pace;
    unsigned successes, failures; /* in a row */
    bool running;
    char why[HEALTH_WHY_MAX]; /* of the last failure */
} HealthProbe;

typedef struct Health {
    const Agent *agent;
    HealthProbe probes[HEALTH_PROBES_MAX];
    unsigned n; /* the acceptance checks are there for a candidate only */
    uint64_t started, ready_since, announced_at, watched_since;
    bool startup_done, ready, announced, passed, failed;
    bool unknown; /* adopted, and not judged since */
    char why[HEALTH_WHY_MAX];
} Health;

/* `agent` must live as long. */
void health_init(Health *h, const Agent *agent, bool candidate, uint64_t now);
/* The same for an incarnation that runs already, under a shim before this one, to which it may have said READY=1 (`announced`). If it has `passed` its gate it is
 * held to none again: it is probed at once, and is HEALTH_PENDING until the readiness probe has succeeded, or failed failureThreshold times. */
void health_adopt(Health *h, const Agent *agent, bool passed, bool announced, uint64_t now);

/* The next probe that is due, and when (which may have passed); false: none, all run. */
bool health_next(const Health *h, unsigned *ret_which, uint64_t *ret_at);
void health_begin(Health *h, unsigned which);
/* It could not be run to its end, through no fault of the agent's. */
void health_skip(Health *h, unsigned which, uint64_t now);
void health_result(Health *h, unsigned which, uint64_t now, bool ok, const char *why);

void health_announced(Health *h, uint64_t now);
void health_heard(Health *h, uint64_t now);
/* Something else has shown that it cannot go on. */
void health_fail(Health *h, const char *why);

/* `why` (may be NULL): one line, when it is HEALTH_NOT_READY or HEALTH_FAILED. */
HealthVerdict health_verdict(Health *h, uint64_t now, char why[HEALTH_WHY_MAX]);
/* When the verdict may change without a result: the end of the gate, of minReadySeconds, of the watchdog's patience. UINT64_MAX: never. */
uint64_t health_wake(const Health *h);

/* "readinessProbe", "acceptance.NAME" */
const char *health_probe_name(const Health *h, unsigned which, char buf[static 64]);

#endif
