/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_PROBE_TRACK_H
#define MOSS_PROBE_TRACK_H

/* When a probe is due and what its results amount to: Kubernetes' rules, without I/O or clock.
 *
 *     track_begin(&t, spec, now);                      the incarnation has started
 *     if (track_due(&t) <= now) { t.running = true; … run the handler … }
 *     verdict = track_result(&t, spec, passed, now);   running ends; the next is due a period after this one began
 *
 * successThreshold results in a row make a probe PROBE_UP, failureThreshold in a row PROBE_DOWN; until one of them happened it is what it was.
 * Source: kubernetes.io, "Configure Liveness, Readiness and Startup Probes". */

#include "shim/agent/agent.h"

typedef enum ProbeVerdict { PROBE_UNKNOWN, PROBE_UP, PROBE_DOWN } ProbeVerdict;

typedef struct ProbeTrack {
    ProbeVerdict verdict;
    unsigned successes, failures; /* in a row */
    uint64_t due;                 /* CLOCK_BOOTTIME, microseconds */
    bool running;
} ProbeTrack;

void track_begin(ProbeTrack *t, const ProbeSpec *spec, uint64_t now);

/* UINT64_MAX while one runs: attempts never overlap. */
uint64_t track_due(const ProbeTrack *t);
void track_run(ProbeTrack *t, const ProbeSpec *spec, uint64_t now);
ProbeVerdict track_result(ProbeTrack *t, const ProbeSpec *spec, bool passed, uint64_t now);

#endif
