/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/program.h"

#include <sys/stat.h>

#include "tests/unit/test.h"

static void make_program(const TestDirectory *d, const char *name)
{
    int fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "content", 7), 7);
    close(fd);
}

TEST(a_program_is_found_beside_the_one_that_looks_for_it)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_free_ char *path = NULL;
    char self[128], expected[128];

    make_program(&d, "moss-other");
    snprintf(self, sizeof(self), "%s/moss-self", d.path);
    snprintf(expected, sizeof(expected), "%s/moss-other", d.path);
    assert_int_equal(program_find(self, "moss-other", &path, NULL), 0);
    assert_string_equal(path, expected);
}

TEST(one_that_is_nowhere_is_an_error_that_names_the_places)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    char self[128], *path = NULL;
    Error e = {};

    snprintf(self, sizeof(self), "%s/moss-self", d.path);
    assert_int_equal(program_find(self, "moss-nowhere", &path, &e), -ENOENT);
    assert_null(path);
    assert_non_null(strstr(e.text, d.path));
    assert_non_null(strstr(e.text, MOSS_LIBEXECDIR));
    assert_int_equal(program_find("moss-self", "moss-nowhere", &path, &e), -ENOENT);
}

TEST(a_sealed_copy_cannot_be_written)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    char path[128], content[16] = {};
    struct stat st;
    int fd;

    make_program(&d, "moss-other");
    snprintf(path, sizeof(path), "%s/moss-other", d.path);
    fd = program_seal(path, NULL);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0555);
    assert_int_equal(pread(fd, content, sizeof(content), 0), 7);
    assert_string_equal(content, "content");
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, 0), -1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_program_is_found_beside_the_one_that_looks_for_it),
        UNIT(one_that_is_nowhere_is_an_error_that_names_the_places),
        UNIT(a_sealed_copy_cannot_be_written),
    };

    return RUN_TESTS(tests);
}
