/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "runtime/base/file.h"
#include "runtime/store/internal.h"
#include "tests/unit/test.h"

typedef struct Fixture {
    TestDirectory d;
    Store *store;
    int tree;
} Fixture;

static Fixture fixture_make(void)
{
    Fixture f = {.d = test_directory_make()};
    char path[80];

    snprintf(path, sizeof(path), "%s/store", f.d.path);
    assert_int_equal(store_open(path, &f.store, NULL), 0);
    assert_int_equal(mkdirat(f.d.fd, "tree", 0755), 0);
    f.tree = openat(f.d.fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f.tree >= 0);
    return f;
}

static void fixture_remove(Fixture *f)
{
    store_free(f->store);
    close(f->tree);
    test_directory_remove(&f->d);
}
#define _cleanup_fixture_ _cleanup_(fixture_remove)

static void put(int dirfd, const char *path, const char *text, mode_t mode)
{
    _cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
}

static void set_xattr(int dirfd, const char *path, const char *name, const char *value)
{
    _cleanup_close_ int fd = openat(dirfd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    char proc[FD_PATH_MAX];

    assert_int_equal(setxattr(fd_path(fd, proc), name, value, strlen(value), 0), 0);
}

static unsigned entries(int dirfd, const char *path)
{
    _cleanup_closedir_ DIR *d = fdopendir(openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    unsigned n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    return n - 2;
}

static void import(Fixture *f, char digest[static DIGEST_SIZE])
{
    Error e = {};
    int r = layer_import(f->store, f->tree, digest, &e);

    assert_string_equal(e.text, "");
    assert_int_equal(r, 0);
    assert_int_equal(layer_verify(f->store, digest, NULL), 0);
    assert_int_equal(entries(store_fd(f->store), "tmp"), 0);
}

static void digest_of(const Fixture *f, char digest[static DIGEST_SIZE])
{
    assert_int_equal(tree_digest(f->tree, digest, NULL), 0);
}

/* Devices and owners are root's to make. */
static void need_root(void)
{
    if (geteuid() != 0)
        skip();
}

TEST(the_same_content_is_stored_once)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    char a[DIGEST_SIZE], b[DIGEST_SIZE], c[DIGEST_SIZE];

    put(f.tree, "file", "content", 0644);
    import(&f, a);
    import(&f, b);
    assert_string_equal(a, b);
    assert_int_equal(entries(store_fd(f.store), "layers/sha256"), 1);
    put(f.tree, "other", "", 0644);
    import(&f, c);
    assert_string_not_equal(a, c);
    assert_int_equal(entries(store_fd(f.store), "layers/sha256"), 2);
}

TEST(hostile_entries_survive_as_they_are)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_close_ int layer = -EBADF;
    char digest[DIGEST_SIZE], source[DIGEST_SIZE], target[64] = "";
    struct stat a, b;

    need_root();
    assert_int_equal(mknodat(f.tree, "null", S_IFCHR | 0666, makedev(1, 3)), 0);
    assert_int_equal(mknodat(f.tree, "disk", S_IFBLK | 0600, makedev(7, 250)), 0);
    assert_int_equal(mknodat(f.tree, "gone", S_IFCHR, 0), 0);
    assert_int_equal(mknodat(f.tree, "pipe", S_IFIFO | 0600, 0), 0);
    put(f.tree, "setuid", "#!", 04755);
    put(f.tree, "two\nlines\x1b[31m", "x", 0644);
    assert_int_equal(symlinkat("../../../../etc/shadow", f.tree, "out"), 0);
    assert_int_equal(linkat(f.tree, "setuid", f.tree, "hard", 0), 0);
    assert_int_equal(mkdirat(f.tree, "shut", 0), 0);
    assert_int_equal(mkdirat(f.tree, "opaque", 0755), 0);
    set_xattr(f.tree, "opaque", "trusted.overlay.opaque", "y");
    set_xattr(f.tree, "setuid", "user.note", "kept");
    assert_int_equal(fchownat(f.tree, "pipe", 12345, 54321, AT_SYMLINK_NOFOLLOW), 0);

    digest_of(&f, source);
    import(&f, digest);
    assert_string_equal(source, digest);
    layer = layer_open(f.store, digest, NULL);
    assert_int_equal(fstatat(layer, "null", &a, 0), 0);
    assert_int_equal(a.st_rdev, makedev(1, 3));
    assert_int_equal(fstatat(layer, "gone", &a, 0), 0);
    assert_true(S_ISCHR(a.st_mode) && a.st_rdev == 0);
    assert_int_equal(fstatat(layer, "setuid", &a, 0), 0);
    assert_int_equal(fstatat(layer, "hard", &b, 0), 0);
    assert_int_equal(a.st_mode, S_IFREG | 04755);
    assert_int_equal(a.st_ino, b.st_ino);
    assert_int_equal(readlinkat(layer, "out", target, sizeof(target) - 1), 22);
    assert_string_equal(target, "../../../../etc/shadow");
    assert_int_equal(fstatat(layer, "pipe", &a, 0), 0);
    assert_int_equal(a.st_uid, 12345);
    assert_int_equal(fstatat(layer, "two\nlines\x1b[31m", &a, 0), 0);
    assert_int_equal(fstatat(layer, "shut", &a, 0), 0);
    assert_int_equal(a.st_mode & 07777, 0);
}

TEST(only_the_owner_reaches_the_layers)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    struct stat st;

    assert_int_equal(fstatat(store_fd(f.store), "layers", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

TEST(an_opaque_directory_is_so_for_every_reader)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_close_ int layer = -EBADF, dir = -EBADF;
    char a[DIGEST_SIZE], b[DIGEST_SIZE], plain[DIGEST_SIZE], proc[FD_PATH_MAX], value[4];

    need_root();
    assert_int_equal(mkdirat(f.tree, "dir", 0755), 0);
    digest_of(&f, plain);
    set_xattr(f.tree, "dir", "user.overlay.opaque", "y");
    set_xattr(f.tree, "dir", "user.overlay.origin", "whatever it was");
    digest_of(&f, a);
    assert_string_not_equal(a, plain);
    import(&f, b);
    assert_string_equal(a, b);
    layer = layer_open(f.store, b, NULL);
    dir = openat(layer, "dir", O_PATH | O_DIRECTORY | O_CLOEXEC);
    fd_path(dir, proc);
    assert_int_equal(getxattr(proc, "trusted.overlay.opaque", value, sizeof(value)), 1);
    assert_int_equal(getxattr(proc, "user.overlay.opaque", value, sizeof(value)), 1);
    assert_int_equal(getxattr(proc, "user.overlay.origin", value, sizeof(value)), -1);
}

TEST(what_means_something_only_elsewhere_is_refused)
{
    static const char *const names[] = {"user.overlay.redirect", "user.overlay.metacopy", "user.overlay.whiteout",
                                        "user.overlay.overlay.opaque"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_fixture_ Fixture f = fixture_make();
        char digest[DIGEST_SIZE] = "untouched", expected[200];
        Error e = {};

        put(f.tree, "file", "x", 0644);
        set_xattr(f.tree, "file", names[i], "y");
        snprintf(expected, sizeof(expected), "file: carries %s, which has a meaning only in the overlay it comes from",
                 names[i]);
        assert_int_equal(layer_import(f.store, f.tree, digest, &e), -EINVAL);
        assert_string_equal(e.text, expected);
        assert_string_equal(digest, "untouched");
        assert_int_equal(entries(store_fd(f.store), "layers/sha256"), 0);
        assert_int_equal(entries(store_fd(f.store), "tmp"), 0);
    }
}

TEST(sockets_are_left_out)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    char with[DIGEST_SIZE], without[DIGEST_SIZE];

    import(&f, without);
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/tree/socket", f.d.path);
    assert_int_equal(bind(fd, (struct sockaddr *) &sun, sizeof(sun)), 0);
    import(&f, with);
    assert_string_equal(with, without);
}

TEST(a_huge_hole_costs_nothing)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_close_ int fd = openat(f.tree, "huge", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), layer = -EBADF;
    char digest[DIGEST_SIZE], shifted[DIGEST_SIZE];
    struct stat st;

    assert_int_equal(pwrite(fd, "x", 1, (off_t) 1 << 40), 1);
    import(&f, digest);
    layer = layer_open(f.store, digest, NULL);
    assert_int_equal(fstatat(layer, "huge", &st, 0), 0);
    assert_int_equal(st.st_size, ((off_t) 1 << 40) + 1);
    assert_true(st.st_blocks < 64);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, "x", 1, ((off_t) 1 << 40) + 1), 1);
    digest_of(&f, shifted);
    assert_string_not_equal(digest, shifted);
}

TEST(zeros_and_holes_are_the_same_content)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_close_ int fd = openat(f.tree, "f", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    static const char zeros[3 * 65536 + 100];
    char hole[DIGEST_SIZE], written[DIGEST_SIZE];

    assert_int_equal(ftruncate(fd, sizeof(zeros)), 0);
    assert_int_equal(pwrite(fd, "end", 3, sizeof(zeros) - 3), 3);
    digest_of(&f, hole);
    assert_int_equal(pwrite(fd, zeros, sizeof(zeros) - 3, 0), (ssize_t) sizeof(zeros) - 3);
    digest_of(&f, written);
    assert_string_equal(hole, written);
}

TEST(deep_trees_fit_and_bottomless_ones_are_refused)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_close_ int at = dup(f.tree);
    char digest[DIGEST_SIZE];
    Error e = {};

    for (unsigned i = 1; i <= 300; i++) {
        int next;

        assert_int_equal(mkdirat(at, "d", 0755), 0);
        next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        fd_closep(&at);
        at = next;
        if (i == 200)
            import(&f, digest);
    }
    assert_int_equal(layer_import(f.store, f.tree, digest, &e), -ELOOP);
    assert_non_null(strstr(e.text, "more than 256 directories deep"));
    assert_int_equal(entries(store_fd(f.store), "tmp"), 0);
}

TEST(immutable_files_are_copied_without_the_mark)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_close_ int fd = -EBADF;
    char digest[DIGEST_SIZE];
    int flags = FS_IMMUTABLE_FL;

    put(f.tree, "rock", "x", 0644);
    fd = openat(f.tree, "rock", O_RDONLY | O_CLOEXEC);
    if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0)
        skip();
    {
        Error e = {};
        int r = layer_import(f.store, f.tree, digest, &e);

        flags = 0;
        assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
        assert_string_equal(e.text, "");
        assert_int_equal(r, 0);
    }
}

TEST(every_attribute_counts_but_times)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    char a[DIGEST_SIZE], b[DIGEST_SIZE];

    put(f.tree, "f", "x", 0644);
    digest_of(&f, a);
    assert_int_equal(utimensat(f.tree, "f", times, 0), 0);
    digest_of(&f, b);
    assert_string_equal(a, b);
    assert_int_equal(fchmodat(f.tree, "f", 0645, 0), 0);
    digest_of(&f, b);
    assert_string_not_equal(a, b);
    assert_int_equal(fchmodat(f.tree, "f", 0644, 0), 0);
    set_xattr(f.tree, "f", "user.a", "1");
    digest_of(&f, b);
    assert_string_not_equal(a, b);
}

TEST(hard_links_are_not_copies)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    char linked[DIGEST_SIZE], copied[DIGEST_SIZE];

    put(f.tree, "a", "x", 0644);
    assert_int_equal(linkat(f.tree, "a", f.tree, "b", 0), 0);
    digest_of(&f, linked);
    assert_int_equal(unlinkat(f.tree, "b", 0), 0);
    put(f.tree, "b", "x", 0644);
    digest_of(&f, copied);
    assert_string_not_equal(linked, copied);
}

TEST(a_changed_layer_is_found_out)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_close_ int layer = -EBADF, fd = -EBADF;
    char digest[DIGEST_SIZE];
    Error e = {};

    put(f.tree, "f", "x", 0644);
    import(&f, digest);
    layer = layer_open(f.store, digest, NULL);
    fd = openat(layer, "f", O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "y", 1, 0), 1);
    assert_int_equal(layer_verify(f.store, digest, &e), -EUCLEAN);
    assert_non_null(strstr(e.text, digest));
    assert_int_equal(layer_verify(f.store, "../../etc", &e), -EINVAL);
    assert_int_equal(layer_open(f.store, "0000000000000000000000000000000000000000000000000000000000000000", &e),
                     -ENOENT);
}

TEST(leftovers_are_swept_but_not_what_is_being_made)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_(store_freep) Store *other = NULL;
    LayerDraft draft;

    assert_int_equal(layer_draft(f.store, &draft, NULL), 0);
    assert_int_equal(mkdirat_p(store_fd(f.store), "tmp/layer-0000000000000000/half", 0755), 0);
    assert_int_equal(entries(store_fd(f.store), "tmp"), 2);
    assert_int_equal(store_open(store_path(f.store), &other, NULL), 0);
    assert_int_equal(entries(store_fd(f.store), "tmp"), 1);
    layer_draft_drop(f.store, &draft);
    assert_int_equal(draft.fd, -EBADF);
    assert_int_equal(entries(store_fd(f.store), "tmp"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(the_same_content_is_stored_once),
        UNIT(hostile_entries_survive_as_they_are),
        UNIT(only_the_owner_reaches_the_layers),
        UNIT(an_opaque_directory_is_so_for_every_reader),
        UNIT(what_means_something_only_elsewhere_is_refused),
        UNIT(sockets_are_left_out),
        UNIT(a_huge_hole_costs_nothing),
        UNIT(zeros_and_holes_are_the_same_content),
        UNIT(deep_trees_fit_and_bottomless_ones_are_refused),
        UNIT(immutable_files_are_copied_without_the_mark),
        UNIT(every_attribute_counts_but_times),
        UNIT(hard_links_are_not_copies),
        UNIT(a_changed_layer_is_found_out),
        UNIT(leftovers_are_swept_but_not_what_is_being_made),
    };

    return RUN_TESTS(tests);
}
