/* SPDX-License-Identifier: Apache-2.0 */
#include "track.h"

#include "runtime/base/clock.h"

void track_begin(ProbeTrack *t, const ProbeSpec *spec, uint64_t now)
{
    *t = (ProbeTrack){.due = now + spec->initial_delay_seconds * USEC_PER_SEC};
}

uint64_t track_due(const ProbeTrack *t)
{
    return t->running ? UINT64_MAX : t->due;
}

void track_run(ProbeTrack *t, const ProbeSpec *spec, uint64_t now)
{
    t->running = true;
    t->due = now + spec->period_seconds * USEC_PER_SEC;
}

ProbeVerdict track_result(ProbeTrack *t, const ProbeSpec *spec, bool passed, uint64_t now)
{
    t->running = false;
    t->due = MAX(t->due, now); /* an attempt that took longer than the period is followed at once */
    t->successes = passed ? t->successes + 1 : 0;
    t->failures = passed ? 0 : t->failures + 1;
    if (t->successes >= spec->success_threshold)
        t->verdict = PROBE_UP;
    else if (t->failures >= spec->failure_threshold)
        t->verdict = PROBE_DOWN;
    return t->verdict;
}
