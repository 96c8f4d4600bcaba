/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/box/landlock.h"

#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "runtime/base/file.h"
#include "runtime/base/strbuf.h"
#include "runtime/box/net.h"
#include "runtime/box/seccomp.h"
#include "tests/unit/test.h"

#define ABI_OF_ALL 6
#define NOT_APPLIED 255
#define PROGRAM "/usr/bin/true"

/* What a child that is held to `plan` makes of `act`: 0 or the errno. */
static int held_to(const LandlockPlan *plan, int (*act)(const void *), const void *arg)
{
    int status;
    pid_t pid;

    assert_int_equal(landlock_check(plan, ABI_OF_ALL, NULL), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : landlock_apply(plan, NULL);

        _exit(r < 0 ? NOT_APPLIED : act(arg));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), NOT_APPLIED);
    return WEXITSTATUS(status);
}

static void needs_all(void)
{
    if (landlock_abi() < ABI_OF_ALL)
        skip();
}

/* ---- the check ---- */

static const char *const nothing[] = {NULL}, *const everything[] = {"/", NULL};
static const uint16_t port_80[] = {80};

TEST(what_the_kernel_cannot_give_is_an_error_that_names_member_and_abi)
{
    static const struct {
        LandlockPlan plan;
        int abi;
        const char *text;
    } cases[] = {
        {{.write = nothing}, 2, "landlock.write: needs Landlock ABI 3 (Linux 6.2), this kernel has ABI 2"},
        {{.execute = everything}, 1, "landlock.execute: needs Landlock ABI 2 (Linux 5.19), this kernel has ABI 1"},
        {{.bind = {port_80, 1}}, 3, "landlock.bind: needs Landlock ABI 4 (Linux 6.7), this kernel has ABI 3"},
        {{.connect = {port_80, 0}}, 3, "landlock.connect: needs Landlock ABI 4 (Linux 6.7), this kernel has ABI 3"},
        {{.scoped = true}, 5, "landlock.scoped: needs Landlock ABI 6 (Linux 6.12), this kernel has ABI 5"},
        {{.scoped = true}, 0, "landlock.scoped: needs Landlock ABI 6 (Linux 6.12), this kernel has no Landlock"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        Error e = {};

        assert_int_equal(landlock_check(&cases[i].plan, cases[i].abi, &e), -EOPNOTSUPP);
        assert_string_equal(e.text, cases[i].text);
        if (cases[i].abi > 0)
            assert_int_equal(landlock_check(&cases[i].plan, cases[i].abi + 1, NULL), 0);
    }
    assert_int_equal(landlock_check(&(LandlockPlan){}, 0, NULL), 0);
}

TEST(an_unsound_plan_is_refused)
{
    const LandlockPlan relative = {.write = (const char *const[]){"/tmp", "state", NULL}}, empty = {.execute = nothing};
    Error e = {};

    assert_int_equal(landlock_check(&relative, ABI_OF_ALL, &e), -EINVAL);
    assert_string_equal(e.text, "landlock.write: \"state\" must be an absolute path");
    assert_int_equal(landlock_check(&empty, ABI_OF_ALL, &e), -EINVAL);
    assert_string_equal(e.text, "landlock.execute: is empty, must name at least what is to be run");
}

/* ---- files ---- */

/* in/ and also/ are listed, as is the file in out/; out/ is not. */
typedef struct Tree {
    TestDirectory d;
    char in[80], also[80], out[80], file[80];
} Tree;

static void make_file(int dirfd, const char *name)
{
    assert_int_equal(file_write_at(dirfd, name, "text", 4, 0644, 0), 0);
}

static void make_program(int dirfd, const char *name)
{
    _cleanup_free_ char *data = NULL;
    size_t len;

    assert_int_equal(file_read_at(AT_FDCWD, PROGRAM, 16 << 20, &data, &len), 0);
    assert_int_equal(file_write_at(dirfd, name, data, len, 0755, 0), 0);
}

static TestDirectory directory_make(void)
{
    needs_all();
    return test_directory_make();
}

static Tree tree_make(void)
{
    static const char *const names[] = {"in", "also", "out"};
    Tree t = {.d = directory_make()};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_close_ int dir = -EBADF;

        assert_int_equal(mkdirat(t.d.fd, names[i], 0755), 0);
        dir = openat(t.d.fd, names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mkdirat(dir, "directory", 0755), 0);
        make_file(dir, "file");
        make_file(dir, "listed");
        make_program(dir, "program");
    }
    snprintf(t.in, sizeof(t.in), "%s/in", t.d.path);
    snprintf(t.also, sizeof(t.also), "%s/also", t.d.path);
    snprintf(t.out, sizeof(t.out), "%s/out", t.d.path);
    snprintf(t.file, sizeof(t.file), "%s/out/listed", t.d.path);
    return t;
}

/* One change of a directory that is the working directory; each leaves it as it was if it comes through. */
typedef struct Change {
    const char *directory;
    enum { OPEN, OPEN_LISTED, APPEND, TRUNCATE, MAKE, MAKE_DIRECTORY, MAKE_FIFO, LINK, REMOVE, RENAME, N_CHANGES } what;
} Change;

static int close_or_errno(int fd)
{
    return fd < 0 ? errno : close(fd);
}

static int change(const void *arg)
{
    const Change *c = arg;

    if (chdir(c->directory) < 0)
        return errno;
    switch (c->what) {
    case OPEN:
        return close_or_errno(open("file", O_RDWR | O_CLOEXEC));
    case OPEN_LISTED:
        return close_or_errno(open("listed", O_WRONLY | O_TRUNC | O_CLOEXEC));
    case APPEND:
        return close_or_errno(open("file", O_WRONLY | O_APPEND | O_CLOEXEC));
    case TRUNCATE:
        return truncate("file", 4) < 0 ? errno : 0;
    case MAKE:
        return close_or_errno(open("new", O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) ||
                       unlink("new") < 0
                   ? errno
                   : 0;
    case MAKE_DIRECTORY:
        return mkdir("new", 0700) < 0 || rmdir("new") < 0 ? errno : 0;
    case MAKE_FIFO:
        return mkfifo("new", 0600) < 0 || unlink("new") < 0 ? errno : 0;
    case LINK:
        return link("file", "new") < 0 || unlink("new") < 0 ? errno : 0;
    case REMOVE:
        return rmdir("directory") < 0 || mkdir("directory", 0755) < 0 ? errno : 0;
    case RENAME:
        return rename("file", "new") < 0 || rename("new", "file") < 0 ? errno : 0;
    case N_CHANGES:
        break;
    }
    return EINVAL;
}

TEST(files_are_changed_only_where_the_plan_says)
{
    Tree t = tree_make();
    const LandlockPlan plan = {.write = (const char *const[]){t.in, t.also, t.file, NULL}};

    for (unsigned i = 0; i < N_CHANGES; i++) {
        assert_int_equal(held_to(&plan, change, &(Change){t.in, i}), 0);
        assert_int_equal(held_to(&plan, change, &(Change){t.out, i}), i == OPEN_LISTED ? 0 : EACCES);
        assert_int_equal(held_to(&(LandlockPlan){}, change, &(Change){t.out, i}), 0);
    }
    test_directory_remove(&t.d);
}

typedef struct Move {
    const char *from, *to;
} Move;

static int move(const void *arg)
{
    const Move *m = arg;

    return rename(m->from, m->to) < 0 || rename(m->to, m->from) < 0 ? errno : 0;
}

TEST(files_move_between_listed_directories_and_not_out_of_them)
{
    Tree t = tree_make();
    const LandlockPlan plan = {.write = (const char *const[]){t.in, t.also, NULL}};
    char from[100], to[100], out[100];

    snprintf(from, sizeof(from), "%s/file", t.in);
    snprintf(to, sizeof(to), "%s/moved", t.also);
    snprintf(out, sizeof(out), "%s/moved", t.out);
    assert_int_equal(held_to(&plan, move, &(Move){from, to}), 0);
    assert_int_equal(held_to(&plan, move, &(Move){from, out}), EACCES);
    test_directory_remove(&t.d);
}

static int write_device(const void *path)
{
    return close_or_errno(open(path, O_RDWR | O_CLOEXEC));
}

static int read_file(const void *path)
{
    return close_or_errno(open(path, O_RDONLY | O_CLOEXEC));
}

TEST(what_may_not_be_written_can_be_read_and_null_takes_everything)
{
    const LandlockPlan plan = {.write = nothing};

    needs_all();
    assert_int_equal(held_to(&plan, read_file, PROGRAM), 0);
    assert_int_equal(held_to(&plan, write_device, "/dev/null"), 0);
    assert_int_equal(held_to(&plan, write_device, "/dev/zero"), EACCES);
}

static int execute(const void *path)
{
    int status;
    pid_t pid = fork();

    if (pid < 0)
        return errno;
    if (pid == 0) {
        execl(path, "program", (char *) NULL);
        _exit(errno);
    }
    return waitpid(pid, &status, 0) < 0 ? errno : WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

TEST(programs_run_only_from_where_the_plan_says)
{
    Tree t = tree_make();
    const LandlockPlan usr = {.execute = (const char *const[]){"/usr", NULL}},
                       no_loader = {.execute = (const char *const[]){t.in, NULL}},
                       both = {.execute = (const char *const[]){"/usr", t.in, NULL}, .write = nothing};
    char program[100];

    snprintf(program, sizeof(program), "%s/program", t.in);
    assert_int_equal(held_to(&usr, execute, PROGRAM), 0);
    assert_int_equal(held_to(&usr, execute, program), EACCES);
    assert_int_equal(held_to(&both, execute, program), 0);
    assert_int_equal(held_to(&no_loader, execute, program), EACCES);
    test_directory_remove(&t.d);
}

TEST(what_is_restricted_for_execution_alone_can_be_written_and_moved)
{
    Tree t = tree_make();
    const LandlockPlan plan = {.execute = (const char *const[]){"/usr", NULL}};
    char from[100], to[100];

    snprintf(from, sizeof(from), "%s/file", t.in);
    snprintf(to, sizeof(to), "%s/moved", t.out);
    assert_int_equal(held_to(&plan, move, &(Move){from, to}), 0);
    for (unsigned i = 0; i < N_CHANGES; i++)
        assert_int_equal(held_to(&plan, change, &(Change){t.out, i}), 0);
    test_directory_remove(&t.d);
}

/* Applies in a child, for the error. */
static void apply_fails(const char *path, int code, const char *text)
{
    const LandlockPlan plan = {.write = (const char *const[]){path, NULL}};
    struct {
        int r;
        Error e;
    } said = {};
    int fds[2], status;
    pid_t pid;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        said.r = landlock_apply(&plan, &said.e);
        _exit(fd_write_all(fds[1], &said, sizeof(said)) < 0);
    }
    assert_int_equal(fd_read_full(fds[0], &said, sizeof(said)), sizeof(said));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(said.r, code);
    assert_string_equal(said.e.text, text);
}

TEST(a_path_that_is_missing_or_a_symbolic_link_is_an_error_that_names_it)
{
    _cleanup_test_directory_ TestDirectory d = directory_make();
    _cleanup_free_ char *link = xasprintf("%s/link", d.path), *behind = xasprintf("%s/link/state", d.path),
                        *missing = xasprintf("%s/missing", d.path), *no_link = NULL, *no_behind = NULL,
                        *no_missing = NULL;

    assert_int_equal(symlinkat("/tmp", d.fd, "link"), 0);
    no_link = xasprintf("landlock.write: %s: is a symbolic link, name what it leads to", link);
    no_behind = xasprintf("landlock.write: %s: behind a file or a symbolic link, name what it leads to", behind);
    no_missing = xasprintf("landlock.write: %s: No such file or directory", missing);
    apply_fails(link, -ENOTDIR, no_link);
    apply_fails(behind, -ENOTDIR, no_behind);
    apply_fails(missing, -ENOENT, no_missing);
}

/* ---- TCP ---- */

/* In a network of its own: what one TCP call to a port of 127.0.0.1 says. */
typedef struct Call {
    enum { BIND, BIND_6, CONNECT, FAST_SENDTO, FAST_SENDMSG, FAST_SENDMMSG, MULTIPATH, UDP } what;
    uint16_t port;
} Call;

static int tcp_call(const Call *c)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(c->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(c->port)};
    struct iovec iov = {.iov_base = (char[]){"x"}, .iov_len = 1};
    struct mmsghdr m = {.msg_hdr = {.msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = &iov, .msg_iovlen = 1}};
    _cleanup_close_ int s =
        socket(c->what == BIND_6 ? AF_INET6 : AF_INET, (c->what == UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC,
               c->what == MULTIPATH ? IPPROTO_MPTCP : 0);
    int r = -1;

    if (s < 0)
        return errno;
    switch (c->what) {
    case BIND:
        r = bind(s, (struct sockaddr *) &a, sizeof(a));
        break;
    case BIND_6:
        r = bind(s, (const struct sockaddr *) &a6, sizeof(a6));
        break;
    case CONNECT:
    case MULTIPATH:
        r = connect(s, (struct sockaddr *) &a, sizeof(a));
        break;
    case FAST_SENDTO:
    case UDP:
        r = (int) sendto(s, "x", 1, c->what == UDP ? 0 : MSG_FASTOPEN, (struct sockaddr *) &a, sizeof(a));
        break;
    case FAST_SENDMSG:
        r = (int) sendmsg(s, &m.msg_hdr, MSG_FASTOPEN);
        break;
    case FAST_SENDMMSG:
        r = sendmmsg(s, &m, 1, MSG_FASTOPEN);
        break;
    }
    return r < 0 ? errno : 0;
}

typedef struct Network {
    const LandlockPlan *plan;
    Call call;
    uint16_t listen;
} Network;

static int in_network(const void *arg)
{
    const Network *n = arg;
    const struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(n->listen), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    _cleanup_close_ int s = -EBADF;

    if (unshare(CLONE_NEWNET | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) < 0 || net_loopback_up(NULL) < 0)
        return NOT_APPLIED;
    s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0 || bind(s, (const struct sockaddr *) &a, sizeof(a)) < 0 || listen(s, 8) < 0)
        return NOT_APPLIED;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_apply(n->plan, NULL) < 0 ? NOT_APPLIED
                                                                                           : tcp_call(&n->call);
}

/* `listen` is the port that somebody listens on. */
static int call_under(const LandlockPlan *plan, int what, uint16_t port, uint16_t listen)
{
    return held_to(&(LandlockPlan){}, in_network, &(Network){plan, {what, port}, listen});
}

static const uint16_t listed[] = {4711, 4712};

TEST(tcp_ports_are_bound_only_as_the_plan_says)
{
    const LandlockPlan plan = {.bind = {listed, 2}}, none = {.bind = {listed, 0}};

    needs_all();
    assert_int_equal(call_under(&plan, BIND, 4711, 9999), 0);
    assert_int_equal(call_under(&plan, BIND_6, 4712, 9999), 0);
    assert_int_equal(call_under(&plan, BIND, 4713, 9999), EACCES);
    assert_int_equal(call_under(&plan, BIND_6, 4713, 9999), EACCES);
    assert_int_equal(call_under(&plan, BIND, 0, 9999), EACCES);
    assert_int_equal(call_under(&none, BIND, 4711, 9999), EACCES);
    assert_int_equal(call_under(&plan, CONNECT, 9999, 9999), 0);
    assert_true(landlock_may_bind(&plan, 4712));
    assert_false(landlock_may_bind(&plan, 4713));
    assert_false(landlock_may_bind(&none, 4711));
    assert_true(landlock_may_bind(&(LandlockPlan){}, 4713));
}

TEST(tcp_ports_are_connected_to_only_as_the_plan_says)
{
    const LandlockPlan plan = {.connect = {listed, 2}};

    needs_all();
    assert_int_equal(call_under(&plan, CONNECT, 4711, 4711), 0);
    assert_int_equal(call_under(&plan, CONNECT, 4713, 4713), EACCES);
    assert_int_equal(call_under(&plan, BIND, 4713, 9999), 0);
    assert_int_equal(call_under(&plan, UDP, 4713, 9999), 0);
}

TEST(there_is_no_way_round_the_ports)
{
    const LandlockPlan plan = {.connect = {listed, 2}}, bind_only = {.bind = {listed, 2}}, free = {.scoped = true};

    needs_all();
    for (unsigned what = FAST_SENDTO; what <= FAST_SENDMMSG; what++) {
        assert_int_equal(call_under(&free, what, 4713, 4713), 0);
        assert_int_equal(call_under(&plan, what, 4713, 4713), EOPNOTSUPP);
    }
    assert_int_equal(call_under(&plan, MULTIPATH, 4713, 4713), EPROTONOSUPPORT);
    assert_int_equal(call_under(&bind_only, MULTIPATH, 4713, 4713), EPROTONOSUPPORT);
}

/* ---- scope ---- */

static int signal_parent(const void *arg)
{
    (void) arg;
    return kill(getppid(), 0) < 0 ? errno : 0;
}

static int signal_child(const void *arg)
{
    pid_t pid = fork();
    int r;

    (void) arg;
    if (pid == 0) {
        pause();
        _exit(0);
    }
    r = pid < 0 || kill(pid, SIGKILL) < 0 ? errno : 0;
    return waitpid(pid, NULL, 0) < 0 ? errno : r;
}

static socklen_t abstract_name(struct sockaddr_un *a, const char *which)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    return (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 +
                        (size_t) snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1, "test-landlock-%s", which));
}

static int listen_abstract(const char *which)
{
    struct sockaddr_un a;
    socklen_t len = abstract_name(&a, which);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return s < 0 || bind(s, (struct sockaddr *) &a, len) < 0 || listen(s, 8) < 0 ? -errno : s;
}

static int connect_abstract(const void *which)
{
    struct sockaddr_un a;
    socklen_t len = abstract_name(&a, which);
    _cleanup_close_ int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return s < 0 || connect(s, (struct sockaddr *) &a, len) < 0 ? errno : 0;
}

static int connect_own(const void *which)
{
    _cleanup_close_ int s = listen_abstract(which);

    return s < 0 ? -s : connect_abstract(which);
}

TEST(what_is_scoped_signals_and_calls_nobody_outside)
{
    const LandlockPlan scoped = {.scoped = true}, other = {.write = nothing};
    char theirs[32], own[32];
    _cleanup_close_ int s = -EBADF;

    needs_all();
    snprintf(theirs, sizeof(theirs), "theirs-%d", (int) getpid());
    snprintf(own, sizeof(own), "own-%d", (int) getpid());
    s = listen_abstract(theirs);
    assert_true(s >= 0);
    assert_int_equal(held_to(&scoped, signal_parent, NULL), EPERM);
    assert_int_equal(held_to(&scoped, signal_child, NULL), 0);
    assert_int_equal(held_to(&scoped, connect_abstract, theirs), EPERM);
    assert_int_equal(held_to(&scoped, connect_own, own), 0);
    assert_int_equal(held_to(&other, signal_parent, NULL), 0);
    assert_int_equal(held_to(&other, connect_abstract, theirs), 0);
}

/* ---- in layers ---- */

/* As an agent that holds itself back further, under the system call filter of its box. */
static int tighten(const void *path)
{
    static const uint16_t https[] = {443};
    const LandlockPlan mine = {.write = nothing, .connect = {https, 1}, .scoped = true};
    SeccompFilter filter = {};
    int r = seccomp_profile("box", &filter, NULL);

    if (r >= 0)
        r = seccomp_install(&filter);
    seccomp_filter_done(&filter);
    if (r >= 0)
        r = landlock_apply(&mine, NULL);
    return r < 0 ? NOT_APPLIED : close_or_errno(open(path, O_WRONLY | O_CLOEXEC));
}

TEST(a_program_may_hold_itself_back_further)
{
    Tree t = tree_make();
    const LandlockPlan plan = {.write = (const char *const[]){t.d.path, NULL}};

    assert_int_equal(held_to(&plan, write_device, t.file), 0);
    assert_int_equal(held_to(&plan, tighten, t.file), EACCES);
    test_directory_remove(&t.d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(what_the_kernel_cannot_give_is_an_error_that_names_member_and_abi),
        UNIT(an_unsound_plan_is_refused),
        UNIT(files_are_changed_only_where_the_plan_says),
        UNIT(files_move_between_listed_directories_and_not_out_of_them),
        UNIT(what_may_not_be_written_can_be_read_and_null_takes_everything),
        UNIT(programs_run_only_from_where_the_plan_says),
        UNIT(what_is_restricted_for_execution_alone_can_be_written_and_moved),
        UNIT(a_path_that_is_missing_or_a_symbolic_link_is_an_error_that_names_it),
        UNIT(tcp_ports_are_bound_only_as_the_plan_says),
        UNIT(tcp_ports_are_connected_to_only_as_the_plan_says),
        UNIT(there_is_no_way_round_the_ports),
        UNIT(what_is_scoped_signals_and_calls_nobody_outside),
        UNIT(a_program_may_hold_itself_back_further),
    };

    return RUN_TESTS(tests);
}
