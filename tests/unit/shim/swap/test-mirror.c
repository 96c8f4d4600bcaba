/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/swap/mirror.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "tests/unit/test.h"

/* ---- are two trees the same? ---- */

static DIR *list(int fd)
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(again >= 0);
    return fdopendir(again);
}

static size_t count(int fd)
{
    _cleanup_closedir_ DIR *d = list(fd);
    size_t n = 0;

    while (readdir(d))
        n++;
    return n;
}

static void same_content(int a, int b, const char *name)
{
    _cleanup_free_ char *x = NULL, *y = NULL;
    size_t n, m;

    assert_int_equal(file_read_at(a, name, 1 << 24, &x, &n), 0);
    assert_int_equal(file_read_at(b, name, 1 << 24, &y, &m), 0);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
}

static void same_xattrs(int a, int b)
{
    char names[4096], x[4096], y[4096];
    ssize_t n = flistxattr(a, names, sizeof(names));

    assert_int_equal(n, flistxattr(b, NULL, 0));
    for (char *p = names; p < names + n; p += strlen(p) + 1) {
        ssize_t m = fgetxattr(a, p, x, sizeof(x));

        assert_int_equal(m, fgetxattr(b, p, y, sizeof(y)));
        assert_memory_equal(x, y, (size_t) m);
    }
}

static void same_inode(const struct stat *a, const struct stat *b, const char *name)
{
    if (a->st_mode != b->st_mode || a->st_uid != b->st_uid || a->st_gid != b->st_gid ||
        a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec ||
        (!S_ISDIR(a->st_mode) && a->st_nlink != b->st_nlink))
        fail_msg("%s: mode %o %o, owner %u %u, %u %u, mtime %ld.%ld %ld.%ld, links %lu %lu", name, a->st_mode,
                 b->st_mode, a->st_uid, b->st_uid, a->st_gid, b->st_gid, a->st_mtim.tv_sec, a->st_mtim.tv_nsec,
                 b->st_mtim.tv_sec, b->st_mtim.tv_nsec, (unsigned long) a->st_nlink, (unsigned long) b->st_nlink);
}

/* Which names are links of one file: the inode of the copy for each of the original's. */
static ino_t partners[4096];

static void same_tree(int a, int b)
{
    _cleanup_closedir_ DIR *d = list(a);
    struct dirent *de;

    assert_int_equal(count(a), count(b));
    same_xattrs(a, b);
    while ((de = readdir(d))) {
        const char *name = de->d_name;
        struct stat x, y;

        assert_int_equal(fstatat(a, name, &x, AT_SYMLINK_NOFOLLOW), 0);
        if (fstatat(b, name, &y, AT_SYMLINK_NOFOLLOW) < 0)
            fail_msg("%s is missing", name);
        if (streq(name, ".."))
            continue;
        same_inode(&x, &y, name);
        if (S_ISREG(x.st_mode)) {
            same_content(a, b, name);
            if (x.st_nlink > 1) {
                ino_t *partner = &partners[x.st_ino % ARRAY_SIZE(partners)];

                assert_true(*partner == 0 || *partner == y.st_ino);
                *partner = y.st_ino;
            }
        } else if (S_ISLNK(x.st_mode)) {
            char s[256] = "", t[256] = "";

            assert_int_equal(readlinkat(a, name, s, sizeof(s) - 1), readlinkat(b, name, t, sizeof(t) - 1));
            assert_string_equal(s, t);
        }
        if (S_ISREG(x.st_mode) || (S_ISDIR(x.st_mode) && !streq(name, "."))) {
            _cleanup_close_ int i = openat(a, name, O_RDONLY), o = openat(b, name, O_RDONLY);

            same_xattrs(i, o);
            if (S_ISDIR(x.st_mode))
                same_tree(i, o);
        }
    }
}

static void assert_same(int a, int b)
{
    memset(partners, 0, sizeof(partners));
    same_tree(a, b);
}

/* ---- what an agent does to its state ---- */

static unsigned dice(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245U + 12345U;
    return (*seed >> 16) % n;
}

/* One of a few paths, so that names are met again as something else. */
static void any_path(unsigned *seed, char path[static 32])
{
    static const char *const parents[] = {"", "", "a/", "b/", "a/c/", "a/c/d/"};

    snprintf(path, 32, "%s%c%u", parents[dice(seed, ARRAY_SIZE(parents))], "fgh"[dice(seed, 3)], dice(seed, 8));
}

static void write_some(int fd, unsigned *seed)
{
    char data[300];

    memset(data, 'a' + (int) dice(seed, 26), sizeof(data));
    (void) !pwrite(fd, data, dice(seed, sizeof(data)), (off_t) dice(seed, 4) * dice(seed, 100000));
}

static void change_file(int top, const char *path, unsigned *seed)
{
    _cleanup_close_ int fd = openat(top, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0644);
    const struct timespec past[] = {{1000, 0}, {1000000 + dice(seed, 3), 5}};

    if (fd < 0)
        return;
    switch (dice(seed, 6)) {
    case 0:
        (void) fchmod(fd, dice(seed, 2) ? 04755 : 0600);
        break;
    case 1:
        (void) !fchown(fd, dice(seed, 3), dice(seed, 3));
        break;
    case 2:
        if (dice(seed, 2))
            (void) fremovexattr(fd, "user.x");
        else
            (void) fsetxattr(fd, "user.x", path, strlen(path), 0);
        break;
    case 3:
        (void) !ftruncate(fd, dice(seed, 500000));
        break;
    default:
        write_some(fd, seed);
    }
    if (dice(seed, 3) == 0)
        (void) futimens(fd, past); /* as if nothing had been */
}

static void change(int top, unsigned *seed)
{
    static const char *const directories[] = {"a", "b", "a/c", "a/c/d"};
    const char *directory = directories[dice(seed, 4)], *other = directories[dice(seed, 4)];
    char path[32], to[32];

    any_path(seed, path);
    any_path(seed, to);
    switch (dice(seed, 16)) {
    case 0:
    case 1:
        (void) mkdirat(top, directory, 0755);
        break;
    case 2:
        (void) rm_rf_at(top, path);
        break;
    case 3:
        (void) renameat(top, path, top, to);
        break;
    case 4:
        (void) renameat2(top, path, top, to, RENAME_EXCHANGE);
        break;
    case 5:
        (void) !linkat(top, path, top, to, 0);
        break;
    case 6:
        (void) !symlinkat(to, top, path);
        break;
    case 7:
        (void) mkfifoat(top, path, 0640);
        break;
    case 8:
        (void) renameat2(top, directory, top, other, RENAME_EXCHANGE);
        break;
    case 9:
        (void) !fchmodat(top, directory, dice(seed, 2) ? 0700 : 01777, 0);
        break;
    case 10:
        if (dice(seed, 8) == 0)
            (void) rm_rf_at(top, directory);
        break;
    default:
        change_file(top, path, seed);
    }
}

static void pass(int from, int to, const MirrorIndex *known, MirrorIndex *seen)
{
    Error e = {};

    if (mirror_pass(&(MirrorSpec){from, to, known, seen, seen != NULL}, &e) < 0)
        fail_msg("%s", e.text);
}

TEST(a_tree_that_is_changed_between_passes_comes_out_the_same)
{
    unsigned rounds = getenv("MOSS_FULL") ? 2000 : 25;

    for (unsigned round = 0; round < rounds; round++) {
        _cleanup_test_directory_ TestDirectory from = test_directory_make(), to = test_directory_make();
        _cleanup_(mirror_index_freep) MirrorIndex *first = mirror_index_new(), *second = mirror_index_new();
        unsigned seed = round;

        for (unsigned i = 0; i < 150; i++)
            change(from.fd, &seed);
        pass(from.fd, to.fd, NULL, first);
        for (unsigned i = dice(&seed, 40); i > 0; i--)
            change(from.fd, &seed);
        pass(from.fd, to.fd, first, second);
        for (unsigned i = dice(&seed, 40); i > 0; i--)
            change(from.fd, &seed);
        pass(from.fd, to.fd, second, NULL);
        assert_same(from.fd, to.fd);
    }
}

TEST(a_tree_that_is_changed_while_it_is_read_comes_out_the_same)
{
    for (unsigned round = 0; round < 5; round++) {
        _cleanup_test_directory_ TestDirectory from = test_directory_make(), to = test_directory_make();
        _cleanup_(mirror_index_freep) MirrorIndex *known = mirror_index_new(), *seen = mirror_index_new();
        unsigned seed = round;
        pid_t pid;

        for (unsigned i = 0; i < 300; i++)
            change(from.fd, &seed);
        pid = fork();
        assert_true(pid >= 0);
        while (pid == 0)
            change(from.fd, &seed);
        pass(from.fd, to.fd, NULL, known);
        for (unsigned i = 0; i < 10; i++) {
            MirrorIndex *last = known;

            pass(from.fd, to.fd, known, seen);
            known = seen;
            seen = last;
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        pass(from.fd, to.fd, known, NULL);
        assert_same(from.fd, to.fd);
    }
}

/* What had just been changed is not trusted at first. */
static void pass_until_trusted(int from, int to, MirrorIndex **known, MirrorIndex **seen)
{
    int copied = 1;

    for (unsigned passes = 0; copied > 0; passes++) {
        MirrorIndex *last = *known;

        assert_true(passes < 10000);
        copied = mirror_pass(&(MirrorSpec){from, to, *known, *seen, true}, NULL);
        assert_true(copied >= 0);
        *known = *seen;
        *seen = last;
    }
}

TEST(what_does_not_change_is_not_copied_again)
{
    _cleanup_test_directory_ TestDirectory from = test_directory_make(), to = test_directory_make();
    _cleanup_(mirror_index_freep) MirrorIndex *known = mirror_index_new(), *seen = mirror_index_new();
    unsigned seed = 1;

    for (unsigned i = 0; i < 300; i++)
        change(from.fd, &seed);
    pass(from.fd, to.fd, NULL, known);
    pass_until_trusted(from.fd, to.fd, &known, &seen);
    assert_int_equal(mirror_pass(&(MirrorSpec){.from = from.fd, .to = to.fd, .known = known}, NULL), 0);
    assert_same(from.fd, to.fd);
}

/* As a database does it: the page is dirty and mapped before the pass, and written to after it. */
TEST(a_store_through_a_mapping_after_a_pass_is_not_lost)
{
    _cleanup_test_directory_ TestDirectory from = test_directory_make(), to = test_directory_make();
    _cleanup_(mirror_index_freep) MirrorIndex *known = mirror_index_new(), *seen = mirror_index_new();
    _cleanup_close_ int fd = openat(from.fd, "db", O_RDWR | O_CREAT, 0600);
    char *map;

    if (!mirror_worthwhile(from.fd))
        skip();
    assert_int_equal(ftruncate(fd, 8192), 0);
    map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    map[0] = 'a';
    pass(from.fd, to.fd, NULL, known);
    pass_until_trusted(from.fd, to.fd, &known, &seen);
    map[0] = 'x';
    pass(from.fd, to.fd, known, NULL);
    assert_same(from.fd, to.fd);
    munmap(map, 8192);
}

TEST(a_file_with_a_hole_takes_no_more_than_its_data)
{
    _cleanup_test_directory_ TestDirectory from = test_directory_make(), to = test_directory_make();
    _cleanup_close_ int fd = openat(from.fd, "sparse", O_RDWR | O_CREAT, 0600);
    struct stat st;

    assert_int_equal(ftruncate(fd, (off_t) 1 << 40), 0);
    assert_int_equal(pwrite(fd, "x", 1, (off_t) 1 << 39), 1);
    pass(from.fd, to.fd, NULL, NULL);
    assert_int_equal(fstatat(to.fd, "sparse", &st, 0), 0);
    assert_int_equal(st.st_size, (off_t) 1 << 40);
    assert_true(st.st_blocks < 2048);
}

TEST(a_tree_that_is_too_deep_is_refused_by_name)
{
    _cleanup_test_directory_ TestDirectory from = test_directory_make(), to = test_directory_make();
    _cleanup_close_ int at = dup(from.fd);
    Error e = {};

    for (unsigned i = 0; i <= MIRROR_DEPTH_MAX; i++) {
        int next;

        assert_int_equal(mkdirat(at, "d", 0700), 0);
        next = openat(at, "d", O_RDONLY | O_DIRECTORY);
        close(at);
        at = next;
    }
    assert_int_equal(mirror_pass(&(MirrorSpec){.from = from.fd, .to = to.fd}, &e), -ELOOP);
    assert_non_null(strstr(e.text, "directories deep"));
}

TEST(a_link_that_leads_out_is_a_link_in_the_copy_and_a_socket_is_left_out)
{
    _cleanup_test_directory_ TestDirectory from = test_directory_make(), to = test_directory_make();
    char target[32] = "";

    assert_int_equal(symlinkat("/etc/passwd", from.fd, "out"), 0);
    assert_int_equal(mknodat(from.fd, "socket", S_IFSOCK | 0600, 0), 0);
    pass(from.fd, to.fd, NULL, NULL);
    assert_int_equal(readlinkat(to.fd, "out", target, sizeof(target) - 1), 11);
    assert_string_equal(target, "/etc/passwd");
    assert_int_equal(faccessat(to.fd, "socket", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_tree_that_is_changed_between_passes_comes_out_the_same),
        UNIT(a_tree_that_is_changed_while_it_is_read_comes_out_the_same),
        UNIT(what_does_not_change_is_not_copied_again),
        UNIT(a_store_through_a_mapping_after_a_pass_is_not_lost),
        UNIT(a_file_with_a_hole_takes_no_more_than_its_data),
        UNIT(a_tree_that_is_too_deep_is_refused_by_name),
        UNIT(a_link_that_leads_out_is_a_link_in_the_copy_and_a_socket_is_left_out),
    };

    return RUN_TESTS(tests);
}
