/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/resctrl.h"

#include <sys/stat.h>

#include "runtime/base/file.h"
#include "tests/unit/test.h"

/* A directory in place of the file system: a group that is made in it has no files, so those that are written to are put there before. */

static void put(int dir, const char *path, const char *text)
{
    _cleanup_close_ int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
}

static void make_class(int root, const char *name, const char *schemata)
{
    char path[64];

    assert_int_equal(mkdirat(root, name, 0755), 0);
    snprintf(path, sizeof(path), "%s/schemata", name);
    put(root, path, schemata);
    snprintf(path, sizeof(path), "%s/tasks", name);
    put(root, path, "");
    snprintf(path, sizeof(path), "%s/mon_groups", name);
    assert_int_equal(mkdirat(root, path, 0755), 0);
}

static void expect(int dir, const char *path, const char *text)
{
    _cleanup_free_ char *have = NULL;

    assert_int_equal(file_read_at(dir, path, 4096, &have, NULL), 0);
    assert_string_equal(have, text);
}

static bool exists(int dir, const char *path)
{
    struct stat st;

    return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

TEST(a_class_of_its_own_gets_the_schema_and_the_process)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    const ConfigRdt rdt = {.wanted = true, .mem = "MB:0=20;1=70"};
    Error e = {};

    make_class(d.fd, "box", "");
    assert_int_equal(resctrl_join(d.fd, &rdt, "box", 42, &e), 0);
    expect(d.fd, "box/schemata", "MB:0=20;1=70\n");
    expect(d.fd, "box/tasks", "42");
}

/* One line a write; the file shows what was written last over what was there: the order is L3, MB, schemata. */
TEST(lines_are_written_in_the_order_of_the_specification)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    const char *more[] = {"L2:0=f", NULL};
    const ConfigRdt rdt = {.wanted = true, .l3 = "MB:0=90\nL3:0=ffff0", .mem = "MB:0=2", .schemata = more};

    make_class(d.fd, "box", "");
    assert_int_equal(resctrl_join(d.fd, &rdt, "box", 42, NULL), 0);
    expect(d.fd, "box/schemata", "L2:0=f\nff0\n");
}

TEST(a_class_that_others_have_is_joined_only_if_it_is_what_is_asked_for)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    static const char have[] = "    MB:0= 20;1= 70\n    L3:0=00f;1=7ff\n";
    const ConfigRdt same = {.wanted = true, .clos = "gold", .l3 = "L3:0=F;1=7ff", .mem = "MB:1=70"},
                    other = {.wanted = true, .clos = "gold", .l3 = "L3:0=ff"},
                    missing = {.wanted = true, .clos = "gold", .mem = "L2:0=1"};
    Error e = {};

    make_class(d.fd, "gold", have);
    assert_int_equal(resctrl_join(d.fd, &same, "box", 42, &e), 0);
    expect(d.fd, "gold/schemata", have);
    expect(d.fd, "gold/tasks", "42");
    assert_int_equal(resctrl_join(d.fd, &other, "box", 43, &e), -EEXIST);
    assert_non_null(strstr(e.text, "class \"gold\" exists with another schema than \"L3:0=ff\""));
    assert_int_equal(resctrl_join(d.fd, &missing, "box", 43, &e), -EEXIST);
    expect(d.fd, "gold/tasks", "42");
    resctrl_leave(d.fd, &same, "box");
    assert_true(exists(d.fd, "gold"));
}

TEST(a_class_without_a_schema_must_be_there)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    const ConfigRdt rdt = {.wanted = true, .clos = "silver"};
    Error e = {};

    assert_int_equal(resctrl_join(d.fd, &rdt, "box", 42, &e), -ENOENT);
    assert_non_null(strstr(e.text, "silver"));
    assert_false(exists(d.fd, "silver"));
    make_class(d.fd, "silver", "L3:0=f\n");
    assert_int_equal(resctrl_join(d.fd, &rdt, "box", 42, &e), 0);
    expect(d.fd, "silver/tasks", "42");
}

TEST(what_was_made_in_vain_is_gone_and_the_reason_is_the_kernels)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    const ConfigRdt rdt = {.wanted = true, .mem = "MB:0=1"};
    Error e = {};

    assert_int_equal(mkdirat(d.fd, "info", 0755), 0);
    put(d.fd, "info/last_cmd_status", "Mask out of range\n");
    assert_true(resctrl_join(d.fd, &rdt, "box", 42, &e) < 0);
    assert_string_equal(e.text, "linux.intelRdt: schema \"MB:0=1\": Mask out of range");
    assert_false(exists(d.fd, "box"));
}

TEST(the_root_class_is_a_slash_and_stays)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    const ConfigRdt rdt = {.wanted = true, .clos = "/"};

    put(d.fd, "tasks", "");
    assert_int_equal(resctrl_join(d.fd, &rdt, "box", 42, NULL), 0);
    expect(d.fd, "tasks", "42");
    resctrl_leave(d.fd, &rdt, "box");
    assert_true(exists(d.fd, "tasks"));
}

TEST(a_monitoring_group_is_made_entered_and_removed)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    const ConfigRdt rdt = {.wanted = true, .clos = "gold", .monitoring = true};
    Error e = {};

    make_class(d.fd, "gold", "");
    /* there is no file "tasks" in it, which the kernel would have made */
    assert_true(resctrl_join(d.fd, &rdt, "box", 42, &e) < 0);
    assert_true(exists(d.fd, "gold/mon_groups/box"));
    put(d.fd, "gold/mon_groups/box/tasks", "");
    assert_int_equal(resctrl_enter(d.fd, &rdt, "box", 43, &e), 0);
    expect(d.fd, "gold/mon_groups/box/tasks", "43");
    expect(d.fd, "gold/tasks", "43");
    assert_int_equal(unlinkat(d.fd, "gold/mon_groups/box/tasks", 0), 0);
    resctrl_leave(d.fd, &rdt, "box");
    assert_false(exists(d.fd, "gold/mon_groups/box"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_class_of_its_own_gets_the_schema_and_the_process),
        UNIT(lines_are_written_in_the_order_of_the_specification),
        UNIT(a_class_that_others_have_is_joined_only_if_it_is_what_is_asked_for),
        UNIT(a_class_without_a_schema_must_be_there),
        UNIT(what_was_made_in_vain_is_gone_and_the_reason_is_the_kernels),
        UNIT(the_root_class_is_a_slash_and_stays),
        UNIT(a_monitoring_group_is_made_entered_and_removed),
    };

    return RUN_TESTS(tests);
}
