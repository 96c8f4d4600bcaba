/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "evolve/coder/coder.h"
#include "runtime/base/json.h"
#include "tests/unit/test.h"

static int parse(CoderRole role, const char *text, json_t **ret, Error *e)
{
    return coder_parse_result(role, text, strlen(text), ret, e);
}

TEST(the_last_line_is_the_result)
{
    static const struct {
        CoderRole role;
        const char *text;
    } good[] = {
        {ROLE_LOCATE, "hello\n{\"event\":\"x\"}\n{\"status\":\"ok\",\"places\":[{\"file\":\"a.py\",\"line\":3}]}\n\n"},
        {ROLE_PLAN, "{\"status\":\"ok\",\"summary\":\"s\",\"files\":[\"a.py\"],\"tasks\":{\"t-1\":\"so\"}}"},
        {ROLE_PLAN_REVIEW, "{\"status\":\"ok\",\"decision\":\"REJECT_COMPLETENESS\",\"why\":\"w\"}\n"},
        {ROLE_IMPLEMENT, "{\"status\":\"ok\"}"},
        {ROLE_CODE_REVIEW, "{\"status\":\"ok\",\"decision\":\"REJECT_IMPL\"}"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_json_ json_t *o = NULL;
        Error e = {};

        if (parse(good[i].role, good[i].text, &o, &e) < 0)
            fail_msg("%zu: %s", i, e.text);
        assert_true(json_is_object(o));
    }
}

TEST(everything_else_is_refused_with_one_reason)
{
    static const struct {
        CoderRole role;
        const char *text, *why;
    } bad[] = {
        {ROLE_LOCATE, "", "no answer"},
        {ROLE_LOCATE, "\n \n", "no answer"},
        {ROLE_LOCATE, "I did it!", "last line"},
        {ROLE_LOCATE, "[]", "no JSON object"},
        {ROLE_LOCATE, "{\"status\":\"ok\"}\ndone", "last line"},
        {ROLE_LOCATE, "{\"status\":\"done\"}", "no status"},
        {ROLE_LOCATE, "{}", "status"},
        {ROLE_LOCATE, "{\"status\":\"failed\",\"why\":\"no key\"}", "it gave up: no key"},
        {ROLE_LOCATE, "{\"status\":\"ok\"}", "places"},
        {ROLE_LOCATE, "{\"status\":\"ok\",\"places\":[1]}", "place 1"},
        {ROLE_LOCATE, "{\"status\":\"ok\",\"places\":[{\"file\":\"/etc/passwd\",\"line\":1}]}", "inside the source"},
        {ROLE_LOCATE, "{\"status\":\"ok\",\"places\":[{\"file\":\"a\",\"line\":-1}]}", "line"},
        {ROLE_PLAN, "{\"status\":\"ok\",\"files\":[],\"tasks\":{}}", "summary"},
        {ROLE_PLAN, "{\"status\":\"ok\",\"summary\":\"s\",\"files\":[\"../a\"],\"tasks\":{}}", "file 1"},
        {ROLE_PLAN, "{\"status\":\"ok\",\"summary\":\"s\",\"files\":[],\"tasks\":[]}", "tasks"},
        {ROLE_PLAN, "{\"status\":\"ok\",\"summary\":\"s\",\"files\":[],\"tasks\":{\"t-1\":1}}", "t-1"},
        {ROLE_PLAN_REVIEW, "{\"status\":\"ok\",\"decision\":\"REJECT_IMPL\"}", "no decision"},
        {ROLE_CODE_REVIEW, "{\"status\":\"ok\",\"decision\":\"LGTM\"}", "no decision"},
        {ROLE_CODE_REVIEW, "{\"status\":\"ok\",\"decision\":\"APPROVE\",\"decision\":\"REJECT_IMPL\"}", "last line"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        json_t *o = NULL;
        Error e = {};

        assert_int_equal(parse(bad[i].role, bad[i].text, &o, &e), -EBADMSG);
        assert_null(o);
        if (!strstr(e.text, bad[i].why))
            fail_msg("%zu: \"%s\" does not say \"%s\"", i, e.text, bad[i].why);
    }
}

TEST(candidates_are_read_in_order_up_to_the_limit)
{
    static const char text[] =
        "{\"id\":\"c-1\",\"edits\":[]}\n\n{\"id\":\"c-2\",\"why\":\"w\",\"edits\":[]}\n{\"id\":\"c-3\",\"edits\":[]}";
    _cleanup_json_ json_t *all = NULL, *two = NULL, *none = NULL;

    assert_int_equal(coder_parse_candidates(text, strlen(text), 100, &all, NULL), 0);
    assert_int_equal(json_array_size(all), 3);
    assert_int_equal(coder_parse_candidates(text, strlen(text), 2, &two, NULL), 0);
    assert_string_equal(json_string_value(json_object_get(json_array_get(two, 1), "id")), "c-2");
    assert_int_equal(coder_parse_candidates("", 0, 2, &none, NULL), 0);
    assert_int_equal(json_array_size(none), 0);
}

TEST(garbage_among_candidates_is_refused)
{
    static const char *const bad[] = {"x\n",
                                      "[]\n",
                                      "{\"id\":\"c\"}\n",
                                      "{\"id\":\"\",\"edits\":[]}\n",
                                      "{\"id\":1,\"edits\":[]}\n",
                                      "{\"id\":\"c\",\"edits\":{}}\n"};
    _cleanup_free_ char *huge = malloc(CODER_CANDIDATE_LINE_MAX + 2);
    json_t *list = NULL;
    Error e = {};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(coder_parse_candidates(bad[i], strlen(bad[i]), 10, &list, &e), -EBADMSG);
    memset(huge, ' ', CODER_CANDIDATE_LINE_MAX + 1);
    assert_int_equal(coder_parse_candidates(huge, CODER_CANDIDATE_LINE_MAX + 1, 10, &list, &e), -EBADMSG);
    assert_non_null(strstr(e.text, "bytes"));
    assert_null(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(the_last_line_is_the_result),
        UNIT(everything_else_is_refused_with_one_reason),
        UNIT(candidates_are_read_in_order_up_to_the_limit),
        UNIT(garbage_among_candidates_is_refused),
    };

    return RUN_TESTS(tests);
}
