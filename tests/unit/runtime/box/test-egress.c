/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/box/egress.h"

#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "runtime/box/net.h"
#include "tests/unit/test.h"

#define OURS "10.213.9.1"
#define THEIRS "10.213.9.2"
#define PREFIX "/30"

/* Another network namespace, in a child that lives until it is killed, with a link to ours. */
typedef struct Neighbour {
    pid_t pid;
    int netns;
} Neighbour;

static Neighbour neighbour_make(void)
{
    char path[64], ready;
    Neighbour n;
    int p[2];

    assert_int_equal(pipe(p), 0);
    n.pid = fork();
    assert_true(n.pid >= 0);
    if (n.pid == 0) {
        /* A failed assertion leaves the test at once. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWNET) < 0 || net_loopback_up(NULL) < 0 || write(p[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(p[0], &ready, 1), 1);
    close(p[0]);
    close(p[1]);
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) n.pid);
    n.netns = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(n.netns >= 0);
    return n;
}

static void neighbour_end(Neighbour *n)
{
    close(n->netns);
    kill(n->pid, SIGKILL);
    waitpid(n->pid, NULL, 0);
}

static int listen_at(uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    assert_int_equal(inet_pton(AF_INET, OURS, &sa.sin_addr), 1);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

/* connect(2) from within the namespace: 0 or the error. */
static int connect_from(int netns, uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    int status;
    pid_t pid;

    assert_int_equal(inet_pton(AF_INET, OURS, &sa.sin_addr), 1);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd;

        if (setns(netns, CLONE_NEWNET) < 0)
            _exit(255);
        fd = socket(AF_INET, SOCK_STREAM, 0);
        _exit(connect(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0 ? errno : 0);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

TEST(only_what_the_list_names_is_reached_and_the_rest_is_counted)
{
    static const char *const one[] = {OURS ":40001", NULL}, *const none[] = {NULL};
    const NetVeth veth = {
        .host_name = "moss-test-eg", .host_address = OURS PREFIX, .name = "eth0", .address = THEIRS PREFIX};
    _cleanup_close_ int a = -EBADF, b = -EBADF;
    Error e = {};
    uint64_t refused = 99;
    Neighbour n;
    NetVeth v = veth;

    if (geteuid() != 0)
        skip();
    n = neighbour_make();
    v.pid = n.pid;
    assert_int_equal(net_veth_add(&v, &e), 0);
    a = listen_at(40001);
    b = listen_at(40002);
    assert_int_equal(connect_from(n.netns, 40002), 0);

    assert_int_equal(egress_apply(n.netns, one, &e), 0);
    assert_int_equal(connect_from(n.netns, 40001), 0);
    assert_int_equal(egress_refused(n.netns, &refused, &e), 0);
    assert_int_equal(refused, 0);
    assert_int_not_equal(connect_from(n.netns, 40002), 0);
    assert_int_equal(egress_refused(n.netns, &refused, &e), 0);
    assert_true(refused > 0);

    assert_int_equal(egress_apply(n.netns, none, &e), 0); /* replaces */
    assert_int_not_equal(connect_from(n.netns, 40001), 0);
    assert_int_equal(egress_apply(n.netns, NULL, &e), 0);
    assert_int_equal(connect_from(n.netns, 40002), 0);
    neighbour_end(&n);
    assert_int_equal(net_link_remove("moss-test-eg", &e), 0);
}

TEST(a_list_that_is_not_understood_is_refused_as_a_whole)
{
    static const char *const bad[] = {"example.org:443", "1.2.3.4", "1.2.3.4:0", "1.2.3.4:70000",
                                      "1.2.3.4:80x",     ":80",     "::1:80"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        const char *const allow[] = {"1.2.3.4:80", bad[i], NULL};
        Error e = {};

        assert_int_equal(egress_apply(-1, allow, &e), -EINVAL);
        assert_non_null(strstr(e.text, bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(only_what_the_list_names_is_reached_and_the_rest_is_counted),
        UNIT(a_list_that_is_not_understood_is_refused_as_a_whole),
    };

    return RUN_TESTS(tests);
}
