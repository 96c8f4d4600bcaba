/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "evolve/evidence/redact.h"
#include "runtime/base/json.h"

static void assert_redacted(const char *text, const char *expected)
{
    _cleanup_(redactor_done) Redactor r = {}, again = {};
    _cleanup_free_ char *once = redact_text(&r, text), *twice = NULL;

    assert_string_equal(once, expected);
    twice = redact_text(&again, once);
    assert_string_equal(twice, once);
}

static void secrets_are_replaced_and_placeholders_are_no_secrets(void **state _unused_)
{
    static const struct {
        const char *text, *redacted;
    } cases[] = {
        {"mail ann@mail.example.org, please.", "mail person1@example.invalid, please."},
        {"ann.b+x@x.org ann.b+x@x.org bob@x.org",
         "person1@example.invalid person1@example.invalid person2@example.invalid"},
        {"use sk-abcdefghijklmnop1234 now", "use sk-redacted1 now"},
        {"ghp_0123456789abcdefghijABCDEFGHIJ!", "ghp_redacted1!"},
        {"key AKIAIOSFODNN7EXAMPLE", "key AKIAREDACTED1"},
        {"my password is hunter2.", "my password is Redacted-1."},
        {"Password: correct-horse", "Password: Redacted-1"},
        {"{\"api_key\": \"abcd1234\"}", "{\"api_key\": \"Redacted-1\"}"},
        {"digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 ok", "digest redacted1 ok"},
        {"-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\nbye", "[private key 1]\nbye"},
        {"-----BEGIN PRIVATE KEY-----\nnever ends", "[private key 1]"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_redacted(cases[i].text, cases[i].redacted);
}

static void what_is_no_secret_stays(void **state _unused_)
{
    static const char *const texts[] = {
        "the password is wrong",
        "a token of love: x",
        "12.50 EUR",
        "4111 1111 1111 1112 is no card",
        "order 20260131",
        "@ann",
        "a@b",
        "see you at 10:30",
        "größe@",
        "key-2024",
        "antidisestablishmentarianism-and-more-words",
        "",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_redacted(texts[i], texts[i]);
}

static unsigned luhn_sum(const char *s)
{
    unsigned sum = 0, k = 0;

    for (size_t i = strlen(s); i-- > 0;)
        if (s[i] >= '0' && s[i] <= '9') {
            unsigned d = (unsigned) (s[i] - '0') << (k++ % 2);

            sum += d > 9 ? d - 9 : d;
        }
    return sum;
}

static void card_numbers_keep_their_shape_and_last_digits(void **state _unused_)
{
    static const char *const cards[] = {"4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009",
                                        "6011000000000004"};
    _cleanup_(redactor_done) Redactor r = {};

    for (size_t i = 0; i < ARRAY_SIZE(cards); i++) {
        _cleanup_free_ char *s = redact_text(&r, cards[i]);
        size_t n = strlen(cards[i]);

        assert_string_not_equal(s, cards[i]);
        assert_int_equal(strlen(s), n);
        assert_string_equal(s + n - 4, cards[i] + n - 4);
        assert_int_equal(luhn_sum(s) % 10, 0);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(s[k] >= '0', cards[i][k] >= '0');
        assert_redacted(s, s);
    }
}

/* A grader that was redacted apart from its turns would never pass again. */
static void turns_and_graders_get_the_same_placeholders(void **state _unused_)
{
    _cleanup_(redactor_done) Redactor r = {};
    _cleanup_json_ json_t *v =
        json_loads("{\"turns\":[{\"text\":\"hunter2, remember it\"},{\"text\":\"my password is hunter2\"},"
                   "{\"text\":\"hunter22 is another word, nothunter2 too\"}],"
                   "\"graders\":[{\"contains\":\"It is hunter2\",\"turn\":1}]}",
                   0, NULL);
    _cleanup_free_ char *text = NULL;

    assert_int_equal(redact_json(&r, v), 0);
    text = json_canonical(v);
    assert_string_equal(
        text, "{\"graders\":[{\"contains\":\"It is Redacted-1\",\"turn\":1}],\"turns\":[{\"text\":\"Redacted-1, "
              "remember it\"},{\"text\":\"my password is Redacted-1\"},{\"text\":\"hunter22 is another word, "
              "nothunter2 too\"}]}");
}

static void different_secrets_never_become_the_same(void **state _unused_)
{
    _cleanup_(redactor_done) Redactor r = {};
    _cleanup_json_ json_t *seen = json_object();

    for (unsigned i = 0; i < 300; i++) {
        _cleanup_free_ char *mail = NULL, *s = NULL;

        assert_true(asprintf(&mail, "u%u@x.org", i) > 0);
        s = redact_text(&r, mail);
        assert_null(json_object_get(seen, s));
        json_object_set_new(seen, s, json_true());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_replaced_and_placeholders_are_no_secrets),
        cmocka_unit_test(what_is_no_secret_stays),
        cmocka_unit_test(card_numbers_keep_their_shape_and_last_digits),
        cmocka_unit_test(turns_and_graders_get_the_same_placeholders),
        cmocka_unit_test(different_secrets_never_become_the_same),
    };

    return cmocka_run_group_tests_name("redact", tests, NULL, NULL);
}
