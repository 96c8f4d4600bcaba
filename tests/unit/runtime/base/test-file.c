/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/file.h"

#include <sys/stat.h>

#include "tests/unit/test.h"

static void assert_only_entry(int dirfd, const char *name)
{
    _cleanup_closedir_ DIR *d = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY));
    struct dirent *de;

    assert_non_null(d);
    while ((de = readdir(d)))
        if (de->d_name[0] != '.' || strlen(de->d_name) > 2)
            assert_string_equal(de->d_name, name);
}

TEST(write_replaces_the_whole_file_and_leaves_no_temporary)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_free_ char *data = NULL;
    size_t len;

    assert_int_equal(file_write_at(d.fd, "f", "first content", 13, 0644, FILE_DURABLE), 0);
    assert_int_equal(file_write_at(d.fd, "f", "second", 6, 0600, 0), 0);
    assert_int_equal(file_read_at(d.fd, "f", 100, &data, &len), 0);
    assert_int_equal(len, 6);
    assert_string_equal(data, "second");
    assert_only_entry(d.fd, "f");
}

TEST(write_sets_the_mode_whatever_the_umask)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    struct stat st;
    mode_t old = umask(0077);

    assert_int_equal(file_write_at(d.fd, "f", "", 0, 0644, 0), 0);
    umask(old);
    assert_int_equal(fstatat(d.fd, "f", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
}

TEST(exclusive_write_keeps_what_is_there)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_free_ char *data = NULL;

    assert_int_equal(file_write_at(d.fd, "f", "a", 1, 0644, FILE_EXCLUSIVE), 0);
    assert_int_equal(file_write_at(d.fd, "f", "b", 1, 0644, FILE_EXCLUSIVE), -EEXIST);
    assert_int_equal(file_read_at(d.fd, "f", 100, &data, NULL), 0);
    assert_string_equal(data, "a");
    assert_only_entry(d.fd, "f");
}

TEST(write_refuses_a_name_with_a_slash)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();

    assert_int_equal(file_write_at(d.fd, "../f", "a", 1, 0644, 0), -EINVAL);
}

TEST(write_over_a_symlink_replaces_the_link_not_its_target)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_free_ char *data = NULL;

    assert_int_equal(file_write_at(d.fd, "target", "precious", 8, 0644, 0), 0);
    assert_int_equal(symlinkat("target", d.fd, "f"), 0);
    assert_int_equal(file_write_at(d.fd, "f", "new", 3, 0644, 0), 0);
    assert_int_equal(file_read_at(d.fd, "target", 100, &data, NULL), 0);
    assert_string_equal(data, "precious");
}

TEST(read_is_bounded_exactly)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    char *data = (char *) 1;
    size_t len = 7;

    assert_int_equal(file_write_at(d.fd, "f", "12345", 5, 0644, 0), 0);
    assert_int_equal(file_read_at(d.fd, "f", 4, &data, &len), -E2BIG);
    assert_ptr_equal(data, (char *) 1); /* untouched on failure */
    assert_int_equal(len, 7);
    assert_int_equal(file_read_at(d.fd, "f", 5, &data, &len), 0);
    assert_int_equal(len, 5);
    free(data);
}

TEST(read_refuses_symlinks_fifos_and_directories)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    char *data;

    assert_int_equal(symlinkat("/etc/passwd", d.fd, "link"), 0);
    assert_int_equal(mkfifoat(d.fd, "fifo", 0600), 0);
    assert_int_equal(mkdirat(d.fd, "dir", 0700), 0);
    assert_int_equal(file_read_at(d.fd, "link", 1 << 20, &data, NULL), -ELOOP);
    assert_int_equal(file_read_at(d.fd, "fifo", 1 << 20, &data, NULL), -EINVAL);
    assert_int_equal(file_read_at(d.fd, "dir", 1 << 20, &data, NULL), -EISDIR);
    assert_int_equal(file_read_at(d.fd, "none", 1 << 20, &data, NULL), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(write_replaces_the_whole_file_and_leaves_no_temporary),
        UNIT(write_sets_the_mode_whatever_the_umask),
        UNIT(exclusive_write_keeps_what_is_there),
        UNIT(write_refuses_a_name_with_a_slash),
        UNIT(write_over_a_symlink_replaces_the_link_not_its_target),
        UNIT(read_is_bounded_exactly),
        UNIT(read_refuses_symlinks_fifos_and_directories),
    };

    return RUN_TESTS(tests);
}
