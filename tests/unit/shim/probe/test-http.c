/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/probe/http.h"

#include "tests/unit/test.h"

static int parse(const char *text, bool end, HttpAnswer *a)
{
    return http_parse(text, strlen(text), end, a, NULL);
}

TEST(answers_of_every_framing_are_read)
{
    static const struct {
        const char *text, *body;
        bool end;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false},
        {"HTTP/1.1 200 OK\r\ncontent-length:2 \r\n\r\nok and more", "ok", false},
        {"HTTP/1.0 200\r\n\r\nuntil the end", "until the end", true},
        {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "", false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", "abcde", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(http_answer_done) HttpAnswer a = {};

        assert_int_equal(parse(cases[i].text, cases[i].end, &a), 0);
        assert_int_equal(a.status, 200);
        assert_int_equal(a.len, strlen(cases[i].body));
        assert_memory_equal(a.body, cases[i].body, a.len);
    }
}

TEST(every_cut_answer_asks_for_more_and_fails_at_the_end)
{
    static const char *const whole[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    };

    for (size_t k = 0; k < ARRAY_SIZE(whole); k++) {
        size_t complete = strlen(whole[k]) - (k == 1 ? 2 : 0); /* trailers are not waited for */

        for (size_t n = 0; n < complete; n++) {
            HttpAnswer a = {};

            assert_int_equal(http_parse(whole[k], n, false, &a, NULL), -EAGAIN);
            assert_int_equal(http_parse(whole[k], n, true, &a, NULL), -EBADMSG);
        }
    }
}

TEST(what_is_no_answer_is_refused)
{
    static const char *const bad[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        HttpAnswer a = {};

        assert_int_equal(parse(bad[i], false, &a), -EBADMSG);
    }
}

TEST(a_head_and_a_body_without_end_are_bounded)
{
    static char head[HTTP_HEAD_MAX + 64], body[HTTP_BODY_MAX + 4096];
    HttpAnswer a = {};

    memset(head, 'a', sizeof(head));
    memcpy(head, "HTTP/1.1 200 OK\r\nX: ", 20);
    assert_int_equal(http_parse(head, sizeof(head), false, &a, NULL), -E2BIG);

    memset(body, 'b', sizeof(body));
    memcpy(body, "HTTP/1.1 200 OK\r\n\r\n", 19);
    assert_int_equal(http_parse(body, sizeof(body), false, &a, NULL), 0);
    assert_true(a.cut);
    assert_int_equal(a.len, HTTP_BODY_MAX);
    memcpy(body, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 56);
    assert_int_equal(http_parse(body, sizeof(body), false, &a, NULL), 0);
    assert_true(a.cut);
    assert_int_equal(a.len, HTTP_BODY_MAX);
    http_answer_done(&a);
}

TEST(a_path_cannot_smuggle_a_header)
{
    _cleanup_free_ char *good = http_request("127.0.0.1", 80, "/readyz?x=1");

    assert_non_null(strstr(good, "GET /readyz?x=1 HTTP/1.1\r\n"));
    assert_null(http_request("127.0.0.1", 80, "/ HTTP/1.1\r\nX: y"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(answers_of_every_framing_are_read), UNIT(every_cut_answer_asks_for_more_and_fails_at_the_end),
        UNIT(what_is_no_answer_is_refused),      UNIT(a_head_and_a_body_without_end_are_bounded),
        UNIT(a_path_cannot_smuggle_a_header),
    };

    return RUN_TESTS(tests);
}
