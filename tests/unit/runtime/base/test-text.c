/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/hash.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"
#include "tests/unit/test.h"

TEST(errors_read_from_the_outside_in)
{
    Error e = {};

    assert_int_equal(error_setf(&e, -EINVAL, "line %d: bad", 3), -EINVAL);
    assert_int_equal(error_wrapf(&e, -EINVAL, "cannot load \"%s\"", "x"), -EINVAL);
    assert_string_equal(e.text, "cannot load \"x\": line 3: bad");
    e = (Error){};
    error_wrapf(&e, -ENOENT, "f");
    assert_string_equal(e.text, "f: No such file or directory");
    assert_int_equal(error_setf(NULL, -EPERM, "nobody listens"), -EPERM);
}

TEST(errors_carry_no_terminal_sequences)
{
    Error e = {};

    error_setf(&e, -EINVAL, "name \x1b[2J\n");
    assert_string_equal(e.text, "name ?[2J?");
}

TEST(strbuf_grows_and_gives_away)
{
    _cleanup_(strbuf_done) StrBuf b = {};
    _cleanup_free_ char *s = NULL, *empty = NULL;

    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(strbuf_addf(&b, "%u,", i), 0);
    assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4);
    s = strbuf_take(&b);
    assert_non_null(s);
    assert_null(b.data);
    assert_string_equal(s + strlen(s) - 4, "999,");
    empty = strbuf_take(&b);
    assert_string_equal(empty, "");
}

TEST(strbuf_refuses_what_overflows_and_stays_failed)
{
    _cleanup_(strbuf_done) StrBuf b = {};

    assert_int_equal(strbuf_adds(&b, "x"), 0);
    assert_int_equal(strbuf_add(&b, "y", SIZE_MAX), -ENOMEM);
    assert_int_equal(strbuf_adds(&b, "z"), -ENOMEM);
    assert_null(strbuf_take(&b));
}

TEST(sha256_of_known_text)
{
    char digest[DIGEST_SIZE];

    hash_buffer("abc", 3, digest);
    assert_string_equal(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(digest_valid(digest));
    assert_false(digest_valid("../../../../../../../../../../../../../../../../../../../etc/pass"));
    assert_false(digest_valid("BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
}

static const JsonAt at = {"agent.json", "run"};

TEST(json_errors_name_the_member_and_what_it_must_be)
{
    _cleanup_json_ json_t *o = NULL;
    const char *s = NULL, **list = NULL;
    int64_t n = 7;
    Error e = {};

    assert_int_equal(json_parse("{\"a\":1,\"s\":[\"x\",2]}", 19, "t", &o, &e), 0);
    assert_int_equal(json_need_string(o, at, "a", &s, &e), -EINVAL);
    assert_string_equal(e.text, "agent.json: run.a: is a whole number, must be a string");
    assert_int_equal(json_need_string(o, at, "b", &s, &e), -EINVAL);
    assert_string_equal(e.text, "agent.json: run.b: is missing");
    assert_int_equal(json_want_integer(o, at, "a", 2, 5, &n, &e), -EINVAL);
    assert_string_equal(e.text, "agent.json: run.a: is 1, must be from 2 to 5");
    assert_int_equal(n, 7);
    assert_int_equal(json_want_integer(o, at, "b", 2, 5, &n, &e), 0);
    assert_int_equal(n, 7);
    assert_int_equal(json_want_strings(o, at, "s", &list, &e), -EINVAL);
    assert_null(list);
    assert_int_equal(json_only(o, at, (const char *const[]){"a", NULL}, &e), -EINVAL);
    assert_string_equal(e.text, "agent.json: run.s: no such setting");
}

TEST(json_refuses_duplicates_trailing_text_and_deep_nesting)
{
    static const char *const bad[] = {"{\"a\":1,\"a\":2}", "{} x", "{", "", "\"\\u0000\"", "nul"};
    char deep[5000];
    json_t *o;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(json_parse(bad[i], strlen(bad[i]), "t", &o, NULL), -EBADMSG);
    memset(deep, '[', sizeof(deep));
    assert_int_equal(json_parse(deep, sizeof(deep), "t", &o, NULL), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(errors_read_from_the_outside_in),
        UNIT(errors_carry_no_terminal_sequences),
        UNIT(strbuf_grows_and_gives_away),
        UNIT(strbuf_refuses_what_overflows_and_stays_failed),
        UNIT(sha256_of_known_text),
        UNIT(json_errors_name_the_member_and_what_it_must_be),
        UNIT(json_refuses_duplicates_trailing_text_and_deep_nesting),
    };

    return RUN_TESTS(tests);
}
