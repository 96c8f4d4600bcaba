/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "shim/hold/hold.h"
#include "tests/unit/test.h"

/* What the hooks were told: the tags that are held. */
static bool told[HOLD_MAX];

static int allow(void *userdata)
{
    (void) userdata;
    return 0;
}

static void note(unsigned tag, int fd, void *userdata)
{
    (void) userdata;
    told[tag] = fd >= 0;
}

static Hold *make(void)
{
    const HoldHooks hooks = {.handing = allow, .held = note};
    Hold *h = NULL;

    memset(told, 0, sizeof(told));
    assert_int_equal(hold_new(&hooks, &h), 0);
    hold_begin(h);
    return h;
}

/* A listener at this port of the loopback, 0 for any; *ret_port is which. */
static int listener(in_port_t port, in_port_t *ret_port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &in, sizeof(in)), 0);
    assert_int_equal(listen(fd, 3), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &in, &len), 0);
    *ret_port = in.sin_port;
    return fd;
}

static HoldAddress at(in_port_t port)
{
    HoldAddress a = {.len = sizeof(struct sockaddr_in), .type = SOCK_STREAM};
    struct sockaddr_in *in = (void *) &a.sa;

    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return a;
}

/* The kernel tells it of a listener in the field for something else. */
static unsigned backlog(int fd)
{
    struct tcp_info info = {};
    socklen_t len = sizeof(info);

    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    return info.tcpi_sacked;
}

static size_t count(const Hold *h)
{
    json_t *list = hold_to_json(h);
    size_t n = json_array_size(list);

    json_decref(list);
    return n;
}

TEST(while_nobody_accepts_queues_are_as_long_as_the_host_allows)
{
    Hold *h = make();
    in_port_t port;
    int fd = listener(0, &port);

    assert_int_equal(hold_add(h, fd), 0);
    assert_int_equal(backlog(fd), 3);
    hold_wait(h);
    assert_true(backlog(fd) > 3);
    hold_free(h);
}

TEST(a_unix_socket_keeps_saying_who_listens)
{
    Hold *h = make();
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct ucred before, after;
    socklen_t len = sizeof(un), size = sizeof(before);
    pid_t child;

    assert_int_equal(bind(fd, (struct sockaddr *) &un, sizeof(sa_family_t)), 0); /* a name of the kernel's */
    assert_int_equal(getsockname(fd, (struct sockaddr *) &un, &len), 0);
    child = fork();
    if (child == 0)
        _exit(listen(fd, 5) < 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &before, &size), 0);
    assert_int_equal(hold_add(h, fd), 0);
    hold_wait(h);
    assert_int_equal(connect(client, (struct sockaddr *) &un, len), 0);
    assert_int_equal(getsockopt(client, SOL_SOCKET, SO_PEERCRED, &after, &size), 0);
    assert_int_equal(after.pid, before.pid);
    close(client);
    hold_free(h);
}

TEST(what_is_claimed_stays_and_the_rest_goes_when_the_swap_is_committed)
{
    Hold *h = make();
    in_port_t a, b;
    HoldAddress first, second;

    assert_int_equal(hold_add(h, listener(0, &a)), 0);
    assert_int_equal(hold_add(h, listener(0, &b)), 0);
    first = at(a);
    second = at(b);
    assert_true(told[0] && told[1]);
    assert_int_equal(hold_claim(h, &first), -ENOENT); /* the incarnation has it */
    hold_begin(h);
    assert_true(hold_claim(h, &second) >= 0);
    hold_prune(h, true);
    assert_false(told[0]);
    assert_true(told[1]);
    assert_int_equal(count(h), 1);
    hold_clear(h);
    assert_false(told[1]);
    hold_free(h);
}

TEST(what_a_candidate_has_added_goes_with_it)
{
    Hold *h = make();
    in_port_t a, b;
    HoldAddress first;

    assert_int_equal(hold_add(h, listener(0, &a)), 0);
    hold_prune(h, true); /* it has come to stay */
    hold_begin(h);       /* the candidate, which has no use for it */
    assert_int_equal(hold_add(h, listener(0, &b)), 0);
    hold_begin(h); /* the old generation again, which binds late */
    hold_prune(h, false);
    first = at(a);
    assert_int_equal(count(h), 1);
    assert_true(hold_claim(h, &first) >= 0);
    hold_free(h);
}

TEST(the_rest_of_a_group_goes_once_the_incarnation_is_ready)
{
    Hold *h = make();
    in_port_t port, other;
    HoldAddress a;

    assert_int_equal(hold_add(h, listener(0, &port)), 0);
    assert_int_equal(hold_add(h, listener(port, &other)), 0);
    assert_int_equal(hold_add(h, listener(0, &other)), 0);
    hold_begin(h);
    a = at(port);
    hold_ready(h);
    assert_int_equal(count(h), 3); /* nobody has asked for any of it yet */
    assert_true(hold_claim(h, &a) >= 0);
    hold_ready(h);
    assert_true(told[0] && !told[1] && told[2]);
    hold_free(h);
}

TEST(an_incarnation_that_runs_under_a_new_shim_has_what_it_has_open)
{
    HoldPending pending = {};
    Hold *h = make();
    in_port_t port;

    hold_adopt(h, 7, listener(0, &port));
    hold_resume(h, -EBADF, -EBADF, &pending); /* a cgroup that cannot be read: taken for in use */
    hold_prune(h, true);
    assert_int_equal(count(h), 1);
    hold_adopt(h, HOLD_MAX, listener(0, &port));
    hold_adopt(h, 8, open("/dev/null", O_RDONLY | O_CLOEXEC));
    assert_int_equal(count(h), 1);
    hold_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(while_nobody_accepts_queues_are_as_long_as_the_host_allows),
        UNIT(a_unix_socket_keeps_saying_who_listens),
        UNIT(what_is_claimed_stays_and_the_rest_goes_when_the_swap_is_committed),
        UNIT(what_a_candidate_has_added_goes_with_it),
        UNIT(the_rest_of_a_group_goes_once_the_incarnation_is_ready),
        UNIT(an_incarnation_that_runs_under_a_new_shim_has_what_it_has_open),
    };

    return RUN_TESTS(tests);
}
