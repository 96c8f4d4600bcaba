/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/rundir.h"

#include <sys/stat.h>

#include "runtime/base/strbuf.h"
#include "tests/unit/test.h"

TEST(it_is_made_for_us_alone)
{
    TestDirectory d = test_directory_make();
    _cleanup_free_ char *run = xasprintf("%s/run", d.path), *path = NULL;
    struct stat st;
    Error e = {};

    assert_int_equal(setenv("MOSS_RUN", run, 1), 0);
    assert_int_equal(run_directory("x", &path, &e), 0);
    assert_int_equal(fstatat(d.fd, "run/x", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(unsetenv("MOSS_RUN"), 0);
    test_directory_remove(&d);
}

TEST(what_others_could_have_put_there_is_refused)
{
    TestDirectory d = test_directory_make();
    char *path = NULL;
    Error e = {};

    assert_int_equal(setenv("MOSS_RUN", d.path, 1), 0);
    assert_int_equal(mkdirat(d.fd, "open", 0777), 0);
    assert_int_equal(fchmodat(d.fd, "open", 0777, 0), 0);
    assert_int_equal(run_directory("open", &path, &e), -EPERM);
    assert_non_null(strstr(e.text, "open"));
    assert_int_equal(symlinkat("/tmp", d.fd, "link"), 0);
    assert_true(run_directory("link", &path, &e) < 0);
    assert_int_equal(fchmod(d.fd, 0777), 0);
    assert_int_equal(run_directory("x", &path, &e), -EPERM);
    assert_null(path);
    assert_int_equal(unsetenv("MOSS_RUN"), 0);
    test_directory_remove(&d);
}

TEST(a_file_is_opened_again_by_name_unless_another_is_there)
{
    TestDirectory d = test_directory_make();
    _cleanup_close_ int one = -EBADF, again = -EBADF;
    struct stat a, b;

    assert_int_equal(mkdirat(d.fd, "one", 0755), 0);
    one = openat(d.fd, "one", O_PATH | O_DIRECTORY | O_CLOEXEC);
    again = fd_reopen_path(one);
    assert_true(again >= 0);
    assert_int_equal(fstat(one, &a), 0);
    assert_int_equal(fstat(again, &b), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    assert_int_equal(renameat(d.fd, "one", d.fd, "two"), 0);
    assert_int_equal(mkdirat(d.fd, "one", 0755), 0);
    fd_closep(&again);
    again = fd_reopen_path(one); /* by its new name */
    assert_true(again >= 0);
    assert_int_equal(unlinkat(d.fd, "two", AT_REMOVEDIR), 0);
    assert_int_equal(fd_reopen_path(one), -ENOENT);
    test_directory_remove(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(it_is_made_for_us_alone),
        UNIT(what_others_could_have_put_there_is_refused),
        UNIT(a_file_is_opened_again_by_name_unless_another_is_there),
    };

    return RUN_TESTS(tests);
}
