/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/dbus.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "runtime/base/clock.h"
#include "runtime/base/process.h"
#include "tests/unit/test.h"

#define SOON (clock_now() + 10 * USEC_PER_SEC)

/* JobRemoved(89, "/org/freedesktop/systemd1/job/89", "moss-s2.scope", "done") as systemd 252 has put it on the wire of its own socket. */
static const unsigned char recorded[] = {
    'l', 4,   1,   1,   'I', 0,   0,   0,   9,   0,   0,   0,   162, 0,   0,   0,   1,   1,   'o', 0,   25,  0,
    0,   0,   '/', 'o', 'r', 'g', '/', 'f', 'r', 'e', 'e', 'd', 'e', 's', 'k', 't', 'o', 'p', '/', 's', 'y', 's',
    't', 'e', 'm', 'd', '1', 0,   0,   0,   0,   0,   0,   0,   2,   1,   's', 0,   32,  0,   0,   0,   'o', 'r',
    'g', '.', 'f', 'r', 'e', 'e', 'd', 'e', 's', 'k', 't', 'o', 'p', '.', 's', 'y', 's', 't', 'e', 'm', 'd', '1',
    '.', 'M', 'a', 'n', 'a', 'g', 'e', 'r', 0,   0,   0,   0,   0,   0,   0,   0,   3,   1,   's', 0,   10,  0,
    0,   0,   'J', 'o', 'b', 'R', 'e', 'm', 'o', 'v', 'e', 'd', 0,   0,   0,   0,   0,   0,   7,   1,   's', 0,
    24,  0,   0,   0,   'o', 'r', 'g', '.', 'f', 'r', 'e', 'e', 'd', 'e', 's', 'k', 't', 'o', 'p', '.', 's', 'y',
    's', 't', 'e', 'm', 'd', '1', 0,   0,   0,   0,   0,   0,   0,   0,   8,   1,   'g', 0,   4,   'u', 'o', 's',
    's', 0,   0,   0,   0,   0,   0,   0,   'Y', 0,   0,   0,   32,  0,   0,   0,   '/', 'o', 'r', 'g', '/', 'f',
    'r', 'e', 'e', 'd', 'e', 's', 'k', 't', 'o', 'p', '/', 's', 'y', 's', 't', 'e', 'm', 'd', '1', '/', 'j', 'o',
    'b', '/', '8', '9', 0,   0,   0,   0,   13,  0,   0,   0,   'm', 'o', 's', 's', '-', 's', '2', '.', 's', 'c',
    'o', 'p', 'e', 0,   0,   0,   4,   0,   0,   0,   'd', 'o', 'n', 'e', 0,
};

/* What bus_receive() makes of bytes that are followed by the end of the stream. */
static int receive(const void *bytes, size_t n, BusMessage *ret, Error *e)
{
    Bus bus = {.deadline = SOON};
    int pair[2], r;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    bus.fd = pair[0];
    assert_int_equal(write(pair[1], bytes, n), n);
    close(pair[1]);
    r = bus_receive(&bus, ret, e);
    bus_done(&bus);
    return r;
}

TEST(a_signal_of_systemd_is_understood)
{
    _cleanup_(bus_message_done) BusMessage m = {};
    const char *path, *unit, *result;
    uint32_t number;

    assert_int_equal(receive(recorded, sizeof(recorded), &m, NULL), 0);
    assert_int_equal(m.type, BUS_SIGNAL);
    assert_int_equal(m.serial, 9);
    assert_string_equal(m.path, "/org/freedesktop/systemd1");
    assert_string_equal(m.interface, "org.freedesktop.systemd1.Manager");
    assert_string_equal(m.member, "JobRemoved");
    assert_string_equal(m.sender, "org.freedesktop.systemd1");
    assert_string_equal(m.signature, "uoss");
    assert_int_equal(bus_get_u32(&m, &number), 0);
    assert_int_equal(number, 89);
    assert_int_equal(bus_get_string(&m, &path), 0);
    assert_string_equal(path, "/org/freedesktop/systemd1/job/89");
    assert_int_equal(bus_get_string(&m, &unit), 0);
    assert_string_equal(unit, "moss-s2.scope");
    assert_int_equal(bus_get_string(&m, &result), 0);
    assert_string_equal(result, "done");
    assert_int_equal(bus_get_u32(&m, &number), -EBADMSG); /* there is no more */
}

TEST(a_message_that_is_cut_off_is_the_end_of_the_stream)
{
    for (size_t n = 0; n < sizeof(recorded); n++) {
        BusMessage m = {};

        assert_int_equal(receive(recorded, n, &m, NULL), -ECONNRESET);
        assert_null(m.data);
    }
}

/* Every byte with every value: an error or a message, and nothing outside of it is read (the sanitizers look). */
TEST(a_message_with_any_byte_changed_does_no_harm)
{
    for (size_t i = 0; i < sizeof(recorded); i++)
        for (unsigned v = 0; v < 256; v += i < 16 || i % 8 == 0 ? 1 : 17) {
            _cleanup_(bus_message_done) BusMessage m = {};
            unsigned char bytes[sizeof(recorded)];
            const char *s;
            uint32_t n;

            memcpy(bytes, recorded, sizeof(bytes));
            bytes[i] = (unsigned char) v;
            if (receive(bytes, sizeof(bytes), &m, NULL) < 0)
                continue;
            while (bus_get_u32(&m, &n) >= 0 && bus_get_string(&m, &s) >= 0)
                assert_in_range(strlen(s), 0, sizeof(recorded));
        }
}

TEST(a_message_beyond_the_limit_is_refused_before_it_is_read)
{
    unsigned char bytes[16];
    BusMessage m = {};

    memcpy(bytes, recorded, sizeof(bytes));
    bytes[7] = 0x7f; /* length of the body */
    assert_int_equal(receive(bytes, sizeof(bytes), &m, NULL), -EMSGSIZE);
    memcpy(bytes, recorded, sizeof(bytes));
    bytes[15] = 0xff; /* length of the fields */
    assert_int_equal(receive(bytes, sizeof(bytes), &m, NULL), -EMSGSIZE);
    bytes[0] = 'B'; /* another machine's byte order */
    assert_int_equal(receive(bytes, sizeof(bytes), &m, NULL), -EBADMSG);
}

TEST(nothing_is_waited_for_beyond_the_deadline)
{
    Bus bus = {.deadline = clock_now()};
    BusMessage m = {};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    bus.fd = pair[0];
    assert_int_equal(write(pair[1], recorded, 20), 20);
    assert_int_equal(bus_receive(&bus, &m, NULL), -ETIMEDOUT);
    bus_done(&bus);
    close(pair[1]);
}

TEST(what_is_sent_is_what_is_received)
{
    _cleanup_(strbuf_done) StrBuf body = {};
    _cleanup_(bus_message_done) BusMessage got = {};
    BusMessage sent = {.type = BUS_CALL, .path = "/a/b", .interface = "c.d", .member = "E", .destination = "f.g"};
    Bus a = {.deadline = SOON}, b = {.deadline = SOON};
    const char *s;
    uint32_t n;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    a.fd = pair[0];
    b.fd = pair[1];
    bus_put_string(&body, "text");
    bus_put_u32(&body, 4711);
    sent.signature = "su";
    sent.body = body.data;
    sent.body_len = body.len;
    assert_int_equal(bus_send(&a, &sent, NULL), 0);
    assert_int_equal(bus_receive(&b, &got, NULL), 0);
    assert_int_equal(got.serial, sent.serial);
    assert_string_equal(got.path, "/a/b");
    assert_string_equal(got.destination, "f.g");
    assert_string_equal(got.signature, "su");
    assert_int_equal(bus_get_string(&got, &s), 0);
    assert_string_equal(s, "text");
    assert_int_equal(bus_get_u32(&got, &n), 0);
    assert_int_equal(n, 4711);
    bus_done(&a);
    bus_done(&b);
}

TEST(an_array_counts_its_elements_and_not_what_aligns_them)
{
    static const unsigned char want[] = {1, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0};
    _cleanup_(strbuf_done) StrBuf b = {};
    size_t start;

    bus_put_byte(&b, 1);
    start = bus_open_array(&b, 8); /* at 4, its element at 8 */
    bus_put_u64(&b, 9);
    bus_close_array(&b, start, 8);
    assert_int_equal(b.len, sizeof(want));
    assert_memory_equal(b.data, want, sizeof(want));
}

TEST(addresses_that_lead_nowhere_are_errors)
{
    static const char *const bad[] = {"", "tcp:host=x", "unix:path=/nowhere/at/all", "unix:path=%zz", ";;"};
    char long_one[300] = "unix:path=/";
    Bus bus;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        Error e = {};

        assert_true(bus_connect(bad[i], true, SOON, &bus, &e) < 0);
        assert_true(*e.text);
    }
    memset(long_one + strlen(long_one), 'x', 200);
    assert_int_equal(bus_connect(long_one, true, SOON, &bus, NULL), -ENAMETOOLONG);
}

/* ---- a real bus ---- */

typedef struct Daemon {
    pid_t pid;
    char address[300];
} Daemon;

static bool start_daemon(Daemon *ret)
{
    int out[2];
    ssize_t n;

    if (access("/usr/bin/dbus-daemon", X_OK) < 0)
        return false;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    ret->pid = fork();
    if (ret->pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        execl("/usr/bin/dbus-daemon", "dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1", NULL);
        _exit(127);
    }
    close(out[1]);
    n = read(out[0], ret->address, sizeof(ret->address) - 1); /* one line, written at once */
    close(out[0]);
    assert_true(n > 1);
    ret->address[n] = '\0';
    ret->address[strcspn(ret->address, "\n")] = '\0';
    return true;
}

static void own_name(Bus *bus, const char *name)
{
    static const BusCall call = {"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                                 "su"};
    _cleanup_(bus_message_done) BusMessage reply = {};
    _cleanup_(strbuf_done) StrBuf body = {};
    uint32_t result;

    bus_put_string(&body, name);
    bus_put_u32(&body, 0);
    assert_int_equal(bus_call(bus, &call, &body, &reply, NULL), 0);
    assert_int_equal(bus_get_u32(&reply, &result), 0);
    assert_int_equal(result, 1); /* it is ours */
}

/* Answers one call with its own body, another with an error. */
static _Noreturn void serve(const char *address, int ready)
{
    Bus bus = BUS_INIT;

    if (bus_connect(address, false, SOON, &bus, NULL) < 0)
        _exit(1);
    own_name(&bus, "test.Moss");
    if (write(ready, "r", 1) != 1)
        _exit(1);
    for (int calls = 0; calls < 2;) {
        _cleanup_(bus_message_done) BusMessage m = {};
        BusMessage reply = {.type = BUS_RETURN};

        if (bus_receive(&bus, &m, NULL) < 0)
            _exit(1);
        if (m.type != BUS_CALL)
            continue;
        reply.destination = m.sender;
        reply.reply_serial = m.serial;
        if (calls++ == 0) {
            reply.signature = m.signature;
            reply.body = m.body;
            reply.body_len = m.body_len;
        } else {
            reply.type = BUS_ERROR;
            reply.error = "test.Moss.No";
        }
        if (bus_send(&bus, &reply, NULL) < 0)
            _exit(1);
    }
    _exit(0);
}

TEST(calls_go_through_a_real_bus)
{
    static const BusCall call = {"test.Moss", "/x", "test.Moss", "Echo", "s"};
    _cleanup_(strbuf_done) StrBuf body = {};
    _cleanup_(bus_message_done) BusMessage reply = {}, refusal = {};
    Bus bus = BUS_INIT;
    Daemon d = {};
    const char *s;
    Error e = {};
    int ready[2], status;
    pid_t pid;
    char c;

    if (!start_daemon(&d))
        skip();
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0)
        serve(d.address, ready[1]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    assert_int_equal(bus_connect(d.address, false, SOON, &bus, &e), 0);
    bus_put_string(&body, "hello");
    assert_int_equal(bus_call(&bus, &call, &body, &reply, &e), 0);
    assert_int_equal(bus_get_string(&reply, &s), 0);
    assert_string_equal(s, "hello");
    assert_int_equal(bus_call(&bus, &call, &body, &refusal, &e), -EREMOTEIO);
    assert_string_equal(e.text, "Echo: refused (test.Moss.No)");
    bus_done(&bus);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    kill(d.pid, SIGTERM);
    assert_int_equal(waitpid(d.pid, &status, 0), d.pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_signal_of_systemd_is_understood),
        UNIT(a_message_that_is_cut_off_is_the_end_of_the_stream),
        UNIT(a_message_with_any_byte_changed_does_no_harm),
        UNIT(a_message_beyond_the_limit_is_refused_before_it_is_read),
        UNIT(nothing_is_waited_for_beyond_the_deadline),
        UNIT(what_is_sent_is_what_is_received),
        UNIT(an_array_counts_its_elements_and_not_what_aligns_them),
        UNIT(addresses_that_lead_nowhere_are_errors),
        UNIT(calls_go_through_a_real_bus),
    };

    return RUN_TESTS(tests);
}
