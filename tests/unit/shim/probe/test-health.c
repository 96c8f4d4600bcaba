/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/probe/health.h"

#include "runtime/base/clock.h"
#include "tests/unit/test.h"

#define S USEC_PER_SEC
#define MS USEC_PER_MSEC
#define START (1000 * S)

static Agent make_agent(void)
{
    static const ProbeSpec http = {.kind = PROBE_HTTP,
                                   .timeout_seconds = 1,
                                   .period_seconds = 1,
                                   .settled_period_seconds = 10,
                                   .success_threshold = 1,
                                   .failure_threshold = 3};
    Agent a = {.startup = http,
               .readiness = http,
               .liveness = http,
               .gate = {.min_ready_seconds = 0, .gate_timeout_seconds = 40, .bake_seconds = 60}};

    a.readiness.success_threshold = 3;
    return a;
}

/* Runs the probe that is due next at its time, which is told. */
static uint64_t run_next(Health *h, unsigned which, bool ok)
{
    unsigned due;
    uint64_t at;

    assert_true(health_next(h, &due, &at));
    assert_int_equal(due, which);
    health_begin(h, due);
    health_result(h, due, at, ok, ok ? NULL : "no");
    return at;
}

/* Liveness is due, too, from the first moment on: out of the way. */
static void let_live(Health *h)
{
    h->probes[PROBE_LIVENESS].next_at = UINT64_MAX;
}

TEST(the_startup_probe_holds_the_others_back)
{
    Agent a = make_agent();
    Health h;
    uint64_t at;

    health_init(&h, &a, false, START);
    let_live(&h);
    run_next(&h, PROBE_STARTUP, false);
    at = run_next(&h, PROBE_STARTUP, true);
    assert_true(at - START <= 5 * MS);
    run_next(&h, PROBE_READINESS, true);
    run_next(&h, PROBE_READINESS, true);
    assert_int_equal(health_verdict(&h, at, NULL), HEALTH_PENDING);
    at = run_next(&h, PROBE_READINESS, true);
    assert_int_equal(health_verdict(&h, at, NULL), HEALTH_READY);
    assert_true(at - START < 100 * MS);
}

TEST(in_the_gate_answers_are_asked_for_soon_and_then_less_and_less)
{
    Agent a = make_agent();
    uint64_t at, before = START;
    Health h;

    health_init(&h, &a, false, START);
    for (unsigned i = 0; i < 12; i++) {
        at = run_next(&h, PROBE_STARTUP, false);
        if (i > 0)
            assert_int_equal(at - before, MIN(5 * MS << (i - 1), 100 * MS));
        before = at;
    }
    a.startup.kind = PROBE_EXEC;
    health_init(&h, &a, false, START);
    run_next(&h, PROBE_STARTUP, false);
    assert_int_equal(run_next(&h, PROBE_STARTUP, false), START + 100 * MS);
    for (unsigned i = 0; i < 4; i++)
        before = run_next(&h, PROBE_STARTUP, false);
    assert_int_equal(run_next(&h, PROBE_STARTUP, false) - before, S);
}

TEST(a_probe_does_not_overlap_itself)
{
    Agent a = make_agent();
    unsigned which;
    uint64_t at;
    Health h;

    health_init(&h, &a, false, START);
    assert_true(health_next(&h, &which, &at));
    health_begin(&h, which);
    assert_false(health_next(&h, &which, &at));
}

TEST(the_startup_budget_is_a_time)
{
    Agent a = make_agent();
    char why[HEALTH_WHY_MAX];
    Health h;

    health_init(&h, &a, false, START);
    health_begin(&h, PROBE_STARTUP);
    health_result(&h, PROBE_STARTUP, START + 3 * S - 1, false, "no");
    assert_int_equal(health_verdict(&h, START + 3 * S - 1, why), HEALTH_PENDING);
    health_begin(&h, PROBE_STARTUP);
    health_result(&h, PROBE_STARTUP, START + 3 * S, false, "no");
    assert_int_equal(health_verdict(&h, START + 3 * S, why), HEALTH_FAILED);
    assert_string_equal(why, "startupProbe: no");
}

static uint64_t make_ready(Health *h)
{
    uint64_t at;

    let_live(h);
    at = run_next(h, PROBE_STARTUP, true);
    for (unsigned i = 0; i < 3; i++)
        at = run_next(h, PROBE_READINESS, true);
    return at;
}

TEST(in_the_gate_one_failure_starts_the_count_again_later_it_takes_more)
{
    Agent a = make_agent();
    uint64_t at = 0;
    Health h;

    health_init(&h, &a, false, START);
    let_live(&h);
    run_next(&h, PROBE_STARTUP, true);
    run_next(&h, PROBE_READINESS, true);
    run_next(&h, PROBE_READINESS, true);
    run_next(&h, PROBE_READINESS, false);
    run_next(&h, PROBE_READINESS, true);
    at = run_next(&h, PROBE_READINESS, true);
    assert_int_equal(health_verdict(&h, at, NULL), HEALTH_PENDING);
    at = run_next(&h, PROBE_READINESS, true);
    assert_int_equal(health_verdict(&h, at, NULL), HEALTH_READY);
    at = run_next(&h, PROBE_READINESS, false);
    assert_int_equal(run_next(&h, PROBE_READINESS, false) - at, 10 * S); /* the pace of later */
    assert_int_equal(health_verdict(&h, at, NULL), HEALTH_READY);
    at = run_next(&h, PROBE_READINESS, false);
    assert_int_equal(health_verdict(&h, at, NULL), HEALTH_NOT_READY);
    at = run_next(&h, PROBE_READINESS, true); /* and one is enough */
    assert_int_equal(health_verdict(&h, at, NULL), HEALTH_READY);
}

TEST(it_has_to_stay_ready_for_its_time)
{
    Agent a = make_agent();
    uint64_t at;
    Health h;

    a.gate.min_ready_seconds = 2;
    health_init(&h, &a, false, START);
    at = make_ready(&h);
    assert_int_equal(health_wake(&h), at + 2 * S);
    assert_int_equal(health_verdict(&h, at + 2 * S - 1, NULL), HEALTH_PENDING);
    assert_int_equal(health_verdict(&h, at + 2 * S, NULL), HEALTH_READY);
    assert_int_equal(health_wake(&h), UINT64_MAX);
}

TEST(the_gate_ends)
{
    Agent a = make_agent();
    char why[HEALTH_WHY_MAX];
    Health h;

    a.startup.kind = PROBE_NONE;
    health_init(&h, &a, false, START);
    assert_int_equal(health_wake(&h), START + 40 * S);
    health_begin(&h, PROBE_READINESS);
    health_result(&h, PROBE_READINESS, START, false, "HTTP status 503");
    assert_int_equal(health_verdict(&h, START + 40 * S - 1, why), HEALTH_PENDING);
    assert_int_equal(health_verdict(&h, START + 40 * S, why), HEALTH_FAILED);
    assert_string_equal(why, "not ready after 40 s: HTTP status 503");
}

TEST(liveness_fails_after_its_threshold_at_its_own_pace)
{
    Agent a = make_agent();
    char why[HEALTH_WHY_MAX];
    uint64_t at = 0;
    Health h;

    a.startup.kind = a.readiness.kind = PROBE_NONE;
    health_init(&h, &a, false, START);
    assert_int_equal(health_verdict(&h, START, NULL), HEALTH_READY);
    for (unsigned i = 0; i < 2; i++) {
        at = run_next(&h, PROBE_LIVENESS, false);
        assert_int_equal(at, START + i * S);
    }
    assert_int_equal(health_verdict(&h, at, why), HEALTH_READY);
    run_next(&h, PROBE_LIVENESS, false);
    assert_int_equal(health_verdict(&h, at, why), HEALTH_FAILED);
    assert_string_equal(why, "livenessProbe: no");
}

TEST(one_that_says_when_it_is_ready_is_not_ready_before)
{
    Agent a = make_agent();
    char why[HEALTH_WHY_MAX];
    uint64_t at;
    Health h;

    a.notify = true;
    a.gate.min_ready_seconds = 1;
    health_init(&h, &a, false, START);
    at = make_ready(&h);
    assert_int_equal(health_verdict(&h, at + 5 * S, why), HEALTH_PENDING);
    health_announced(&h, at + 5 * S);
    assert_int_equal(health_verdict(&h, at + 6 * S - 1, why), HEALTH_PENDING);
    assert_int_equal(health_verdict(&h, at + 6 * S, why), HEALTH_READY);

    health_init(&h, &a, false, START);
    make_ready(&h);
    assert_int_equal(health_verdict(&h, START + 40 * S, why), HEALTH_FAILED);
    assert_string_equal(why, "not ready after 40 s: it has not said READY=1");
}

TEST(what_it_says_makes_a_probe_due)
{
    Agent a = make_agent();
    unsigned which;
    uint64_t at;
    Health h;

    a.notify = true;
    health_init(&h, &a, false, START);
    for (unsigned i = 0; i < 8; i++)
        at = run_next(&h, PROBE_STARTUP, false);
    health_announced(&h, at + MS);
    assert_true(health_next(&h, &which, &at));
    assert_int_equal(which, PROBE_STARTUP);
    assert_int_equal(at, h.announced_at);
}

TEST(the_watchdog_runs_when_it_is_up)
{
    Agent a = make_agent();
    char why[HEALTH_WHY_MAX];
    uint64_t at;
    Health h;

    a.notify = true;
    a.watchdog_seconds = 5;
    health_init(&h, &a, false, START);
    let_live(&h);
    at = run_next(&h, PROBE_STARTUP, true);
    assert_int_equal(health_verdict(&h, at + 6 * S, why), HEALTH_PENDING);
    health_announced(&h, at + 6 * S);
    health_heard(&h, at + 9 * S);
    assert_int_equal(health_wake(&h), at + 14 * S);
    assert_int_equal(health_verdict(&h, at + 14 * S - 1, why), HEALTH_PENDING);
    assert_int_equal(health_verdict(&h, at + 14 * S, why), HEALTH_FAILED);
    assert_string_equal(why, "watchdog: no WATCHDOG=1 for 5 s");
}

static Agent make_accepted(AcceptanceSpec list[2])
{
    Agent a = make_agent();

    list[0] = (AcceptanceSpec){"must", true, a.readiness};
    list[1] = (AcceptanceSpec){"may", false, a.readiness};
    a.acceptance = list;
    a.n_acceptance = 2;
    return a;
}

TEST(a_candidate_is_checked_once_when_it_is_ready)
{
    AcceptanceSpec list[2];
    Agent a = make_accepted(list);
    char name[64];
    unsigned which;
    uint64_t at;
    Health h;

    health_init(&h, &a, true, START);
    at = make_ready(&h);
    assert_int_equal(health_verdict(&h, at, NULL), HEALTH_PENDING);
    h.probes[PROBE_READINESS].next_at = UINT64_MAX;
    assert_true(health_next(&h, &which, &at));
    assert_int_equal(which, PROBE_ROLES);
    health_begin(&h, which);
    assert_true(health_next(&h, &which, &at)); /* both at the same time */
    assert_int_equal(which, PROBE_ROLES + 1);
    assert_string_equal(health_probe_name(&h, which, name), "acceptance.may");
    health_begin(&h, which);
    health_result(&h, PROBE_ROLES, at, true, NULL);
    assert_int_equal(health_verdict(&h, START + S, NULL), HEALTH_PENDING);
    health_result(&h, PROBE_ROLES + 1, at, false, "no");
    assert_int_equal(health_verdict(&h, START + S, NULL), HEALTH_READY);
    assert_true(health_next(&h, &which, &at));
    assert_true(which < PROBE_ROLES);
}

TEST(a_check_that_is_required_fails_the_gate_at_once)
{
    AcceptanceSpec list[2];
    Agent a = make_accepted(list);
    char why[HEALTH_WHY_MAX];
    uint64_t at;
    Health h;

    health_init(&h, &a, true, START);
    at = make_ready(&h);
    health_begin(&h, PROBE_ROLES);
    health_result(&h, PROBE_ROLES, at, false, "HTTP status 500");
    assert_int_equal(health_verdict(&h, at, why), HEALTH_FAILED);
    assert_string_equal(why, "acceptance.must: HTTP status 500");
}

TEST(what_is_no_candidate_is_not_checked)
{
    AcceptanceSpec list[2];
    Agent a = make_accepted(list);
    uint64_t at;
    Health h;

    health_init(&h, &a, false, START);
    at = make_ready(&h);
    assert_int_equal(health_verdict(&h, at, NULL), HEALTH_READY);
}

TEST(a_probe_that_could_not_be_run_is_neither_a_success_nor_a_failure)
{
    Agent a = make_agent();
    uint64_t at = START;
    unsigned which;
    Health h;

    a.startup.kind = a.readiness.kind = PROBE_NONE;
    health_init(&h, &a, false, START);
    for (unsigned i = 0; i < 3 * a.liveness.failure_threshold; i++) { /* the container is frozen */
        assert_true(health_next(&h, &which, &at));
        assert_int_equal(which, PROBE_LIVENESS);
        health_begin(&h, which);
        health_skip(&h, which, at);
        assert_int_not_equal(health_verdict(&h, at, NULL), HEALTH_FAILED);
    }
    for (unsigned i = 1; i <= a.liveness.failure_threshold; i++) { /* those before and after one are in a row */
        at = run_next(&h, PROBE_LIVENESS, false);
        assert_int_equal(health_verdict(&h, at, NULL) == HEALTH_FAILED, i == a.liveness.failure_threshold);
        health_begin(&h, PROBE_LIVENESS);
        health_skip(&h, PROBE_LIVENESS, at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(the_startup_probe_holds_the_others_back),
        UNIT(in_the_gate_answers_are_asked_for_soon_and_then_less_and_less),
        UNIT(a_probe_does_not_overlap_itself),
        UNIT(the_startup_budget_is_a_time),
        UNIT(in_the_gate_one_failure_starts_the_count_again_later_it_takes_more),
        UNIT(it_has_to_stay_ready_for_its_time),
        UNIT(the_gate_ends),
        UNIT(liveness_fails_after_its_threshold_at_its_own_pace),
        UNIT(one_that_says_when_it_is_ready_is_not_ready_before),
        UNIT(what_it_says_makes_a_probe_due),
        UNIT(the_watchdog_runs_when_it_is_up),
        UNIT(a_candidate_is_checked_once_when_it_is_ready),
        UNIT(a_check_that_is_required_fails_the_gate_at_once),
        UNIT(what_is_no_candidate_is_not_checked),
        UNIT(a_probe_that_could_not_be_run_is_neither_a_success_nor_a_failure),
    };

    return RUN_TESTS(tests);
}
