/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/probe/http.h"

#include "runtime/base/json.h"
#include "tests/unit/test.h"

static int judge_for(const ProbeSpec *spec, const char *text, size_t len, bool end, const char *nonce)
{
    static HttpAnswer answer;
    int r = http_read(text, len, end, &answer, NULL);

    return r < 0 ? r : http_judge(spec, &answer, nonce, "g-2", NULL);
}

static int judge(const char *text, size_t len, bool end)
{
    return judge_for(&(ProbeSpec){.kind = PROBE_HTTP}, text, len, end, "n-1");
}

/* With a probe that looks into the body. */
static int judge_body(const char *text, size_t len, bool end)
{
    _cleanup_json_ json_t *body = json_pack("{s:s}", "nonce", "$MOSS_NONCE");

    return judge_for(&(ProbeSpec){.kind = PROBE_HTTP, .json_body = body}, text, len, end, "n-1");
}

TEST(an_answer_of_any_framing_passes)
{
    static const struct {
        const char *text;
        bool end;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
        {"HTTP/1.1 204 None\r\ncontent-length:0 \r\n\r\n", false},
        {"HTTP/1.1 304 Same\r\nContent-Length: 70\r\n\r\n", false},
        {"HTTP/1.1 200\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", false},
        {"HTTP/1.0 399 Odd\r\n\r\nuntil the end", true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(judge(cases[i].text, strlen(cases[i].text), cases[i].end), 0);
}

TEST(every_cut_answer_asks_for_more_and_fails_at_the_end)
{
    static const char whole[] = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"nonce\":\"n-1\"}";

    for (size_t n = 0; n < strlen(whole); n++) {
        assert_int_equal(judge_body(whole, n, false), -EAGAIN);
        assert_true(judge_body(whole, n, true) < 0);
        assert_int_not_equal(judge_body(whole, n, true), -EAGAIN);
    }
    assert_int_equal(judge_body(whole, strlen(whole), false), 0);
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
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int r = judge_body(bad[i], strlen(bad[i]), true);

        assert_true(r < 0);
        assert_int_not_equal(r, -EAGAIN);
    }
}

TEST(a_head_is_bounded)
{
    static char head[HTTP_HEAD_MAX + 64];

    memset(head, 'a', sizeof(head));
    memcpy(head, "HTTP/1.1 200 OK\r\nX: ", 20);
    assert_int_equal(judge(head, HTTP_HEAD_MAX, false), -EAGAIN);
    assert_int_equal(judge(head, HTTP_HEAD_MAX + 1, false), -E2BIG);
    memcpy(head + sizeof(head) - 4, "\r\n\r\n", 4);
    assert_int_equal(judge(head, sizeof(head), false), -E2BIG);
}

/* Until the limit the body is waited for, also by a probe that does not look at it: what is kept of it must be whole. */
TEST(the_body_is_read_to_its_end_or_to_the_limit)
{
    static char answer[HTTP_ANSWER_MAX];
    static HttpAnswer a;
    size_t head;

    head = (size_t) snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    memcpy(answer + head, "whole", 5);
    for (size_t n = 0; n < 5; n++) {
        assert_int_equal(judge(answer, head + n, false), -EAGAIN);
        assert_int_equal(judge(answer, head + n, true), -EBADMSG);
    }
    assert_int_equal(http_read(answer, head + 5, false, &a, NULL), 0);
    assert_int_equal(a.len, 5);
    assert_string_equal(a.body, "whole");

    memset(answer, 'x', sizeof(answer));
    head = (size_t) snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n\r\n");
    answer[head] = 'x';
    assert_int_equal(judge(answer, head + HTTP_BODY_MAX, false), -EAGAIN);
    assert_int_equal(judge(answer, head + HTTP_BODY_MAX, true), 0);
    assert_int_equal(judge(answer, head + HTTP_BODY_MAX + 1, false), 0);
    assert_int_equal(
        judge_for(&(ProbeSpec){.kind = PROBE_HTTP, .contains = "x"}, answer, head + HTTP_BODY_MAX + 1, false, ""),
        -E2BIG);
    memcpy(answer, "HTTP/1.1 503 No\r\n\r\n", 19);
    assert_int_equal(judge(answer, sizeof(answer), false), -EBADMSG);
}

TEST(chunks_of_nothing_but_overhead_are_bounded)
{
    static char answer[HTTP_ANSWER_MAX + 1];
    size_t n = (size_t) snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");

    while (n + 6 < sizeof(answer)) {
        memcpy(answer + n, "1\r\nx\r\n", 6);
        n += 6;
    }
    memset(answer + n, ';', sizeof(answer) - n);
    assert_int_equal(judge(answer, n, false), -EAGAIN);
    assert_int_equal(judge(answer, HTTP_ANSWER_MAX, false), -E2BIG);
}

TEST(what_is_expected_of_an_answer_must_be_there)
{
    static const char answer[] = "HTTP/1.1 201 Made\r\nContent-Length: 11\r\n\r\nhello world";
    static const struct {
        ProbeSpec spec;
        int r;
    } cases[] = {
        {{.kind = PROBE_HTTP, .status = 201}, 0},
        {{.kind = PROBE_HTTP, .status = 200}, -EBADMSG},
        {{.kind = PROBE_HTTP, .contains = "o w"}, 0},
        {{.kind = PROBE_HTTP, .contains = "o  w"}, -EBADMSG},
        {{.kind = PROBE_HTTP, .body = "hello world"}, 0},
        {{.kind = PROBE_HTTP, .body = "hello"}, -EBADMSG},
        {{.kind = PROBE_HTTP, .body = "hello world!"}, -EBADMSG},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(judge_for(&cases[i].spec, answer, strlen(answer), false, ""), cases[i].r);
}

TEST(a_status_that_is_expected_may_be_one_of_failure)
{
    static const char answer[] = "HTTP/1.1 404 None\r\nContent-Length: 0\r\n\r\n";

    assert_int_equal(judge_for(&(ProbeSpec){.kind = PROBE_HTTP, .status = 404}, answer, strlen(answer), false, ""), 0);
}

TEST(requests_are_what_a_server_understands)
{
    ProbeSpec get = {.kind = PROBE_HTTP, .port = 80, .host = "::1", .path = "/readyz"};
    ProbeSpec post = {.kind = PROBE_HTTP, .socket = "/run/s", .path = "/", .send = (char *) "{}", .sends_json = true};
    _cleanup_free_ char *a = http_request(&get), *b = http_request(&post);

    assert_non_null(startswith(a, "GET /readyz HTTP/1.1\r\nHost: [::1]:80\r\nUser-Agent: moss-probe/"));
    assert_true(endswith(a, "Connection: close\r\n\r\n"));
    assert_non_null(startswith(b, "POST / HTTP/1.1\r\nHost: localhost\r\n"));
    assert_true(endswith(b, "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"));
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

    assert_int_equal(judge_for(&spec, right, strlen(right), true, "n-2"), 0);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_true(judge_for(&spec, wrong[i], strlen(wrong[i]), true, "n-2") < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(an_answer_of_any_framing_passes),
        UNIT(every_cut_answer_asks_for_more_and_fails_at_the_end),
        UNIT(what_is_no_good_answer_fails_the_probe),
        UNIT(a_head_is_bounded),
        UNIT(the_body_is_read_to_its_end_or_to_the_limit),
        UNIT(chunks_of_nothing_but_overhead_are_bounded),
        UNIT(what_is_expected_of_an_answer_must_be_there),
        UNIT(a_status_that_is_expected_may_be_one_of_failure),
        UNIT(requests_are_what_a_server_understands),
        UNIT(only_the_incarnation_that_is_asked_for_passes),
    };

    return RUN_TESTS(tests);
}
