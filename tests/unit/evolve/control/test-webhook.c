/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "evolve/control/webhook.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"
#include "tests/unit/test.h"

typedef struct Token {
    TestDirectory d;
    char *path, *value;
    Error e;
} Token;

static Token token_make(const char *content, size_t len, mode_t mode)
{
    Token t = {.d = test_directory_make()};

    t.path = xasprintf("%s/token", t.d.path);
    assert_non_null(t.path);
    assert_int_equal(file_write_at(t.d.fd, "token", content, len, mode, 0), 0);
    return t;
}

static void token_done(Token *t)
{
    test_directory_remove(&t->d);
    free(t->path);
    free(t->value);
}
#define _cleanup_token_ _cleanup_(token_done)

TEST(the_token_is_the_line_without_its_end)
{
    _cleanup_token_ Token a = token_make("secret-1\n", 9, 0600), b = token_make("secret-2", 8, 0400);

    assert_int_equal(webhook_token(a.path, &a.value, NULL), 0);
    assert_string_equal(a.value, "secret-1");
    assert_int_equal(webhook_token(b.path, &b.value, NULL), 0);
    assert_string_equal(b.value, "secret-2");
}

TEST(a_token_that_would_split_the_request_is_refused)
{
    static const struct {
        const char *text;
        size_t len;
    } bad[] = {{"a\r\nX: b", 7}, {"a b", 3}, {"a\0b", 3}, {"a\n\n", 3}, {"\xc3\xa4", 2}, {"", 0}, {"\n", 1}};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_token_ Token t = token_make(bad[i].text, bad[i].len, 0600);

        assert_int_equal(webhook_token(t.path, &t.value, &t.e), -EINVAL);
        assert_null(t.value);
        assert_true(startswith(t.e.text, "token file ") != NULL);
    }
}

TEST(a_token_that_others_can_read_is_refused)
{
    _cleanup_token_ Token t = token_make("secret", 6, 0600);

    assert_int_equal(chmod(t.path, 0644), 0);
    assert_int_equal(webhook_token(t.path, &t.value, &t.e), -EPERM);
    assert_non_null(strstr(t.e.text, "mode 644"));
}

TEST(what_is_no_regular_file_is_no_token)
{
    _cleanup_token_ Token t = token_make("secret", 6, 0600);
    _cleanup_free_ char *link = xasprintf("%s/link", t.d.path), *fifo = xasprintf("%s/fifo", t.d.path);

    assert_int_equal(symlinkat("token", t.d.fd, "link"), 0);
    assert_int_equal(mkfifoat(t.d.fd, "fifo", 0600), 0);
    assert_int_equal(webhook_token(link, &t.value, NULL), -ELOOP);
    assert_int_equal(webhook_token(fifo, &t.value, NULL), -EINVAL);
    assert_int_equal(webhook_token(t.d.path, &t.value, NULL), -EINVAL);
}

TEST(a_token_without_end_is_not_read)
{
    static char text[8192];

    memset(text, 'x', sizeof(text));
    _cleanup_token_ Token t = token_make(text, sizeof(text), 0600);

    assert_int_equal(webhook_token(t.path, &t.value, NULL), -E2BIG);
}

TEST(the_body_holds_the_event_and_details_cannot_take_its_place)
{
    _cleanup_json_ json_t *details = json_pack("{s:s, s:s}", "batch", "b-0001", "event", "apply-complete");
    _cleanup_json_ json_t *body = webhook_body(WEBHOOK_FAILED, "clerk", "It failed.", details);
    _cleanup_free_ char *text = json_canonical(body);

    assert_string_equal(text, "{\"payload\":{\"agent\":\"clerk\",\"batch\":\"b-0001\",\"event\":\"evolution-failed\","
                              "\"human_summary\":\"It failed.\"},\"source\":\"moss\"}");
}

TEST(nobody_listens_is_an_error_with_its_cause)
{
    _cleanup_json_ json_t *body = json_object();
    Agent a = {.webhook_url = "http://127.0.0.1:1/", .webhook_timeout_seconds = 3};
    long status = 7;
    Error e = {};

    assert_int_equal(webhook_post(&a, body, &status, &e), -ECONNABORTED);
    assert_int_equal(status, 0);
    assert_true(startswith(e.text, "the web hook was not reached: ") != NULL);
}

TEST(only_http_is_spoken)
{
    _cleanup_json_ json_t *body = json_object();
    Agent a = {.webhook_url = "file:///etc/hostname", .webhook_timeout_seconds = 3};
    long status;

    assert_true(webhook_post(&a, body, &status, NULL) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(the_token_is_the_line_without_its_end),
        UNIT(a_token_that_would_split_the_request_is_refused),
        UNIT(a_token_that_others_can_read_is_refused),
        UNIT(what_is_no_regular_file_is_no_token),
        UNIT(a_token_without_end_is_not_read),
        UNIT(the_body_holds_the_event_and_details_cannot_take_its_place),
        UNIT(nobody_listens_is_an_error_with_its_cause),
        UNIT(only_http_is_spoken),
    };

    return RUN_TESTS(tests);
}
