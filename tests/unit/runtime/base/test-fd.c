/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/fd.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "runtime/base/file.h"
#include "tests/unit/test.h"

static void make_file(int dirfd, const char *name, const char *content)
{
    assert_int_equal(file_write_at(dirfd, name, content, strlen(content), 0644, 0), 0);
}

TEST(beneath_never_leaves_the_directory)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();

    assert_int_equal(mkdirat(d.fd, "in", 0755), 0);
    assert_int_equal(symlinkat("/etc", d.fd, "absolute"), 0);
    assert_int_equal(symlinkat("../../../etc", d.fd, "in/relative"), 0);
    assert_int_equal(openat_beneath(d.fd, "../x", O_RDONLY, 0), -EXDEV);
    assert_int_equal(openat_beneath(d.fd, "/etc/passwd", O_RDONLY, 0), -EXDEV);
    assert_int_equal(openat_beneath(d.fd, "absolute/passwd", O_RDONLY, 0), -EXDEV);
    assert_int_equal(openat_beneath(d.fd, "in/relative/passwd", O_RDONLY, 0), -EXDEV);
}

TEST(beneath_opens_what_is_inside)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_close_ int fd = -EBADF;

    assert_int_equal(mkdirat_p(d.fd, "a/b//./c", 0755), 0);
    fd = openat_beneath(d.fd, "a/b/c/f", O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST(a_walk_follows_no_symlink_and_takes_an_absolute_path_from_its_directory)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_close_ int fd = -EBADF, link = -EBADF, top = -EBADF;
    struct stat st;

    assert_int_equal(mkdirat_p(d.fd, "a/b", 0755), 0);
    assert_int_equal(symlinkat("a", d.fd, "inside"), 0);
    fd = openat_walk(d.fd, "/a/./b", O_PATH, 0);
    assert_true(fd >= 0);
    top = openat_walk(d.fd, "/", O_PATH, 0);
    assert_true(top >= 0);
    assert_int_equal(openat_walk(d.fd, "a/../a", O_PATH, 0), -EXDEV);
    assert_int_equal(openat_walk(d.fd, "inside/b", O_PATH, 0), -ENOTDIR);
    assert_int_equal(openat_walk(d.fd, "inside", O_RDONLY, 0), -ELOOP);
    link = openat_walk(d.fd, "inside", O_PATH, 0);
    assert_int_equal(fstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

TEST(mkdir_p_refuses_symlinks_and_dots)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();

    assert_int_equal(symlinkat("/tmp", d.fd, "link"), 0);
    assert_int_equal(mkdirat_p(d.fd, "link/x", 0755), -ENOTDIR);
    assert_int_equal(mkdirat_p(d.fd, "a/../../x", 0755), -EXDEV);
}

TEST(rm_rf_removes_a_tree_that_is_deeper_than_files_can_be_open)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    struct rlimit before, few;
    int at = dup(d.fd);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (unsigned i = 0; i < 3000; i++) {
        int next;

        assert_int_equal(mkdirat(at, "deep", 0700), 0);
        next = openat(at, "deep", O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    assert_int_equal(mkdirat(at, "deeper", 0), 0);
    close(at);
    few = (struct rlimit){128, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(rm_rf_at(d.fd, "deep"), 0);
    assert_int_equal(faccessat(d.fd, "deep", F_OK, 0), -1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(rm_rf_removes_closed_directories_but_not_what_symlinks_show)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    struct stat st;

    assert_int_equal(mkdirat_p(d.fd, "keep", 0755), 0);
    make_file(d.fd, "precious", "x");
    assert_int_equal(mkdirat_p(d.fd, "gone/deep/deeper", 0755), 0);
    assert_int_equal(symlinkat("../keep", d.fd, "gone/link"), 0);
    assert_int_equal(symlinkat("../precious", d.fd, "gone/deep/link"), 0);
    assert_int_equal(fchmodat(d.fd, "gone/deep", 0, 0), 0);
    assert_int_equal(rm_rf_at(d.fd, "gone"), 0);
    assert_int_equal(rm_rf_at(d.fd, "gone"), 0); /* missing is success */
    assert_int_equal(fstatat(d.fd, "keep", &st, 0), 0);
    assert_int_equal(fstatat(d.fd, "precious", &st, 0), 0);
    assert_int_equal(fstatat(d.fd, "gone", &st, 0), -1);
}

TEST(copy_keeps_content_links_modes_and_xattrs)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_close_ int from = -EBADF, to = -EBADF;
    _cleanup_free_ char *data = NULL;
    struct stat a, b;
    char value[8] = "";

    assert_int_equal(mkdirat_p(d.fd, "from/sub", 0755), 0);
    assert_int_equal(mkdirat(d.fd, "to", 0755), 0);
    from = openat(d.fd, "from", O_RDONLY | O_DIRECTORY);
    to = openat(d.fd, "to", O_RDONLY | O_DIRECTORY);
    make_file(from, "f", "content");
    assert_int_equal(linkat(from, "f", from, "sub/hard", 0), 0);
    assert_int_equal(symlinkat("nowhere", from, "soft"), 0);
    assert_int_equal(fchmodat(from, "sub", 0710, 0), 0);
    assert_int_equal(fchmodat(from, "f", 04755, 0), 0);
    {
        _cleanup_close_ int f = openat(from, "f", O_RDONLY);

        if (fsetxattr(f, "user.moss", "v", 1, 0) < 0)
            assert_int_equal(errno, EOPNOTSUPP);
        else
            value[0] = 'v';
    }

    assert_int_equal(copy_tree_at(from, to), 0);
    assert_int_equal(file_read_at(to, "f", 100, &data, NULL), 0);
    assert_string_equal(data, "content");
    assert_int_equal(fstatat(to, "f", &a, 0), 0);
    assert_int_equal(fstatat(to, "sub/hard", &b, 0), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    assert_int_equal(a.st_mode & 07777, 04755);
    assert_int_equal(fstatat(to, "sub", &b, 0), 0);
    assert_int_equal(b.st_mode & 07777, 0710);
    assert_int_equal(fstatat(to, "soft", &b, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISLNK(b.st_mode));
    if (value[0]) {
        _cleanup_close_ int f = openat(to, "f", O_RDONLY);

        assert_int_equal(fgetxattr(f, "user.moss", value, sizeof(value)), 1);
    }
}

TEST(copy_refuses_a_bottomless_tree)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_close_ int from = -EBADF, to = -EBADF, at = -EBADF;

    assert_int_equal(mkdirat(d.fd, "from", 0755), 0);
    assert_int_equal(mkdirat(d.fd, "to", 0755), 0);
    from = openat(d.fd, "from", O_RDONLY | O_DIRECTORY);
    to = openat(d.fd, "to", O_RDONLY | O_DIRECTORY);
    at = dup(from);
    for (unsigned i = 0; i < 300; i++) {
        int next;

        assert_int_equal(mkdirat(at, "d", 0755), 0);
        next = openat(at, "d", O_RDONLY | O_DIRECTORY);
        assert_true(next >= 0);
        fd_closep(&at);
        at = next;
    }
    assert_int_equal(copy_tree_at(from, to), -ELOOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(beneath_never_leaves_the_directory),
        UNIT(beneath_opens_what_is_inside),
        UNIT(a_walk_follows_no_symlink_and_takes_an_absolute_path_from_its_directory),
        UNIT(mkdir_p_refuses_symlinks_and_dots),
        UNIT(rm_rf_removes_a_tree_that_is_deeper_than_files_can_be_open),
        UNIT(rm_rf_removes_closed_directories_but_not_what_symlinks_show),
        UNIT(copy_keeps_content_links_modes_and_xattrs),
        UNIT(copy_refuses_a_bottomless_tree),
    };

    return RUN_TESTS(tests);
}
