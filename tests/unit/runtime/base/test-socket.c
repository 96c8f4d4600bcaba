/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/socket.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "tests/unit/test.h"

TEST(a_packet_carries_data_and_a_descriptor)
{
    char buf[16];
    int s[2], p[2], got = -1;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
    assert_int_equal(pipe(p), 0);
    assert_int_equal(socket_send_fd(s[0], "hello", 5, p[1]), 0);
    assert_int_equal(socket_receive_fd(s[1], buf, sizeof(buf), &got), 5);
    assert_memory_equal(buf, "hello", 5);
    assert_int_equal(write(got, "x", 1), 1);
    assert_int_equal(read(p[0], buf, 1), 1);
    close(got);
    assert_int_equal(socket_send_fd(s[0], "no fd", 5, -1), 0);
    assert_int_equal(socket_receive_fd(s[1], buf, sizeof(buf), &got), 5);
    assert_int_equal(got, -EBADF);
    assert_int_equal(socket_send_fd(s[0], "far too long for it", 19, p[1]), 0);
    assert_int_equal(socket_receive_fd(s[1], buf, sizeof(buf), &got), -EMSGSIZE);
    close(s[0]);
    assert_int_equal(socket_receive_fd(s[1], buf, sizeof(buf), &got), 0);
    close(s[1]);
    close(p[0]);
    close(p[1]);
}

TEST(a_listener_in_a_deep_directory_is_reached)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_close_ int deep = -EBADF, l = -EBADF, c = -EBADF, a = -EBADF;
    char path[1001];
    uid_t uid;

    for (size_t i = 0; i < 1000; i++)
        path[i] = i % 100 == 99 ? '/' : 'd';
    path[1000] = '\0';
    assert_int_equal(mkdirat_p(d.fd, path, 0700), 0);
    deep = openat_beneath(d.fd, path, O_PATH | O_DIRECTORY, 0);
    assert_int_equal(socket_connect_at(deep, "s"), -ENOENT);
    l = socket_listen_at(deep, "s");
    assert_true(l >= 0);
    c = socket_connect_at(deep, "s");
    assert_true(c >= 0);
    a = accept(l, NULL, NULL);
    assert_int_equal(socket_peer_uid(a, &uid), 0);
    assert_int_equal(uid, geteuid());
}

TEST(a_stream_listener_is_reached_by_a_path_of_any_length)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    _cleanup_close_ int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), c = -EBADF;
    char path[300];

    snprintf(path, sizeof(path), "%s/%0150d/../s", d.path, 0);
    assert_int_equal(socket_connect_stream(path), -ENOENT);
    snprintf(path, sizeof(path), "%0150d", 0);
    assert_int_equal(mkdirat(d.fd, path, 0700), 0);
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/s", d.path);
    assert_int_equal(bind(l, (struct sockaddr *) &sa, sizeof(sa)), 0);
    assert_int_equal(socket_connect_stream(sa.sun_path), -ECONNREFUSED);
    assert_int_equal(listen(l, 1), 0);
    snprintf(path, sizeof(path), "%s/%0150d/../s", d.path, 0);
    c = socket_connect_stream(path);
    assert_true(c >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_packet_carries_data_and_a_descriptor),
        UNIT(a_listener_in_a_deep_directory_is_reached),
        UNIT(a_stream_listener_is_reached_by_a_path_of_any_length),
    };

    return RUN_TESTS(tests);
}
