/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/mount-options.h"

#include <sys/mount.h>

#include "tests/unit/test.h"

TEST(options_are_sorted_by_what_is_done_with_them)
{
    static const char *const options[] = {"rbind",   "ro",   "nosuid",   "rnodev",    "rslave",
                                          "size=1k", "sync", "defaults", "tmpcopyup", NULL};
    _cleanup_(mount_options_done) MountOptions o = {};

    assert_int_equal(mount_options_parse(options, "/x", &o, NULL), 0);
    assert_true(o.bind && o.recursive && o.read_only && o.copy_up);
    assert_true(o.attr_set == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID) && o.attr_clear == 0);
    assert_true(o.attr_set_rec == MOUNT_ATTR_NODEV);
    assert_true(o.propagation == (MS_SLAVE | MS_REC));
    assert_string_equal(o.parameters[0], "size=1k");
    assert_null(o.parameters[1]);
    assert_string_equal(o.flags[0], "sync");
}

TEST(the_later_option_wins)
{
    static const char *const options[] = {"ro", "rw", "nosuid", "suid", "exec", "noexec", NULL};
    _cleanup_(mount_options_done) MountOptions o = {};

    assert_int_equal(mount_options_parse(options, "/x", &o, NULL), 0);
    assert_true(o.attr_set == MOUNT_ATTR_NOEXEC);
    assert_true(o.attr_clear == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID));
    assert_false(o.read_only);
}

/* mount_setattr(2) wants the whole mode cleared before another is set. */
TEST(an_access_time_mode_replaces_another)
{
    static const char *const options[] = {"noatime", "strictatime", NULL}, *const relative[] = {"noatime", "relatime",
                                                                                                NULL};
    _cleanup_(mount_options_done) MountOptions o = {}, q = {};

    assert_int_equal(mount_options_parse(options, "/x", &o, NULL), 0);
    assert_true(o.attr_set == MOUNT_ATTR_STRICTATIME && o.attr_clear == MOUNT_ATTR__ATIME);
    assert_int_equal(mount_options_parse(relative, "/x", &q, NULL), 0);
    assert_true(q.attr_set == 0 && q.attr_clear == MOUNT_ATTR__ATIME);
}

TEST(a_name_that_begins_like_a_recursive_one_is_a_parameter)
{
    static const char *const options[] = {"rsize=1", "rx", NULL};
    _cleanup_(mount_options_done) MountOptions o = {};

    assert_int_equal(mount_options_parse(options, "/x", &o, NULL), 0);
    assert_string_equal(o.parameters[0], "rsize=1");
    assert_string_equal(o.parameters[1], "rx");
}

TEST(what_cannot_be_done_is_refused)
{
    static const char *const refused[] = {"remount", "idmap", "ridmap", "mand"};

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        const char *options[] = {refused[i], NULL};
        MountOptions o = {};
        Error e = {};

        assert_int_equal(mount_options_parse(options, "/x", &o, &e), -EINVAL);
        assert_non_null(strstr(e.text, refused[i]));
        assert_null(o.parameters);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(options_are_sorted_by_what_is_done_with_them),
        UNIT(the_later_option_wins),
        UNIT(an_access_time_mode_replaces_another),
        UNIT(a_name_that_begins_like_a_recursive_one_is_a_parameter),
        UNIT(what_cannot_be_done_is_refused),
    };

    return RUN_TESTS(tests);
}
