/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/probe/track.h"

#include "runtime/base/clock.h"
#include "tests/unit/test.h"

static const ProbeSpec spec = {
    .initial_delay_seconds = 2, .period_seconds = 10, .success_threshold = 2, .failure_threshold = 3};

TEST(the_first_attempt_waits_for_the_initial_delay)
{
    ProbeTrack t;

    track_begin(&t, &spec, 1000);
    assert_int_equal(track_due(&t), 1000 + 2 * USEC_PER_SEC);
    assert_int_equal(t.verdict, PROBE_UNKNOWN);
}

TEST(attempts_do_not_overlap_and_come_a_period_apart)
{
    ProbeTrack t;

    track_begin(&t, &spec, 0);
    track_run(&t, &spec, 5 * USEC_PER_SEC);
    assert_int_equal(track_due(&t), UINT64_MAX);
    track_result(&t, &spec, true, 6 * USEC_PER_SEC);
    assert_int_equal(track_due(&t), 15 * USEC_PER_SEC);
    track_run(&t, &spec, 15 * USEC_PER_SEC);
    track_result(&t, &spec, true, 40 * USEC_PER_SEC); /* slower than the period */
    assert_int_equal(track_due(&t), 40 * USEC_PER_SEC);
}

TEST(only_thresholds_in_a_row_change_the_verdict)
{
    static const struct {
        bool passed;
        ProbeVerdict verdict;
    } course[] = {
        {true, PROBE_UNKNOWN}, {false, PROBE_UNKNOWN}, {true, PROBE_UNKNOWN}, {true, PROBE_UP},
        {false, PROBE_UP},     {false, PROBE_UP},      {true, PROBE_UP},      {false, PROBE_UP},
        {false, PROBE_UP},     {false, PROBE_DOWN},    {true, PROBE_DOWN},    {true, PROBE_UP},
    };
    ProbeTrack t;

    track_begin(&t, &spec, 0);
    for (size_t i = 0; i < ARRAY_SIZE(course); i++) {
        track_run(&t, &spec, i * USEC_PER_SEC);
        assert_int_equal(track_result(&t, &spec, course[i].passed, i * USEC_PER_SEC), course[i].verdict);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(the_first_attempt_waits_for_the_initial_delay),
        UNIT(attempts_do_not_overlap_and_come_a_period_apart),
        UNIT(only_thresholds_in_a_row_change_the_verdict),
    };

    return RUN_TESTS(tests);
}
