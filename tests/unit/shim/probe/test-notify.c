/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/probe/notify.h"

#include "tests/unit/test.h"

static NotifyMessage parse(const char *text)
{
    NotifyMessage m = {};

    assert_int_equal(notify_parse(text, strlen(text), &m), 0);
    return m;
}

TEST(each_line_counts)
{
    NotifyMessage m = parse("READY=1\nSTATUS=up\nWATCHDOG=1\nEXTEND_TIMEOUT_USEC=2500000\n");

    assert_true(m.ready && m.alive);
    assert_false(m.stopping || m.reloading || m.trigger);
    assert_int_equal(m.extend_usec, 2500000);
    assert_string_equal(m.status, "up");
    m = parse("STOPPING=1");
    assert_true(m.stopping && !m.ready);
    m = parse("RELOADING=1\nWATCHDOG=trigger");
    assert_true(m.reloading && m.trigger && !m.alive);
}

TEST(what_is_unknown_or_not_for_us_is_passed_over)
{
    static const char *const lines[] = {"",         "\n\n",      "READY=0",   "READY=11",  "READY",
                                        "ready=1",  "MAINPID=1", "FDSTORE=1", "BARRIER=1", "WATCHDOG_USEC=1",
                                        "XREADY=1", " READY=1"};
    static const NotifyMessage nothing;

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        NotifyMessage m = parse(lines[i]);

        assert_memory_equal(&m, &nothing, sizeof(m));
    }
}

TEST(a_malformed_datagram_counts_for_nothing)
{
    static const char *const bad[] = {"READY=1\nEXTEND_TIMEOUT_USEC=", "READY=1\nEXTEND_TIMEOUT_USEC=-1",
                                      "EXTEND_TIMEOUT_USEC=1x\nREADY=1",
                                      "READY=1\nEXTEND_TIMEOUT_USEC=99999999999999999999"};
    NotifyMessage m = {};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(notify_parse(bad[i], strlen(bad[i]), &m), -EBADMSG);
    assert_int_equal(notify_parse("READY=1\0", 8, &m), -EBADMSG);
    assert_false(m.ready);
}

TEST(a_status_is_cut_and_made_printable)
{
    char text[7 + NOTIFY_STATUS_MAX + 50] = "STATUS=";
    NotifyMessage m;

    memset(text + 7, 'x', sizeof(text) - 8);
    text[9] = '\033';
    m = parse(text);
    assert_int_equal(strlen(m.status), NOTIFY_STATUS_MAX);
    assert_int_equal(m.status[2], '?');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(each_line_counts),
        UNIT(what_is_unknown_or_not_for_us_is_passed_over),
        UNIT(a_malformed_datagram_counts_for_nothing),
        UNIT(a_status_is_cut_and_made_printable),
    };

    return RUN_TESTS(tests);
}
