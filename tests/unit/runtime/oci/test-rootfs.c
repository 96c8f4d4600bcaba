/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/rootfs.h"

#include <seccomp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runtime/base/fd.h"
#include "tests/unit/test.h"

/* /tmp/moss-test-X/{root,outside} */
typedef struct World {
    char dir[32];
    int top, root;
} World;

static int set_up(void **state)
{
    World *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    memcpy(w->dir, "/tmp/moss-test-XXXXXX", sizeof("/tmp/moss-test-XXXXXX"));
    assert_non_null(mkdtemp(w->dir));
    w->top = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat_p(w->top, "root/dir", 0755), 0);
    assert_int_equal(mkdirat_p(w->top, "outside", 0755), 0);
    w->root = openat(w->top, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(w->root >= 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    World *w = *state;

    rm_rf_at(AT_FDCWD, w->dir);
    close(w->root);
    close(w->top);
    free(w);
    return 0;
}

static int make(const World *w, const char *path, RootfsKind kind)
{
    int fd = rootfs_open(w->root, path, kind);

    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

static bool exists(const World *w, const char *path)
{
    return faccessat(w->top, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void check(const World *w)
{
    char target[64];

    assert_int_equal(make(w, "/dir", ROOTFS_EXISTING), 0);
    assert_int_equal(make(w, "/none", ROOTFS_EXISTING), -ENOENT);
    assert_int_equal(make(w, "/a/b/c", ROOTFS_DIRECTORY), 0);
    assert_int_equal(make(w, "//a/./b//file", ROOTFS_FILE), 0);
    assert_true(exists(w, "root/a/b/file"));
    assert_int_equal(make(w, "/a/b/file", ROOTFS_DIRECTORY), -ENOTDIR);
    assert_int_equal(make(w, "/a/b", ROOTFS_FILE), -EISDIR);
    assert_int_equal(make(w, "/a/b/file/x", ROOTFS_DIRECTORY), -ENOTDIR);
    /* ".." stays inside */
    assert_int_equal(make(w, "/../../up", ROOTFS_DIRECTORY), 0);
    assert_true(exists(w, "root/up"));
    /* absolute and relative symlinks to what lies outside, dangling or not */
    snprintf(target, sizeof(target), "%s/outside", w->dir);
    assert_int_equal(symlinkat(target, w->root, "absolute"), 0);
    assert_int_equal(symlinkat("../outside", w->root, "relative"), 0);
    assert_int_equal(symlinkat("/made", w->root, "dangling"), 0);
    assert_int_equal(symlinkat("loop", w->root, "loop"), 0);
    assert_int_equal(make(w, "/absolute/x", ROOTFS_FILE), 0);
    assert_int_equal(make(w, "/relative/x", ROOTFS_FILE), 0);
    assert_int_equal(make(w, "/dangling", ROOTFS_FILE), 0);
    assert_int_equal(make(w, "/loop", ROOTFS_FILE), -ELOOP);
    assert_true(exists(w, "root/made"));
    assert_true(exists(w, "root/outside/x"));
    assert_false(exists(w, "outside/x"));
    assert_int_equal(rootfs_open_plain_directory(w->root, "/absolute"), -ELOOP);
    assert_int_equal(rootfs_open_plain_directory(w->root, "/dangling/x"), -ELOOP);
}

TEST(nothing_leaves_the_root)
{
    check(*state);
}

/* In a process of its own, as the filter stays. */
TEST(nothing_leaves_the_root_without_openat2)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

        if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0) < 0 || seccomp_load(filter) < 0)
            _exit(2);
        check(*state);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

TEST(magic_links_lead_nowhere)
{
    _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = rootfs_open(root, "/proc/self/root/etc", ROOTFS_EXISTING);

    assert_int_equal(fd, -ELOOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_leaves_the_root, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_leaves_the_root_without_openat2, set_up, tear_down),
        UNIT(magic_links_lead_nowhere),
    };

    return RUN_TESTS(tests);
}
