/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/swap/carry.h"

#include "tests/unit/test.h"

static int parse(const char *text, Carry *ret)
{
    char *copy = strdup(text);
    int r = carry_parse(copy, ret, NULL);

    free(copy);
    return r;
}

TEST(what_is_mounted_on_the_root_is_carried_and_what_lies_below_goes_along)
{
    _cleanup_(carry_done) Carry c = {};

    assert_int_equal(parse("10 1 0:30 / / rw - overlay overlay rw\n"
                           "12 10 0:32 / /sys ro - sysfs sysfs ro\n"
                           "11 10 0:31 / /proc rw - proc proc rw\n"
                           "13 11 0:33 / /proc/acpi ro - tmpfs tmpfs ro\n"
                           "14 10 8:1 /etc/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n",
                           &c),
                     0);
    assert_int_equal(c.n, 3);
    assert_string_equal(c.list[0].path, "/etc/hosts");
    assert_string_equal(c.list[1].path, "/proc");
    assert_int_equal(c.list[1].id, 11);
    assert_string_equal(c.list[2].path, "/sys");
}

TEST(where_mounts_lie_on_top_of_one_another_the_one_that_is_seen_counts)
{
    _cleanup_(carry_done) Carry c = {};

    assert_int_equal(parse("9 1 0:29 / / rw - overlay old rw\n"
                           "10 9 0:30 / / rw - overlay new rw\n"
                           "20 9 0:40 / /hidden rw - tmpfs tmpfs rw\n"
                           "21 10 0:41 / /dev rw - tmpfs tmpfs rw\n"
                           "22 21 0:42 / /dev rw - tmpfs tmpfs rw\n"
                           "23 22 0:43 / /dev/pts rw - devpts devpts rw\n",
                           &c),
                     0);
    assert_int_equal(c.n, 1);
    assert_string_equal(c.list[0].path, "/dev");
    assert_int_equal(c.list[0].id, 22);
}

TEST(odd_names_are_read_as_they_are)
{
    _cleanup_(carry_done) Carry c = {};

    assert_int_equal(
        parse("10 1 0:30 / / rw - overlay o rw\n11 10 0:31 / /a\\040b\\134c\\011\\012 rw - tmpfs t rw\n", &c), 0);
    assert_string_equal(c.list[0].path, "/a b\\c\t\n");
}

TEST(what_is_no_list_of_mounts_is_refused)
{
    static const char *const bad[] = {"", "10 1 0:30\n", "x 1 0:30 / / rw\n", "11 10 0:31 / /proc rw - proc proc rw\n"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        Carry c = {};

        assert_int_equal(parse(bad[i], &c), -EBADMSG);
    }
}

TEST(a_mount_in_the_way_of_the_state_volume_is_refused)
{
    static const struct {
        const char *mount;
        int r;
    } table[] = {{"/state", -EINVAL}, {"/state/x", -EINVAL}, {"/var", -EINVAL}, {"/statement", 0}, {"/proc", 0}};

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        Carried one = {(char *) table[i].mount, 1, -EBADF};
        Carry c = {&one, 1};

        assert_int_equal(carry_check(&c, i == 2 ? "/var/state" : "/state", NULL), table[i].r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(what_is_mounted_on_the_root_is_carried_and_what_lies_below_goes_along),
        UNIT(where_mounts_lie_on_top_of_one_another_the_one_that_is_seen_counts),
        UNIT(odd_names_are_read_as_they_are),
        UNIT(what_is_no_list_of_mounts_is_refused),
        UNIT(a_mount_in_the_way_of_the_state_volume_is_refused),
    };

    return RUN_TESTS(tests);
}
