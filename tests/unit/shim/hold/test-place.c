/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "runtime/base/strbuf.h"
#include "shim/hold/place.h"
#include "tests/unit/test.h"

/* links/, and two epochs */
typedef struct Dirs {
    TestDirectory top;
    int links, a, b;
} Dirs;

static int subdirectory(int top, const char *name)
{
    int fd;

    assert_int_equal(mkdirat(top, name, 0700), 0);
    fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static Dirs make(void)
{
    Dirs d = {.top = test_directory_make()};

    d.links = subdirectory(d.top.fd, "links");
    d.a = subdirectory(d.top.fd, "a");
    d.b = subdirectory(d.top.fd, "b");
    assert_int_equal(mkdirat(d.a, "run", 0700), 0);
    assert_int_equal(mkdirat(d.b, "run", 0700), 0);
    return d;
}

static void done(Dirs *d)
{
    close(d->links);
    close(d->a);
    close(d->b);
    test_directory_remove(&d->top);
}

static int listener(const Dirs *d, const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", d->top.path, path);
    assert_int_equal(bind(fd, (struct sockaddr *) &un, sizeof(un)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static int reach(const Dirs *d, const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", d->top.path, path);
    return connect(fd, (struct sockaddr *) &un, sizeof(un)) < 0 ? -errno : 0;
}

TEST(a_socket_is_found_in_another_epoch_and_after_its_path_was_removed)
{
    Dirs d = make();
    _cleanup_close_ int fd = listener(&d, "a/run/s"), other = -EBADF;
    struct stat st;

    assert_int_equal(place_keep(d.links, 3, d.a, "run/s"), 0);
    assert_int_equal(place_restore(d.links, 3, d.a, "run/s"), 0);
    assert_int_equal(place_restore(d.links, 3, d.b, "run/s"), 0);
    assert_int_equal(reach(&d, "b/run/s"), 0);
    assert_int_equal(unlinkat(d.b, "run/s", 0), 0);
    assert_int_equal(place_bind(d.links, 3, d.b, "run/s", 0640), 0);
    assert_int_equal(fstatat(d.b, "run/s", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(place_bind(d.links, 3, d.b, "run/s", 0600), 0); /* it is there */
    /* What is left of a socket of somebody else's makes room when an epoch begins, not for a bind. */
    assert_int_equal(unlinkat(d.b, "run/s", 0), 0);
    other = listener(&d, "b/run/s");
    assert_int_equal(place_bind(d.links, 3, d.b, "run/s", 0600), -EEXIST);
    assert_int_equal(place_restore(d.links, 3, d.b, "run/s"), 0);
    assert_int_equal(place_bind(d.links, 3, d.b, "run/s", 0600), 0);
    place_forget(d.links, 3);
    assert_int_equal(place_bind(d.links, 3, d.b, "run/t", 0600), -ENOENT);
    done(&d);
}

TEST(nothing_but_a_socket_below_the_epoch_is_touched)
{
    Dirs d = make();
    _cleanup_close_ int fd = listener(&d, "a/s"), outside = listener(&d, "outside"), file = -EBADF;

    assert_int_equal(place_keep(d.links, 0, d.a, "s"), 0);
    assert_int_equal(place_keep(d.links, 1, d.a, "../outside"), -EXDEV);
    assert_int_equal(place_keep(d.links, 1, d.a, "missing"), -ENOENT);
    assert_int_equal(place_keep(d.links, 1, d.a, "run/.."), -EINVAL);
    assert_int_equal(place_keep(d.links, 1, d.a, "run"), -ENOTSOCK);
    file = openat(d.b, "s", O_CREAT | O_RDONLY | O_CLOEXEC, 0600);
    assert_int_equal(place_keep(d.links, 1, d.b, "s"), -ENOTSOCK);
    assert_int_equal(place_restore(d.links, 0, d.b, "s"), -ENOTSOCK);
    assert_int_equal(place_bind(d.links, 0, d.b, "s", 0600), -ENOTSOCK);
    assert_int_equal(unlinkat(d.b, "s", 0), 0);
    assert_int_equal(symlinkat("../outside", d.b, "s"), 0);
    assert_int_equal(place_keep(d.links, 1, d.b, "s"), -ENOTSOCK);
    assert_int_equal(place_restore(d.links, 0, d.b, "s"), -ENOTSOCK);
    assert_int_equal(unlinkat(d.b, "run", AT_REMOVEDIR), 0);
    assert_int_equal(symlinkat("..", d.b, "run"), 0);
    assert_int_equal(place_keep(d.links, 1, d.b, "run/outside"), -EXDEV);
    assert_int_equal(place_restore(d.links, 0, d.b, "run/outside"), -EXDEV);
    assert_int_equal(faccessat(d.links, "1", F_OK, AT_SYMLINK_NOFOLLOW), -1);
    assert_int_equal(reach(&d, "outside"), 0);
    done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_socket_is_found_in_another_epoch_and_after_its_path_was_removed),
        UNIT(nothing_but_a_socket_below_the_epoch_is_touched),
    };

    return RUN_TESTS(tests);
}
