/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "evolve/grade/grade.h"
#include "runtime/base/json.h"

/* One turn, one grader, one answer; -1 for an error, else whether it passed. */
static int graded(const char *grader, const char *turn)
{
    _cleanup_free_ char *task_text = NULL, *transcript_text = NULL;
    _cleanup_json_ json_t *task = NULL, *transcript = NULL, *grades = NULL;
    double score;
    bool passed;
    Error e = {};
    int r;

    assert_true(asprintf(&task_text, "{\"id\":\"t-1\",\"turns\":[{\"text\":\"x\"}],\"graders\":[%s]}", grader) > 0);
    assert_true(asprintf(&transcript_text, "{\"version\":1,\"turns\":[%s]}", turn) > 0);
    assert_int_equal(json_parse(task_text, strlen(task_text), "task", &task, &e), 0);
    assert_int_equal(json_parse(transcript_text, strlen(transcript_text), "transcript", &transcript, &e), 0);
    r = grade_transcript(task, transcript, &grades, &score, &passed, &e);
    if (r < 0) {
        assert_true(e.text[0] != '\0');
        return -1;
    }
    assert_int_equal(json_array_size(grades), 1);
    assert_int_equal(json_is_true(json_object_get(json_array_get(grades, 0), "passed")), passed);
    assert_true(passed == (score > 0.99));
    assert_true(passed == (*json_string_value(json_object_get(json_array_get(grades, 0), "why")) == '\0'));
    return passed;
}

#define ANSWER(text) "{\"reply\":\"" text "\",\"status\":200,\"error\":null}"
#define EXPECT(text) "{\"kind\":\"expect\",\"turn\":0,\"contains\":\"" text "\"}"
#define SAME(text) "{\"kind\":\"same_reply\",\"turn\":0,\"reply\":\"" text "\"}"
#define OTHER(text) "{\"kind\":\"other_reply\",\"turn\":0,\"reply\":\"" text "\"}"
#define UNLIKE(re) "{\"kind\":\"not_matching\",\"turn\":0,\"pattern\":\"" re "\"}"
#define NOT_ERROR "{\"kind\":\"not_error\",\"turn\":0}"

static void expected_text_is_found_with_white_space_folded(void **state _unused_)
{
    assert_int_equal(graded(EXPECT("12.50 EUR"), ANSWER("You owe 12.50 EUR.")), 1);
    assert_int_equal(graded(EXPECT("12.50  EUR "), ANSWER("\\n12.50\\t EUR")), 1);
    assert_int_equal(graded(EXPECT("12.50 EUR"), ANSWER("You owe 12.5 EUR.")), 0);
    assert_int_equal(graded(EXPECT("größe 大"), ANSWER("die größe 大!")), 1);
    assert_int_equal(graded(EXPECT("Größe"), ANSWER("Große")), 0);
    assert_int_equal(graded(EXPECT("ab"), ANSWER("a b")), 0);
}

static void a_number_is_the_whole_number(void **state _unused_)
{
    assert_int_equal(graded(EXPECT("5"), ANSWER("52")), 0);
    assert_int_equal(graded(EXPECT("5"), ANSWER("15")), 0);
    assert_int_equal(graded(EXPECT("is 5"), ANSWER("it is 5.3")), 0);
    assert_int_equal(graded(EXPECT("5"), ANSWER("1,5")), 0);
    assert_int_equal(graded(EXPECT("is 5"), ANSWER("it is 5.")), 1);
    assert_int_equal(graded(EXPECT("5"), ANSWER("52, 5")), 1);
    assert_int_equal(graded(EXPECT("5 km"), ANSWER("5 kms")), 1);
    assert_int_equal(graded(EXPECT("5"), ANSWER("5")), 1);
}

static void only_an_answered_turn_passes(void **state _unused_)
{
    static const char *const graders[] = {EXPECT("x"), NOT_ERROR, SAME("x"), OTHER("y"), UNLIKE("y")};
    static const char *const unanswered[] = {
        "",
        "{\"reply\":null,\"status\":200,\"error\":null}",
        "{\"reply\":\"x\",\"status\":200,\"error\":\"x\"}",
        "{\"reply\":\"x\",\"status\":500,\"error\":null}",
        "{\"status\":200}",
    };

    for (size_t g = 0; g < ARRAY_SIZE(graders); g++) {
        for (size_t i = 0; i < ARRAY_SIZE(unanswered); i++)
            assert_int_equal(graded(graders[g], unanswered[i]), 0);
        assert_int_equal(graded(graders[g], ANSWER("x")), 1);
    }
}

static void each_kind_fails_where_it_must(void **state _unused_)
{
    assert_int_equal(graded(SAME("x y"), ANSWER(" x  y\\n")), 1);
    assert_int_equal(graded(SAME("x"), ANSWER("x y")), 0);
    assert_int_equal(graded(OTHER("x y"), ANSWER("x  y")), 0);
    assert_int_equal(graded(UNLIKE("no (result|answer)"), ANSWER("I have no answer for it")), 0);
    assert_int_equal(graded(UNLIKE("^x"), ANSWER("yx")), 1);
    assert_int_equal(graded(SAME(""), ANSWER("")), 1);
}

static void transcripts_that_are_none_are_errors(void **state _unused_)
{
    static const char *const turns[] = {
        "1",
        "[]",
        "\"x\"",
        "{\"reply\":1}",
        "{\"reply\":[]}",
        "{\"error\":true,\"reply\":\"x\"}",
        "{\"status\":\"200\"}",
        ANSWER("x") "," ANSWER("x"), /* more turns than the task */
    };
    _cleanup_json_ json_t *task = NULL, *grades = NULL;
    static const char *const whole[] = {"1", "[]", "{}", "{\"version\":2,\"turns\":[]}",
                                        "{\"version\":1,\"turns\":{}}"};
    double score = 7;
    bool passed = true;

    for (size_t i = 0; i < ARRAY_SIZE(turns); i++)
        assert_int_equal(graded(NOT_ERROR, turns[i]), -1);
    task = json_loads("{\"turns\":[{}],\"graders\":[" NOT_ERROR "]}", 0, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
        _cleanup_json_ json_t *t = json_loads(whole[i], JSON_DECODE_ANY, NULL);
        Error e = {};

        assert_int_equal(grade_transcript(task, t, &grades, &score, &passed, &e), -EBADMSG);
        assert_null(grades);
        assert_true(score > 6 && passed); /* untouched */
    }
}

static void tasks_that_grade_nothing_are_errors(void **state _unused_)
{
    static const char *const graders[] = {
        "",                                 /* none */
        "{\"kind\":\"expect\",\"turn\":0}", /* no text */
        EXPECT(""),
        EXPECT(" \\n"),
        UNLIKE(""),                             /* always true */
        "{\"kind\":\"not_error\",\"turn\":1}",  /* no such turn */
        "{\"kind\":\"not_error\",\"turn\":-1}", /* nor that */
        "{\"kind\":\"not_error\"}",             /* nor any */
        "{\"kind\":\"nice\",\"turn\":0}",
        UNLIKE("a(b"), /* unknown; no expression */
    };

    for (size_t i = 0; i < ARRAY_SIZE(graders); i++)
        assert_int_equal(graded(graders[i], ANSWER("x")), -1);
}

static void long_error_texts_are_cut_at_a_character(void **state _unused_)
{
    _cleanup_json_ json_t *task = json_loads("{\"turns\":[{}],\"graders\":[" NOT_ERROR "]}", 0, NULL);

    for (size_t shift = 0; shift < 4; shift++) {
        _cleanup_json_ json_t *transcript = NULL, *grades = NULL;
        char text[400] = "";
        double score;
        bool passed;
        Error e = {};

        memset(text, 'a', shift);
        for (size_t n = shift; n + 4 < sizeof(text); n += 3)
            memcpy(text + n, "大", 4);
        transcript = json_pack("{si s[{sn ss}]}", "version", 1, "turns", "reply", "error", text);
        assert_int_equal(grade_transcript(task, transcript, &grades, &score, &passed, &e), 0);
        assert_false(passed);
        assert_true(json_string_length(json_object_get(json_array_get(grades, 0), "why")) > 100);
    }
}

static void score_is_the_share_of_passed_graders(void **state _unused_)
{
    _cleanup_json_ json_t *task = json_loads("{\"turns\":[{},{}],\"graders\":[" NOT_ERROR
                                             "," EXPECT("x") "," EXPECT("y") ",{\"kind\":\"not_error\",\"turn\":1}]}",
                                             0, NULL);
    _cleanup_json_ json_t *transcript = json_loads("{\"version\":1,\"turns\":[" ANSWER("x") "]}", 0, NULL),
                          *grades = NULL;
    double score;
    bool passed;
    Error e = {};

    assert_int_equal(grade_transcript(task, transcript, &grades, &score, &passed, &e), 0);
    assert_false(passed);
    assert_true(score > 0.49 && score < 0.51);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expected_text_is_found_with_white_space_folded),
        cmocka_unit_test(a_number_is_the_whole_number),
        cmocka_unit_test(only_an_answered_turn_passes),
        cmocka_unit_test(each_kind_fails_where_it_must),
        cmocka_unit_test(transcripts_that_are_none_are_errors),
        cmocka_unit_test(tasks_that_grade_nothing_are_errors),
        cmocka_unit_test(long_error_texts_are_cut_at_a_character),
        cmocka_unit_test(score_is_the_share_of_passed_graders),
    };

    return cmocka_run_group_tests_name("grade", tests, NULL, NULL);
}
