/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/clock.h"
#include "tests/unit/test.h"

/* Every day of 200 years, and both ends of it: leap years, that 2000 is one and 2100 is none. */
TEST(utc_is_what_the_c_library_says)
{
    for (time_t t = 0; t < (time_t) 200 * 366 * 86400; t += 86399) {
        char expected[CLOCK_UTC_SIZE], got[CLOCK_UTC_SIZE];
        struct tm tm;

        gmtime_r(&t, &tm);
        assert_int_equal(strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &tm), CLOCK_UTC_SIZE - 1);
        clock_utc(t, got);
        assert_string_equal(got, expected);
    }
}

TEST(now_ends_in_z)
{
    char now[21];

    clock_iso8601(now);
    assert_int_equal(strlen(now), 20);
    assert_int_equal(now[19], 'Z');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(utc_is_what_the_c_library_says),
        UNIT(now_ends_in_z),
    };

    return RUN_TESTS(tests);
}
