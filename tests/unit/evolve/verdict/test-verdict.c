/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the verdict over every small input, and asserts what must hold of all of them. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "evolve/verdict/verdict.h"

#define REPEATS_MAX 12

typedef struct Case {
    VerdictTask tasks[3];
    Outcome incumbent[3][REPEATS_MAX], candidate[3][REPEATS_MAX];
    size_t n;
    VerdictPosition position;
} Case;

static Case case_new(size_t n_tasks, size_t repeats)
{
    static const char *const ids[] = {"t-a", "t-b", "t-c"};
    Case c = {.n = n_tasks,
              .position = {.iteration = 1, .max_iterations = 3, .max_plateau = 2, .max_repeats = REPEATS_MAX}};

    for (size_t t = 0; t < n_tasks; t++)
        c.tasks[t] = (VerdictTask){.id = ids[t], .n_incumbent = repeats, .n_candidate = repeats};
    return c;
}

static void outcome_set(Outcome *o, bool passed)
{
    *o = (Outcome){.passed = passed, .score = passed ? 1 : 0, .end = TRIAL_DONE};
}

/* Two bits a pair: of the incumbent and of the candidate. */
static void case_fill(Case *c, uint64_t bits)
{
    for (size_t t = 0; t < c->n; t++)
        for (size_t i = 0; i < c->tasks[t].n_incumbent; i++) {
            outcome_set(&c->incumbent[t][i], bits & 1);
            outcome_set(&c->candidate[t][i], bits & 2);
            bits >>= 2;
        }
}

static Verdict case_compute(Case *c)
{
    Verdict v;

    for (size_t t = 0; t < c->n; t++) {
        c->tasks[t].incumbent = c->incumbent[t];
        c->tasks[t].candidate = c->candidate[t];
    }
    assert_int_equal(verdict_compute(c->tasks, c->n, &c->position, &v), 0);
    return v;
}

/* The same without its reasons: there is nothing to give back. */
static Verdict verdict_of(Case *c)
{
    Verdict v = case_compute(c), numbers = v;

    numbers.reasons = NULL;
    verdict_done(&v);
    return numbers;
}

static bool all_pass(const Outcome *o, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!o[i].passed || o[i].end != TRIAL_DONE)
            return false;
    return true;
}

/* Written against the words of the header, not against the code. */
static void check_properties(const Case *c, const Verdict *v)
{
    unsigned wins = 0, losses = 0;
    bool reproduced = false;

    assert_true(json_array_size(v->reasons) > 0);
    assert_true(!v->more_repeats || v->kind == VERDICT_INCONCLUSIVE);
    assert_true(!v->more_repeats || v->repeats_wanted > 0);
    assert_true(!v->more_repeats || c->tasks[0].n_candidate + v->repeats_wanted <= c->position.max_repeats);
    for (size_t t = 0; t < c->n; t++) {
        const VerdictTask *k = &c->tasks[t];
        bool before = all_pass(k->incumbent, k->n_incumbent), after = all_pass(k->candidate, k->n_candidate);

        reproduced |= k->kind == TASK_VISIBLE && !before;
        for (size_t i = 0; i < k->n_candidate; i++) {
            wins += !k->incumbent[i].passed && k->candidate[i].passed;
            losses += k->incumbent[i].passed && !k->candidate[i].passed;
        }
        if (v->kind == VERDICT_CONVERGED || v->more_repeats) {
            assert_true(k->kind == TASK_GUARD || after);
            assert_true(!before || after);
        }
    }
    assert_int_equal(v->wins, wins);
    assert_int_equal(v->losses, losses);
    if (v->kind == VERDICT_CONVERGED) {
        assert_true(reproduced);
        assert_true(v->e_value >= 20);
        assert_int_equal(v->regressed, 0);
    }
    if (!reproduced)
        assert_int_equal(v->kind, VERDICT_INCONCLUSIVE);
    if (v->kind == VERDICT_NEED_MORE_WORK) {
        assert_true(c->position.iteration < c->position.max_iterations);
        assert_true(c->position.plateau < c->position.max_plateau);
    }
}

static uint64_t walk(Case *c)
{
    size_t pairs = 0;
    uint64_t converged = 0;

    for (size_t t = 0; t < c->n; t++)
        pairs += c->tasks[t].n_incumbent;
    for (uint64_t bits = 0; bits < UINT64_C(1) << (2 * pairs); bits++) {
        Verdict v;

        case_fill(c, bits);
        v = case_compute(c);
        check_properties(c, &v);
        converged += v.kind == VERDICT_CONVERGED;
        verdict_done(&v);
    }
    return converged;
}

static void converged_means_all_of_its_conditions_one_task(void **state _unused_)
{
    for (TaskKind kind = TASK_VISIBLE; kind <= TASK_GUARD; kind++)
        for (size_t repeats = 1; repeats <= 8; repeats++) {
            Case c = case_new(1, repeats);

            c.tasks[0].kind = kind;
            /* Of all outcomes of one visible task only eight wins in a row converge. */
            assert_int_equal(walk(&c), kind == TASK_VISIBLE && repeats == 8);
        }
}

static void converged_means_all_of_its_conditions_several_tasks(void **state _unused_)
{
    for (unsigned kinds = 0; kinds < 9; kinds++) {
        Case c = case_new(2, 4);

        c.tasks[0].kind = kinds % 3;
        c.tasks[1].kind = kinds / 3;
        walk(&c);
    }
    for (unsigned kinds = 0; kinds < 27; kinds++) {
        Case c = case_new(3, 2);

        if (kinds % 3 > kinds / 3 % 3 || kinds / 3 % 3 > kinds / 9)
            continue; /* the order of the tasks does not matter */

        c.tasks[0].kind = kinds % 3;
        c.tasks[1].kind = kinds / 3 % 3;
        c.tasks[2].kind = kinds / 9;
        for (c.position.iteration = 1; c.position.iteration <= 3; c.position.iteration += 2)
            for (c.position.plateau = 0; c.position.plateau <= 2; c.position.plateau += 2)
                for (c.position.coder = CODER_DELIVERED; c.position.coder <= CODER_CODE_REJECTED; c.position.coder++)
                    walk(&c);
    }
}

/* Adding a win never lowers E, adding a loss never raises it; closed form without losses. */
static void e_value_is_what_the_header_says(void **state _unused_)
{
    assert_true(fabs(verdict_e_value(0, 0) - 1) < 1e-9);
    for (unsigned n = 0; n <= 40; n++)
        assert_true(fabs(verdict_e_value(n, 0) / ((exp2(n + 1) - 1) / (n + 1)) - 1) < 1e-9);
    for (unsigned w = 0; w < 40; w++)
        for (unsigned l = 0; l < 40; l++) {
            double e = verdict_e_value(w, l);

            assert_true(isfinite(e) && e > 0);
            assert_true(verdict_e_value(w + 1, l) > e);
            assert_true(verdict_e_value(w, l + 1) < e);
            /* The martingale: of two equally likely next pairs the mean is what there was. */
            assert_true(fabs((verdict_e_value(w + 1, l) + verdict_e_value(w, l + 1)) / 2 / e - 1) < 1e-6);
        }
    assert_true(isfinite(verdict_e_value(100, 100000)));
    assert_true(isfinite(verdict_e_value(100000, 1)));
}

/* Ville: with coins that are fair, E reaches 20 in at most one run of twenty, though it is looked at after every pair. Exactly, by dynamic programming. */
static void error_budget_holds_when_one_looks_after_every_pair(void **state _unused_)
{
    enum { STEPS = 300 };
    static double alive[STEPS + 1], next[STEPS + 1];
    double crossed = 0;

    alive[0] = 1; /* by number of wins */
    for (unsigned n = 0; n < STEPS; n++) {
        memset(next, 0, sizeof(next));
        for (unsigned w = 0; w <= n; w++) {
            next[w] += alive[w] / 2;
            next[w + 1] += alive[w] / 2;
        }
        for (unsigned w = 0; w <= n + 1; w++)
            if (verdict_e_value(w, n + 1 - w) >= 20) {
                crossed += next[w];
                next[w] = 0;
            }
        memcpy(alive, next, sizeof(alive));
    }
    assert_true(crossed > 0.001);
    assert_true(crossed <= 0.05);
}

static void later_iterations_need_more(void **state _unused_)
{
    Case c = case_new(1, 8);
    Verdict v;

    case_fill(&c, 0xaaaa); /* eight wins */
    assert_int_equal(verdict_of(&c).kind, VERDICT_CONVERGED);
    c.position.iteration = 2;
    v = verdict_of(&c);
    assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
    assert_true(v.more_repeats);
    assert_int_equal(v.repeats_wanted, 2);
    c.position.max_repeats = 8; /* the cap is the end of it */
    v = verdict_of(&c);
    assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
    assert_false(v.more_repeats);
}

static void wins_do_not_outweigh_a_regressed_guard(void **state _unused_)
{
    Case c = case_new(2, 12);
    Verdict v;

    c.tasks[1].kind = TASK_GUARD;
    case_fill(&c, 0xfffffffaaaaaaULL);
    for (size_t i = 0; i < 12; i++) {
        outcome_set(&c.incumbent[1][i], true);
        outcome_set(&c.candidate[1][i], i != 5);
    }
    v = verdict_of(&c);
    assert_int_equal(v.kind, VERDICT_NEED_MORE_WORK);
    assert_int_equal(v.regressed, 1);
}

static void a_lower_score_is_a_regression_without_a_lost_pair(void **state _unused_)
{
    Case c = case_new(2, 2);
    Verdict v;

    case_fill(&c, 0);
    c.incumbent[0][0].score = c.incumbent[0][1].score = 0.5;
    c.candidate[0][0].score = 0.5;
    v = verdict_of(&c);
    assert_int_equal(v.losses, 0);
    assert_int_equal(v.regressed, 1);
}

static void a_pass_of_a_trial_that_did_not_end_well_is_none(void **state _unused_)
{
    for (TrialEnd end = TRIAL_AGENT_ENDED; end <= TRIAL_BAD_TRANSCRIPT; end++) {
        Case c = case_new(1, 12);

        case_fill(&c, 0xaaaaaa);
        c.candidate[0][11].end = end;
        assert_int_equal(verdict_of(&c).kind, VERDICT_NEED_MORE_WORK);
    }
}

static void a_failed_replay_of_the_incumbent_is_no_reproduction(void **state _unused_)
{
    Case c = case_new(1, 12);
    Verdict v;

    case_fill(&c, 0xaaaaaa);
    for (size_t i = 0; i < 12; i++)
        c.incumbent[0][i].end = TRIAL_BAD_TRANSCRIPT;
    v = verdict_of(&c);
    assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
    assert_false(v.more_repeats);
    assert_int_equal(v.wins, 0);
    assert_int_equal(v.voided, 1);
}

static void tasks_that_were_set_aside_do_not_hold_up(void **state _unused_)
{
    Case c = case_new(2, 8);
    Verdict v;

    case_fill(&c, 0xaaaa);
    for (size_t i = 0; i < 8; i++)
        outcome_set(&c.incumbent[1][i], true);
    c.tasks[1].n_candidate = 0;
    v = verdict_of(&c);
    assert_int_equal(v.kind, VERDICT_CONVERGED);
    assert_int_equal(v.not_reproduced, 1);
    /* A guard is never set aside by leaving it untried. */
    c.tasks[1].kind = TASK_GUARD;
    assert_int_equal(verdict_of(&c).kind, VERDICT_NEED_MORE_WORK);
}

static void limits_are_named_at_the_end_only(void **state _unused_)
{
    Case c = case_new(2, 2);

    c.tasks[1].kind = TASK_GUARD;
    c.position.coder = CODER_ARCHITECTURE_REJECTED;
    c.tasks[0].n_candidate = c.tasks[1].n_candidate = 0;
    case_fill(&c, 0x50);
    assert_int_equal(verdict_of(&c).kind, VERDICT_NEED_MORE_WORK);
    c.position.iteration = 3;
    assert_int_equal(verdict_of(&c).kind, VERDICT_FUNDAMENTAL_LIMIT_ARCHITECTURE);

    /* Mended one, broke another. */
    c = case_new(2, 2);
    c.tasks[1].kind = TASK_GUARD;
    c.position.plateau = 2;
    case_fill(&c, 0x5a);
    assert_int_equal(verdict_of(&c).kind, VERDICT_FUNDAMENTAL_LIMIT_ARCHITECTURE);

    /* One code, both answers. */
    c = case_new(1, 2);
    c.position.coder = CODER_EXHAUSTED;
    case_fill(&c, 0x3);
    assert_int_equal(verdict_of(&c).kind, VERDICT_FUNDAMENTAL_LIMIT_MODEL);

    /* Always wrong: the outcomes do not say why. */
    case_fill(&c, 0);
    assert_int_equal(verdict_of(&c).kind, VERDICT_INCONCLUSIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(e_value_is_what_the_header_says),
        cmocka_unit_test(error_budget_holds_when_one_looks_after_every_pair),
        cmocka_unit_test(converged_means_all_of_its_conditions_one_task),
        cmocka_unit_test(converged_means_all_of_its_conditions_several_tasks),
        cmocka_unit_test(later_iterations_need_more),
        cmocka_unit_test(wins_do_not_outweigh_a_regressed_guard),
        cmocka_unit_test(a_lower_score_is_a_regression_without_a_lost_pair),
        cmocka_unit_test(a_pass_of_a_trial_that_did_not_end_well_is_none),
        cmocka_unit_test(a_failed_replay_of_the_incumbent_is_no_reproduction),
        cmocka_unit_test(tasks_that_were_set_aside_do_not_hold_up),
        cmocka_unit_test(limits_are_named_at_the_end_only),
    };

    return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
