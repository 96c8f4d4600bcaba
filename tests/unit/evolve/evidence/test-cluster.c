/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "evolve/evidence/cluster.h"

static void the_same_request_with_other_names_is_near(void **state _unused_)
{
    ClusterItem items[] = {
        {"correction", "Convert 12 miles to kilometres, please.", 0},
        {"correction", "What did I order last week?", 0},
        {"correction", "convert 4711.5 miles to  kilometres please", 0},
        {"error", "Convert 12 miles to kilometres, please.", 0},
        {"correction", "What did I order last month?", 0},
        {"correction", "请把十二英里换算成公里", 0},
        {"correction", "请把三十英里换算成公里", 0},
        {"correction", "", 0},
    };
    static const size_t expected[] = {0, 1, 0, 2, 1, 3, 3, 4};

    assert_int_equal(cluster(items, ARRAY_SIZE(items)), 5);
    for (size_t i = 0; i < ARRAY_SIZE(items); i++)
        assert_int_equal(items[i].cluster, expected[i]);
    assert_int_equal(cluster(NULL, 0), 0);
}

static void similarity_is_symmetric_and_one_for_equals(void **state _unused_)
{
    static const char *const texts[] = {"", "a", "abc", "abcd", "The quick brown fox", "the quick  brown FOX", "größe"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        for (size_t k = 0; k < ARRAY_SIZE(texts); k++) {
            double s, t;

            assert_int_equal(cluster_similarity(texts[i], texts[k], &s), 0);
            assert_int_equal(cluster_similarity(texts[k], texts[i], &t), 0);
            assert_true(s >= 0 && s <= 1 && s - t < 1e-12 && t - s < 1e-12);
            assert_true(i != k || s > 0.999);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_request_with_other_names_is_near),
        cmocka_unit_test(similarity_is_symmetric_and_one_for_equals),
    };

    return cmocka_run_group_tests_name("cluster", tests, NULL, NULL);
}
