/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/stage/table.h"

#include "evolve/stage/position.h"
#include "runtime/base/json.h"
#include "tests/unit/test.h"

/* Answers that the stage can give. */
static size_t answers_of(StageId stage, Answer ret[_ANSWER_MAX])
{
    size_t n = 0;
    StageId next;

    for (Answer a = 0; a < _ANSWER_MAX; a++)
        if (stage_next(stage, a, &next) >= 0)
            ret[n++] = a;
    return n;
}

static Position position_at(StageId stage, const char *depth)
{
    Position p = {
        .stage = stage, .depth = depth_find(depth), .adapter = "search", .evolution = "e-0001", .batch = "b-0001"};

    assert_non_null(p.depth);
    return p;
}

TEST(every_stage_has_a_name_and_a_way_on)
{
    for (StageId s = 0; s < STAGE_END; s++) {
        Answer answers[_ANSWER_MAX];
        StageId found;

        assert_true(answers_of(s, answers) > 0);
        assert_int_equal(stage_by_name(stage_table[s].name, &found), 0);
        assert_int_equal(found, s);
    }
    Answer answers[_ANSWER_MAX];
    assert_int_equal(answers_of(STAGE_END, answers), 0);
}

TEST(nothing_leads_back_into_the_baseline_and_only_baseline_and_verdict_lead_to_the_end)
{
    for (StageId s = 0; s < _STAGE_MAX; s++) {
        for (Answer a = 0; a < _ANSWER_MAX; a++) {
            StageId next;

            if (stage_next(s, a, &next) < 0)
                continue;
            assert_int_not_equal(next, STAGE_BASELINE);
            if (next == STAGE_END)
                assert_true(s == STAGE_BASELINE || s == STAGE_VERDICT);
        }
    }
}

TEST(only_what_was_approved_and_evaluated_reaches_the_verdict_as_done)
{
    StageId next;

    assert_int_equal(stage_next(STAGE_PLAN_REVIEW, ANSWER_OK, &next), 0);
    assert_int_equal(next, STAGE_IMPLEMENT);
    assert_int_equal(stage_next(STAGE_IMPLEMENT, ANSWER_OK, &next), 0);
    assert_int_equal(next, STAGE_CODE_REVIEW);
    assert_int_equal(stage_next(STAGE_CODE_REVIEW, ANSWER_OK, &next), 0);
    assert_int_equal(next, STAGE_TASK_EVALUATE);
    assert_int_equal(stage_next(STAGE_CODE_REVIEW, ANSWER_REJECT, &next), 0);
    assert_int_equal(next, STAGE_IMPLEMENT);
}

/* Whatever the answers are, an iteration comes to its verdict: rounds are counted. */
static void walk(Position p, unsigned steps, const Depth *depth)
{
    Answer answers[_ANSWER_MAX];
    size_t n;

    assert_true(p.plan_round <= depth->plan_rounds + 1);
    assert_true(p.code_round <= depth->code_retries + 1);
    if (p.stage == STAGE_VERDICT || p.stage == STAGE_END)
        return;
    assert_true(steps < 40);
    n = answers_of(p.stage, answers);
    for (size_t i = 0; i < n; i++) {
        Position next = p;

        assert_int_equal(position_advance(&next, answers[i]), 0);
        walk(next, steps + 1, depth);
    }
}

TEST(every_sequence_of_answers_comes_to_a_verdict)
{
    static const char *const names[] = {"shallow", "standard", "deep"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        Position p = position_at(STAGE_BASELINE, names[i]);

        walk(p, 0, p.depth);
    }
}

TEST(rounds_are_used_up_exactly)
{
    Position p = position_at(STAGE_BASELINE, "shallow");

    assert_int_equal(position_advance(&p, ANSWER_OK), 0);
    assert_int_equal(p.iteration, 1);
    assert_int_equal(position_advance(&p, ANSWER_OK), 0); /* locate */
    assert_int_equal(position_advance(&p, ANSWER_OK), 0); /* plan */
    assert_int_equal(position_advance(&p, ANSWER_REJECT), 0);
    assert_int_equal(p.stage, STAGE_PLAN);
    assert_int_equal(p.plan_round, 2);
    assert_int_equal(position_advance(&p, ANSWER_REJECT), 0); /* shallow has one round more, and that was it */
    assert_int_equal(p.stage, STAGE_VERDICT);
    p.generation[0] = 'x';
    p.coder_end = CODER_FAILED;
    assert_int_equal(position_advance(&p, ANSWER_OK), 0);
    assert_int_equal(p.iteration, 2);
    assert_int_equal(p.stage, STAGE_LOCATE);
    assert_int_equal(p.plan_round, 1);
    assert_int_equal(p.coder_end, CODER_DELIVERED);
    assert_string_equal(p.generation, "");
}

TEST(a_position_survives_being_written)
{
    Position p = position_at(STAGE_CODE_REVIEW, "deep"), q = {};
    _cleanup_json_ json_t *o = NULL;
    Error e = {};

    p.iteration = 3;
    p.code_round = 2;
    p.plateau = 1;
    p.failures = 2;
    p.coder_end = CODER_CODE_REJECTED;
    p.best_score = 0.5;
    p.baseline_score = -1;
    p.seconds = 100;
    p.used.trials = 1ULL << 40;
    memcpy(p.commit, "abc", 4);
    memcpy(p.candidate, "c-1", 4);
    memcpy(p.why, "so", 3);
    o = position_json(&p);
    assert_non_null(o);
    if (position_parse(o, &q, &e) < 0)
        fail_msg("%s", e.text);
    assert_memory_equal(&p, &q, sizeof(p));
}

TEST(a_damaged_position_is_refused)
{
    static const char *const members[] = {"evolution", "depth",  "stage",  "iteration", "base",
                                          "candidate", "scores", "limits", "used",      "coder_end"};
    Position p = position_at(STAGE_PLAN, "standard"), q = {};

    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        _cleanup_json_ json_t *o = position_json(&p);
        Error e = {};

        assert_int_equal(json_object_del(o, members[i]), 0);
        assert_true(position_parse(o, &q, &e) < 0);
        assert_true(e.code < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(every_stage_has_a_name_and_a_way_on),
        UNIT(nothing_leads_back_into_the_baseline_and_only_baseline_and_verdict_lead_to_the_end),
        UNIT(only_what_was_approved_and_evaluated_reaches_the_verdict_as_done),
        UNIT(every_sequence_of_answers_comes_to_a_verdict),
        UNIT(rounds_are_used_up_exactly),
        UNIT(a_position_survives_being_written),
        UNIT(a_damaged_position_is_refused),
    };

    return RUN_TESTS(tests);
}
