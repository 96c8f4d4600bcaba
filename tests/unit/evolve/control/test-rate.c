/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/control/rate.h"
#include "tests/unit/test.h"

#define START 1000000U

TEST(a_burst_passes_and_then_one_at_a_time)
{
    Rate r = rate_make(3, 100, START);

    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(rate_take(&r, START), 0);
    assert_int_equal(rate_take(&r, START), 100);
    assert_int_equal(rate_take(&r, START + 60), 40);
    assert_int_equal(rate_take(&r, START + 100), 0);
    assert_int_equal(rate_take(&r, START + 100), 100);
}

TEST(asking_in_vain_costs_nothing)
{
    Rate r = rate_make(1, 100, START);

    assert_int_equal(rate_take(&r, START), 0);
    for (unsigned i = 1; i < 100; i++)
        assert_int_equal(rate_take(&r, START + i), 100 - i);
    assert_int_equal(rate_take(&r, START + 100), 0);
}

TEST(a_long_silence_earns_no_more_than_the_burst)
{
    Rate r = rate_make(2, 100, START);

    assert_int_equal(rate_take(&r, START + 1000000), 0);
    assert_int_equal(rate_take(&r, START + 1000000), 0);
    assert_int_equal(rate_take(&r, START + 1000000), 100);
}

TEST(soon_after_the_boot_it_fills_as_always)
{
    Rate r = rate_make(10, 100, 250);

    assert_int_equal(rate_take(&r, 250), 0);
    assert_int_equal(rate_take(&r, 250), 0);
    assert_int_equal(rate_take(&r, 250), 50);
    assert_int_equal(rate_take(&r, 300), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_burst_passes_and_then_one_at_a_time),
        UNIT(asking_in_vain_costs_nothing),
        UNIT(a_long_silence_earns_no_more_than_the_burst),
        UNIT(soon_after_the_boot_it_fills_as_always),
    };

    return RUN_TESTS(tests);
}
