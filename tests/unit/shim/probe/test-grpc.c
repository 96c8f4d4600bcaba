/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/probe/grpc.h"

#include "tests/unit/test.h"

#define SETTINGS "\0\0\6\4\0\0\0\0\0\0\4\0\1\0\0"
#define HEADERS "\0\0\1\1\4\0\0\0\1\x88"
#define TRAILERS "\0\0\1\1\5\0\0\0\1\xff"
#define SERVING "\0\0\7\0\0\0\0\0\1\0\0\0\0\2\10\1"

static int judge(const char *data, size_t len, bool end, Error *e)
{
    return grpc_judge(data, len, end, e);
}

TEST(a_call_that_is_answered_serving_passes)
{
    static const char whole[] = SETTINGS HEADERS SERVING TRAILERS;

    assert_int_equal(judge(whole, sizeof(whole) - 1, false, NULL), 0);
    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        assert_int_equal(judge(whole, n, false, NULL), -EAGAIN);
        assert_int_equal(judge(whole, n, true, NULL), -EBADMSG);
    }
}

TEST(frames_may_be_cut_and_padded)
{
    static const char whole[] = SETTINGS HEADERS "\0\0\3\0\0\0\0\0\1\0\0\0"
                                                 "\0\0\7\0\x9\0\0\0\1\2\0\2\10\1\0\0";

    assert_int_equal(judge(whole, sizeof(whole) - 1, false, NULL), 0);
}

TEST(every_other_answer_fails_and_says_why)
{
    static const struct {
        const char *data;
        size_t len;
        const char *why;
    } cases[] = {
#define CASE(data, why) {data, sizeof(data) - 1, why}
        CASE(HEADERS "\0\0\7\0\1\0\0\0\1\0\0\0\0\2\10\2", "the service is NOT_SERVING"),
        CASE(HEADERS "\0\0\5\0\1\0\0\0\1\0\0\0\0\0", "the service is UNKNOWN"),
        CASE(HEADERS "\0\0\7\0\1\0\0\0\1\0\0\0\0\2\10\x63", "the service is in no state known"),
        CASE(TRAILERS, "the call was refused: there is no health service, or it does not know this one"),
        CASE(HEADERS "\0\0\7\0\1\0\0\0\1\1\0\0\0\2\10\1", "malformed message in the answer"),
        CASE(HEADERS "\0\0\7\0\1\0\0\0\1\0\0\0\0\3\10\1", "malformed message in the answer"),
        CASE(HEADERS "\0\0\7\0\1\0\0\0\1\0\0\0\0\2\20\1", "malformed message in the answer"),
        CASE(HEADERS "\0\0\1\0\x9\0\0\0\1\7", "malformed frame in the answer"),
        CASE("\0\0\4\3\0\0\0\0\1\0\0\0\1", "the server ends the call"),
        CASE("\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\1", "the server ends the connection"),
        CASE("HTTP/1.1 400 Bad Request\r\n\r\n", "the answer is no HTTP/2"),
#undef CASE
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        Error e = {};

        assert_true(judge(cases[i].data, cases[i].len, false, &e) < 0);
        assert_string_equal(e.text, cases[i].why);
    }
}

TEST(a_message_is_bounded)
{
    static char data[9 + 4096] = "\0\x10\0\0\1\0\0\0\1";

    assert_int_equal(judge(data, sizeof(data), false, NULL), -E2BIG);
}

/* The length of each frame is that of what it holds. */
TEST(the_request_is_made_of_whole_frames)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const unsigned types[] = {4, 1, 0};
    char service[201];

    for (size_t n = 0; n <= 200; n += 40) {
        ProbeSpec spec = {.kind = PROBE_GRPC, .port = 9090, .service = service};
        _cleanup_free_ char *data = NULL;
        const unsigned char *p;
        size_t len = 0, at = sizeof(preface) - 1;

        memset(service, 's', n);
        service[n] = '\0';
        data = grpc_request(&spec, &len);
        assert_memory_equal(data, preface, at);
        p = (const unsigned char *) data;
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
            assert_int_equal(p[at + 3], types[i]);
            at += 9 + (size_t) p[at + 1] * 256 + p[at + 2];
        }
        assert_int_equal(at, len);
        assert_int_equal(p[len - n - 1], n == 0 ? 0 : n < 128 ? n : 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_call_that_is_answered_serving_passes), UNIT(frames_may_be_cut_and_padded),
        UNIT(every_other_answer_fails_and_says_why),  UNIT(a_message_is_bounded),
        UNIT(the_request_is_made_of_whole_frames),
    };

    return RUN_TESTS(tests);
}
