/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "runtime/base/file.h"
#include "runtime/box/mounts.h"
#include "runtime/store/internal.h"
#include "tests/unit/test.h"

static void put(int dirfd, const char *path, const char *text)
{
    _cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static bool shows(int dirfd, const char *path, const char *text)
{
    _cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
    char buf[64] = "";

    return fd >= 0 && fd_read_full(fd, buf, sizeof(buf) - 1) >= 0 && streq(buf, text);
}

static int layer(int dirfd, const char *name)
{
    int fd;

    assert_int_equal(mkdirat(dirfd, name, 0755), 0);
    fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

typedef struct Stack {
    TestDirectory d;
    int lowers[2]; /* topmost first */
} Stack;

/* base: a, b, dir/old; top: a changed, b gone, dir made anew with "new" only */
static Stack stack_make(void)
{
    Stack s = {.d = test_directory_make()};
    _cleanup_close_ int dir = -EBADF;
    char path[FD_PATH_MAX];

    s.lowers[1] = layer(s.d.fd, "base");
    s.lowers[0] = layer(s.d.fd, "top");
    put(s.lowers[1], "a", "base");
    put(s.lowers[1], "b", "base");
    assert_int_equal(mkdirat(s.lowers[1], "dir", 0755), 0);
    put(s.lowers[1], "dir/old", "base");
    put(s.lowers[0], "a", "top");
    assert_int_equal(mknodat(s.lowers[0], "b", S_IFCHR, 0), 0);
    assert_int_equal(mkdirat(s.lowers[0], "dir", 0755), 0);
    put(s.lowers[0], "dir/new", "top");
    dir = openat(s.lowers[0], "dir", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(setxattr(fd_path(dir, path), "user.overlay.opaque", "y", 1, 0), 0);
    assert_int_equal(fchmodat(s.d.fd, "top", 0750, 0), 0);
    return s;
}

static void stack_remove(Stack *s)
{
    close(s->lowers[0]);
    close(s->lowers[1]);
    test_directory_remove(&s->d);
}

static void check_merged(int root)
{
    struct stat st;

    assert_true(shows(root, "a", "top"));
    assert_int_equal(faccessat(root, "b", F_OK, 0), -1);
    assert_true(shows(root, "dir/new", "top"));
    assert_int_equal(faccessat(root, "dir/old", F_OK, 0), -1);
    assert_int_equal(fstat(root, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
}

TEST(every_way_shows_the_same_tree)
{
    _cleanup_(stack_remove) Stack s = stack_make();
    SnapshotUpper upper = {.tmpfs_size = 1 << 20};

    for (SnapshotWay way = 0; way < _SNAPSHOT_WAY_MAX; way++) {
        _cleanup_close_ int root = -EBADF, upper_fd = -EBADF;
        Error e = {};

        root = snapshot_mount_way(way, s.lowers, 2, &upper, &upper_fd, &e);
        assert_string_equal(e.text, "");
        assert_true(root >= 0);
        check_merged(root);
        put(root, "written", "x");
        assert_true(shows(upper_fd, "written", "x"));
        assert_int_equal(faccessat(s.lowers[0], "written", F_OK, 0), -1);
        /* a directory of a layer can be replaced as a whole, which needs the attribute for opaque ones */
        assert_int_equal(rm_rf_at(root, "dir"), 0);
        assert_int_equal(mkdirat(root, "dir", 0755), 0);
        assert_int_equal(faccessat(root, "dir/new", F_OK, 0), -1);
    }
}

TEST(an_upper_directory_stays)
{
    _cleanup_(stack_remove) Stack s = stack_make();

    for (SnapshotWay way = 0; way < _SNAPSHOT_WAY_MAX; way++) {
        _cleanup_close_ int dir = layer(s.d.fd, "kept"), root = -EBADF;
        SnapshotUpper upper = {.dir_fd = dir};
        Error e = {};

        root = snapshot_mount_way(way, s.lowers, 2, &upper, NULL, &e);
        assert_string_equal(e.text, "");
        put(root, "written", "x");
        fd_closep(&root);
        assert_true(shows(dir, "upper/written", "x"));
        root = snapshot_mount_way(way, s.lowers, 2, &upper, NULL, &e);
        assert_true(shows(root, "written", "x"));
        fd_closep(&root);
        assert_int_equal(rm_rf_at(s.d.fd, "kept"), 0);
    }
}

TEST(without_an_upper_nothing_can_be_written)
{
    _cleanup_(stack_remove) Stack s = stack_make();

    for (SnapshotWay way = 0; way < _SNAPSHOT_WAY_MAX; way++) {
        _cleanup_close_ int two = -EBADF, one = -EBADF;

        two = snapshot_mount_way(way, s.lowers, 2, NULL, NULL, NULL);
        assert_true(two >= 0);
        check_merged(two);
        assert_int_equal(mkdirat(two, "x", 0755), -1);
        assert_int_equal(errno, EROFS);
        one = snapshot_mount_way(way, s.lowers + 1, 1, NULL, NULL, NULL);
        assert_true(one >= 0);
        assert_true(shows(one, "a", "base"));
        assert_int_equal(mkdirat(one, "x", 0755), -1);
        assert_int_equal(errno, EROFS);
    }
}

TEST(the_upper_is_as_small_as_asked_for)
{
    _cleanup_(stack_remove) Stack s = stack_make();
    SnapshotUpper upper = {.tmpfs_size = 1 << 16};
    _cleanup_close_ int root = snapshot_mount(s.lowers, 2, &upper, NULL, NULL), fd = -EBADF;
    static const char block[1 << 17];

    assert_true(root >= 0);
    fd = openat(root, "big", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_int_equal(fd_write_all(fd, block, sizeof(block)), -ENOSPC);
}

TEST(more_layers_than_an_option_has_room_for)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    int lowers[100];

    for (int i = 0; i < 100; i++) {
        char name[80];

        snprintf(name, sizeof(name), "layer-with-a-name-as-long-as-that-of-a-digest-0123456789abcdef-%03d", i);
        lowers[i] = layer(d.fd, name);
        put(lowers[i], name, "x");
    }
    for (SnapshotWay way = 0; way < _SNAPSHOT_WAY_MAX; way++) {
        _cleanup_close_ int root = snapshot_mount_way(way, lowers, 100, NULL, NULL, NULL);

        assert_true(root >= 0);
        assert_true(shows(root, "layer-with-a-name-as-long-as-that-of-a-digest-0123456789abcdef-099", "x"));
    }
    for (int i = 0; i < 100; i++)
        close(lowers[i]);
}

static int map_one_id(const char *path, const char *map)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd < 0 ? -errno : fd_write_all(fd, map, strlen(map));
}

/* What a box's child does: new user and mount namespace, and layers that were opened outside. */
static int enter_namespaces(void)
{
    char uids[32], gids[32];

    snprintf(uids, sizeof(uids), "0 %u 1", geteuid());
    snprintf(gids, sizeof(gids), "0 %u 1", getegid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return -errno;
    return map_one_id("/proc/self/setgroups", "deny") < 0 || map_one_id("/proc/self/uid_map", uids) < 0 ||
                   map_one_id("/proc/self/gid_map", gids) < 0
               ? -EPERM
               : 0;
}

static int in_namespaces(const Stack *s)
{
    SnapshotUpper upper = {.tmpfs_size = 1 << 20};
    int root, up;
    Error e = {};

    if (enter_namespaces() < 0)
        return 77;
    root = snapshot_mount(s->lowers, 2, &upper, &up, &e);
    if (root < 0) {
        print_message("# %s\n", e.text);
        return 1;
    }
    return shows(root, "a", "top") && faccessat(root, "b", F_OK, 0) < 0 && faccessat(root, "dir/old", F_OK, 0) < 0 ? 0
                                                                                                                   : 2;
}

TEST(works_in_a_fresh_user_and_mount_namespace)
{
    _cleanup_(stack_remove) Stack s = stack_make();
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(in_namespaces(&s));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

TEST(redirects_of_a_layer_are_not_followed)
{
    _cleanup_(stack_remove) Stack s = stack_make();
    SnapshotUpper upper = {.tmpfs_size = 1 << 20};
    _cleanup_close_ int root = -EBADF, dir = -EBADF;
    char path[FD_PATH_MAX];

    assert_int_equal(mkdirat(s.lowers[1], "secret", 0700), 0);
    put(s.lowers[1], "secret/key", "k");
    assert_int_equal(mkdirat(s.lowers[0], "open", 0755), 0);
    dir = openat(s.lowers[0], "open", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(setxattr(fd_path(dir, path), "user.overlay.redirect", "/secret", 7, 0), 0);
    root = snapshot_mount(s.lowers, 2, &upper, NULL, NULL);
    assert_true(root >= 0);
    assert_int_equal(faccessat(root, "open/key", F_OK, 0), -1);
}

TEST(a_failure_names_what_failed)
{
    Error e = {};

    assert_int_equal(snapshot_mount_read_only(NULL, 0, &e), -EINVAL);
    assert_string_equal(e.text, "an overlay of 0 layers: must be from 1 to 128");
}

static unsigned mounts(void)
{
    _cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *text = NULL;
    unsigned n = 0;

    assert_int_equal(file_read_fd(fd, 4 << 20, &text, NULL), 0);
    for (const char *p = text; (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

/* As systemd makes "/" shared: what is mounted on a copy of one of its mounts would appear on all of them. */
static int mount_where_mounts_are_shared(const Stack *s, SnapshotWay way)
{
    SnapshotUpper upper = {.tmpfs_size = 1 << 20};
    int lowers[2], root;
    unsigned before;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) < 0)
        return 77;
    before = mounts();
    for (size_t i = 0; i < ARRAY_SIZE(lowers); i++) {
        _cleanup_close_ int fd = -EBADF;
        char path[96];

        snprintf(path, sizeof(path), "%s/%s", s->d.path, i == 0 ? "top" : "base"); /* of this mount namespace */
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        lowers[i] = mount_clone(fd, NULL);
        if (lowers[i] < 0)
            return 1;
    }
    root = snapshot_mount_way(way, lowers, 2, &upper, NULL, NULL);
    return root < 0 ? 2 : mounts() != before ? 3 : shows(root, "a", "top") ? 0 : 4;
}

TEST(layers_on_mounts_of_their_own_cover_nothing_where_mounts_are_shared)
{
    _cleanup_(stack_remove) Stack s = stack_make();

    for (SnapshotWay way = SNAPSHOT_PRIVATE; way < _SNAPSHOT_WAY_MAX; way++) {
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0)
            _exit(mount_where_mounts_are_shared(&s, way));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
            skip(); /* not root */
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(layers_on_mounts_of_their_own_cover_nothing_where_mounts_are_shared),
        UNIT(every_way_shows_the_same_tree),
        UNIT(an_upper_directory_stays),
        UNIT(without_an_upper_nothing_can_be_written),
        UNIT(the_upper_is_as_small_as_asked_for),
        UNIT(more_layers_than_an_option_has_room_for),
        UNIT(works_in_a_fresh_user_and_mount_namespace),
        UNIT(redirects_of_a_layer_are_not_followed),
        UNIT(a_failure_names_what_failed),
    };

    if (geteuid() != 0 && enter_namespaces() < 0) {
        print_message("1..0 # SKIP no user namespaces here\n");
        return 0;
    }
    return RUN_TESTS(tests);
}
