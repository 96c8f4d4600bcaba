/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/probe/http.h"

#include "runtime/base/json.h"
#include "tests/unit/test.h"

static int judge(const char *text, size_t len, bool end)
{
    return http_judge(&(ProbeSpec){.kind = PROBE_HTTP}, text, len, end, "n-1", "g-1", NULL);
}

/* With a probe that looks into the body. */
static int judge_body(const char *text, size_t len, bool end)
{
    _cleanup_json_ json_t *body = json_pack("{s:s}", "nonce", "$MOSS_NONCE");

    return http_judge(&(ProbeSpec){.kind = PROBE_HTTP, .json_body = body}, text, len, end, "n-1", "g-1", NULL);
}

TEST(an_answer_of_any_framing_passes)
{
    static const struct {
        const char *text;
        bool end;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
        {"HTTP/1.1 204 None\r\ncontent-length:0 \r\n\r\n", false},
        {"HTTP/1.0 399 Odd\r\n\r\nuntil the end", true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(judge(cases[i].text, strlen(cases[i].text), cases[i].end), 1);
}

TEST(every_cut_answer_asks_for_more_and_fails_at_the_end)
{
    static const char whole[] = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"nonce\":\"n-1\"}";

    for (size_t n = 0; n < strlen(whole); n++) {
        assert_int_equal(judge_body(whole, n, false), -EAGAIN);
        assert_true(judge_body(whole, n, true) < 0);
        assert_int_not_equal(judge_body(whole, n, true), -EAGAIN);
    }
    assert_int_equal(judge_body(whole, strlen(whole), false), 1);
}

TEST(what_is_no_good_answer_fails_the_probe)
{
    static const char *const bad[] = {
        "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 199 Odd\r\nContent-Length: 0\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int r = judge_body(bad[i], strlen(bad[i]), true);

        assert_true(r < 0);
        assert_int_not_equal(r, -EAGAIN);
    }
}

TEST(a_head_without_end_is_bounded)
{
    static char head[HTTP_ANSWER_MAX + 64];
    int r;

    memset(head, 'a', sizeof(head));
    memcpy(head, "HTTP/1.1 200 OK\r\nX: ", 20);
    r = judge(head, sizeof(head), false);
    assert_true(r < 0);
    assert_int_not_equal(r, -EAGAIN);
}

TEST(only_the_incarnation_that_is_asked_for_passes)
{
    _cleanup_json_ json_t *body = json_pack("{s:s s:s}", "nonce", "$MOSS_NONCE", "generation", "$MOSS_GENERATION");
    ProbeSpec spec = {.kind = PROBE_HTTP, .json_body = body};
    static const char right[] = "HTTP/1.1 200 OK\r\n\r\n{\"nonce\":\"n-2\",\"generation\":\"g-2\",\"more\":1}";
    static const char *const wrong[] = {
        "HTTP/1.1 200 OK\r\n\r\n{\"nonce\":\"n-1\",\"generation\":\"g-2\"}",
        "HTTP/1.1 200 OK\r\n\r\n{\"generation\":\"g-2\"}",
        "HTTP/1.1 200 OK\r\n\r\n[\"n-2\"]",
        "HTTP/1.1 200 OK\r\n\r\n{\"nonce\":\"n-2\"",
        "HTTP/1.1 200 OK\r\n\r\n{\"nonce\":\"$MOSS_NONCE\",\"generation\":\"$MOSS_GENERATION\"}",
    };

    assert_int_equal(http_judge(&spec, right, strlen(right), true, "n-2", "g-2", NULL), 1);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_true(http_judge(&spec, wrong[i], strlen(wrong[i]), true, "n-2", "g-2", NULL) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(an_answer_of_any_framing_passes),
        UNIT(every_cut_answer_asks_for_more_and_fails_at_the_end),
        UNIT(what_is_no_good_answer_fails_the_probe),
        UNIT(a_head_without_end_is_bounded),
        UNIT(only_the_incarnation_that_is_asked_for_passes),
    };

    return RUN_TESTS(tests);
}
