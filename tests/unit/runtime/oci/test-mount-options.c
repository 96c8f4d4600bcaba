/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/mount-options.h"

#include <sys/mount.h>

#include "tests/unit/test.h"

TEST(options_are_sorted_by_what_is_done_with_them)
{
    static const char *const options[] = {"rbind",   "ro",   "nosuid",   "rnodev",    "rslave",
                                          "size=1k", "sync", "defaults", "tmpcopyup", NULL};
    _cleanup_(mount_options_done) MountOptions o = {};

    assert_int_equal(mount_options_parse(options, &o), 0);
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

    assert_int_equal(mount_options_parse(options, &o), 0);
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

    assert_int_equal(mount_options_parse(options, &o), 0);
    assert_true(o.attr_set == MOUNT_ATTR_STRICTATIME && o.attr_clear == MOUNT_ATTR__ATIME);
    assert_int_equal(mount_options_parse(relative, &q), 0);
    assert_true(q.attr_set == 0 && q.attr_clear == MOUNT_ATTR__ATIME);
}

TEST(a_name_that_begins_like_a_recursive_one_is_a_parameter)
{
    static const char *const options[] = {"rsize=1", "rx", NULL};
    _cleanup_(mount_options_done) MountOptions o = {};

    assert_int_equal(mount_options_parse(options, &o), 0);
    assert_string_equal(o.parameters[0], "rsize=1");
    assert_string_equal(o.parameters[1], "rx");
}

TEST(idmap_remount_and_flags_of_some_file_systems)
{
    static const char *const options[] = {"ridmap", "remount", "iversion", "lazytime", "noacl", NULL};
    static const char *const flat[] = {"ridmap", "idmap", NULL};
    _cleanup_(mount_options_done) MountOptions o = {}, q = {};

    assert_int_equal(mount_options_parse(options, &o), 0);
    assert_true(o.idmap && o.idmap_recursive && o.remount && !o.bind);
    assert_string_equal(o.tried[0], "iversion");
    assert_string_equal(o.tried[1], "noacl");
    assert_null(o.tried[2]);
    assert_string_equal(o.flags[0], "lazytime");
    assert_null(o.parameters[0]);
    assert_int_equal(mount_options_parse(flat, &q), 0);
    assert_true(q.idmap && !q.idmap_recursive);
}

/* config.md, "Linux mount options". */
TEST(every_option_of_the_specification_is_known)
{
    static const char *const specified[] = {"async",
                                            "atime",
                                            "bind",
                                            "defaults",
                                            "dev",
                                            "diratime",
                                            "dirsync",
                                            "exec",
                                            "iversion",
                                            "lazytime",
                                            "loud",
                                            "mand",
                                            "noatime",
                                            "nodev",
                                            "nodiratime",
                                            "noexec",
                                            "noiversion",
                                            "nolazytime",
                                            "nomand",
                                            "norelatime",
                                            "nostrictatime",
                                            "nosuid",
                                            "nosymfollow",
                                            "private",
                                            "ratime",
                                            "rbind",
                                            "rdev",
                                            "rdiratime",
                                            "relatime",
                                            "remount",
                                            "rexec",
                                            "rnoatime",
                                            "rnodev",
                                            "rnodiratime",
                                            "rnoexec",
                                            "rnorelatime",
                                            "rnostrictatime",
                                            "rnosuid",
                                            "rnosymfollow",
                                            "ro",
                                            "rprivate",
                                            "rrelatime",
                                            "rro",
                                            "rrw",
                                            "rshared",
                                            "rslave",
                                            "rstrictatime",
                                            "rsuid",
                                            "rsymfollow",
                                            "runbindable",
                                            "rw",
                                            "shared",
                                            "silent",
                                            "slave",
                                            "strictatime",
                                            "suid",
                                            "symfollow",
                                            "sync",
                                            "tmpcopyup",
                                            "unbindable",
                                            "idmap",
                                            "ridmap",
                                            NULL};
    _cleanup_(mount_options_done) MountOptions o = {};

    assert_int_equal(mount_options_parse(specified, &o), 0);
    assert_null(o.parameters[0]); /* where what is not known goes */
}

static void expect_known(void *arg, const char *name)
{
    const char *options[] = {name, NULL};
    MountOptions o = {};

    assert_int_equal(mount_options_parse(options, &o), 0);
    assert_null(o.parameters[0]);
    mount_options_done(&o);
    ++*(size_t *) arg;
}

TEST(each_name_that_is_listed_is_known)
{
    size_t n = 0;

    mount_options_each(expect_known, &n);
    assert_true(n > 60);
}

TEST(what_mount_alone_understands_is_dropped_and_what_says_nothing)
{
    static const char *const options[] = {"x-systemd.automount", "comment=mine", "noauto", "_netdev", "", NULL};
    _cleanup_(mount_options_done) MountOptions o = {};

    assert_int_equal(mount_options_parse(options, &o), 0);
    assert_null(o.parameters[0]);
    assert_null(o.flags[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(options_are_sorted_by_what_is_done_with_them),
        UNIT(the_later_option_wins),
        UNIT(an_access_time_mode_replaces_another),
        UNIT(a_name_that_begins_like_a_recursive_one_is_a_parameter),
        UNIT(idmap_remount_and_flags_of_some_file_systems),
        UNIT(every_option_of_the_specification_is_known),
        UNIT(each_name_that_is_listed_is_known),
        UNIT(what_mount_alone_understands_is_dropped_and_what_says_nothing),
    };

    return RUN_TESTS(tests);
}
