/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/placement.h"

#include "tests/unit/test.h"

TEST(a_list_is_numbers_and_ranges)
{
    IdSet set;

    assert_int_equal(id_set_parse("0-3,7", &set), 0);
    assert_int_equal(set.bits[0], 0x8f);
    assert_int_equal(id_set_parse("64,8191", &set), 0);
    assert_int_equal(set.bits[0], 0);
    assert_int_equal(set.bits[1], 1);
    assert_true(set.bits[ID_SET_BITS / ID_SET_WORD - 1] >> (ID_SET_WORD - 1) == 1);
}

TEST(what_is_no_list_is_refused_and_changes_nothing)
{
    static const char *const bad[] = {"",     ",",      "1,",     ",1", "-",  "1-", "-1",  "2-1",
                                      "8192", "0-8192", "123456", "a",  "1 ", " 1", "1;2", "0x1"};
    IdSet set = {.bits = {5}};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (id_set_parse(bad[i], &set) != -EINVAL)
            fail_msg("\"%s\" is taken for a list", bad[i]);
    assert_int_equal(set.bits[0], 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_list_is_numbers_and_ranges),
        UNIT(what_is_no_list_is_refused_and_changes_nothing),
    };

    return RUN_TESTS(tests);
}
