/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "runtime/base/file.h"
#include "runtime/base/strbuf.h"
#include "shim/agent/agent.h"
#include "tests/unit/test.h"

#define HERE "tests/unit/shim/agent"

/* bad/NAME.json is refused with the text of bad/NAME.txt behind the file's name. */
static void check_bad(int dirfd, const char *name)
{
    _cleanup_free_ char *path = xasprintf(HERE "/bad/%s.json", name), *text = xasprintf("%s.txt", name),
                        *expected = NULL, *whole = NULL;
    _cleanup_(agent_freep) Agent *a = NULL;
    Error e = {};

    assert_int_equal(file_read_at(dirfd, text, 1000, &expected, NULL), 0);
    expected[strcspn(expected, "\n")] = '\0';
    whole = xasprintf("%s: %s", path, expected);
    assert_true(agent_load(path, &a, &e) < 0);
    assert_null(a);
    assert_string_equal(e.text, whole);
}

TEST(malformed_files_are_refused_with_the_place_and_the_cause)
{
    _cleanup_closedir_ DIR *d = opendir(HERE "/bad");
    struct dirent *de;
    unsigned n = 0;

    assert_non_null(d);
    while ((de = readdir(d))) {
        char name[NAME_MAX + 1];

        if (!endswith(de->d_name, ".json"))
            continue;
        snprintf(name, sizeof(name), "%.*s", (int) strlen(de->d_name) - 5, de->d_name);
        check_bad(dirfd(d), name);
        n++;
    }
    assert_true(n >= 80);
}

TEST(every_member_arrives)
{
    _cleanup_(agent_freep) Agent *a = NULL;
    _cleanup_free_ char *here = realpath(HERE "/good", NULL), *source = xasprintf("%s/source", here);
    Error e = {};

    assert_int_equal(agent_load(HERE "/good/full.json", &a, &e), 0);
    assert_string_equal(a->name, "clerk");
    assert_string_equal(a->repository, source);
    assert_string_equal(a->branch, "main");
    assert_string_equal(a->root_directory, "/srv/root");
    assert_string_equal(a->build_argv[2], "true");
    assert_int_equal(a->build_timeout_seconds, 60);
    assert_string_equal(a->run_env[0], "PORT=8080");
    assert_string_equal(a->run_env[1], "HOME=/state");
    assert_null(a->run_env[2]);
    assert_int_equal(a->run_uid, 1000);
    assert_int_equal(a->run_gid, 1001);
    assert_null(a->state_directory);
    assert_int_equal(a->network, NETWORK_VETH);
    assert_string_equal(a->network_allow[0], "192.0.2.1:443");
    assert_int_equal(a->sockets, SOCKETS_TRANSPARENT);
    assert_string_equal(a->landlock->write[1], "/tmp");
    assert_null(a->landlock->write[2]);
    assert_string_equal(a->landlock->execute[0], "/");
    assert_int_equal(a->landlock->bind.n, 2);
    assert_int_equal(a->landlock->bind.list[0], 8080);
    assert_int_equal(a->landlock->connect.n, 0);
    assert_non_null(a->landlock->connect.list);
    assert_true(a->landlock->scoped);
    assert_int_equal(a->startup.failure_threshold, 15);
    assert_int_equal(a->readiness.kind, PROBE_HTTP);
    assert_int_equal(a->readiness.success_threshold, 3);
    assert_non_null(a->readiness.json_body);
    assert_int_equal(a->liveness.kind, PROBE_TCP);
    assert_int_equal(a->liveness.settled_period_seconds, 1);
    assert_int_equal(a->readiness.settled_period_seconds, 10);
    assert_true(a->notify);
    assert_int_equal(a->watchdog_seconds, 5);
    assert_int_equal(a->n_acceptance, 2);
    assert_string_equal(a->acceptance[0].name, "says-hello");
    assert_true(a->acceptance[0].required);
    assert_string_equal(a->acceptance[0].probe.socket, "/state/agent.sock");
    assert_string_equal(a->acceptance[0].probe.send, "{\"text\":\"x\",\"user\":1}");
    assert_true(a->acceptance[0].probe.sends_json);
    assert_int_equal(a->acceptance[0].probe.status, 200);
    assert_string_equal(a->acceptance[0].probe.contains, "hello");
    assert_false(a->acceptance[1].required);
    assert_string_equal(a->acceptance[1].probe.service, "clerk");
    assert_int_equal(a->drain.signal, SIGINT);
    assert_string_equal(a->drain.message.socket, "@clerk");
    assert_string_equal(a->drain.message.send, "now");
    assert_int_equal(a->drain.message.timeout_seconds, 2);
    assert_int_equal(a->gate.bake_seconds, 5);
    assert_string_equal(a->sessions_glob, "*.jsonl");
    assert_string_equal(a->field_order, "seq");
    assert_int_equal(a->n_rules, 2);
    assert_int_equal(a->rules[0].expect, 1);
    assert_int_equal(a->rules[1].on, RULE_ON_ERROR);
    assert_string_equal(a->replay_argv[0], "/usr/bin/replay");
    assert_null(a->trace_argv);
    assert_int_equal(a->limit_disk, 64 << 20);
    assert_string_equal(a->coder_argv[0], "/coder/run");
    assert_string_equal(a->protected_globs[1], "LICENSE");
    assert_true(endswith(a->allowed_signers, "/good/signers"));
    assert_int_equal(a->evidence_interval_seconds, 600);
    assert_true(a->control);
    assert_string_equal(a->webhook_url, "https://hooks.example/moss");
    assert_true(endswith(a->webhook_token_file, "/good/token"));
    assert_int_equal(a->webhook_timeout_seconds, 5);
    assert_int_equal(agent_can_evolve(a, NULL), 0);
}

TEST(defaults_need_little)
{
    _cleanup_(agent_freep) Agent *a = NULL;
    Error e = {};

    assert_int_equal(agent_load(HERE "/good/smallest.json", &a, &e), 0);
    assert_string_equal(a->state_path, "/state");
    assert_int_equal(a->network, NETWORK_NONE);
    assert_string_equal(a->coder_adapter, "search");
    assert_null(a->allowed_signers);
    assert_false(a->control);
    assert_null(a->landlock);
    assert_null(a->webhook_url);
    assert_null(a->run_env[0]);
    assert_null(a->protected_globs[0]);
    assert_int_equal(a->gate.gate_timeout_seconds, 40);
    assert_false(agent_notifies(a));
    assert_int_equal(a->n_acceptance, 0);
    assert_int_equal(a->drain.signal, SIGTERM);
    assert_int_equal(a->drain.message.kind, PROBE_NONE);
    assert_int_equal(agent_can_evolve(a, &e), -EINVAL);
    assert_string_equal(e.text, "agent clerk cannot be evolved: its agent.json has no section \"sessions\"");
}

TEST(addresses_to_listen_at_are_read)
{
    _cleanup_(agent_freep) Agent *a = NULL;
    const struct sockaddr_in *v4;
    const struct sockaddr_in6 *v6;
    const struct sockaddr_un *un;

    assert_int_equal(agent_load(HERE "/good/listen-fds.json", &a, NULL), 0);
    assert_int_equal(a->sockets, SOCKETS_LISTEN_FDS);
    assert_int_equal(a->n_listen, 4);
    assert_string_equal(a->listen[0].name, "http");
    v4 = (const void *) &a->listen[0].sa;
    assert_int_equal(v4->sin_family, AF_INET);
    assert_int_equal(ntohs(v4->sin_port), 80);
    assert_int_equal(ntohl(v4->sin_addr.s_addr), 0xc0000201);
    v6 = (const void *) &a->listen[1].sa;
    assert_int_equal(v6->sin6_family, AF_INET6);
    assert_int_equal(v6->sin6_addr.s6_addr[15], 1);
    assert_int_equal(a->listen[1].type, SOCK_STREAM);
    un = (const void *) &a->listen[2].sa;
    assert_string_equal(un->sun_path, "/run/clerk.sock");
    assert_int_equal(a->listen[2].len, offsetof(struct sockaddr_un, sun_path) + sizeof("/run/clerk.sock"));
    assert_int_equal(a->listen[2].type, SOCK_SEQPACKET);
    assert_int_equal(a->listen[2].mode, 0600);
    un = (const void *) &a->listen[3].sa;
    assert_memory_equal(un->sun_path, "\0clerk", 6);
    assert_int_equal(a->listen[3].len, offsetof(struct sockaddr_un, sun_path) + 6);
    assert_int_equal(a->listen[3].mode, 0666);
}

TEST(what_is_absolute_stays_so_when_the_file_moves)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_(agent_freep) Agent *a = NULL, *b = NULL;
    _cleanup_free_ char *text = NULL;

    assert_int_equal(agent_load(HERE "/good/full.json", &a, NULL), 0);
    assert_int_equal(mkdirat_p(d.fd, "agents/clerk", 0700), 0);
    text = json_dumps(a->json, 0);
    {
        _cleanup_close_ int dir = openat(d.fd, "agents/clerk", O_RDONLY | O_DIRECTORY);

        assert_int_equal(file_write_at(dir, "agent.json", text, strlen(text), 0600, 0), 0);
    }
    assert_int_equal(agent_load_named(d.path, "clerk", &b, NULL), 0);
    assert_string_equal(a->repository, b->repository);
    assert_string_equal(a->replay_directory, b->replay_directory);
}

TEST(a_missing_agent_says_how_to_add_it)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_(agent_freep) Agent *a = NULL;
    Error e = {};

    assert_int_equal(agent_load_named(d.path, "clerk", &a, &e), -ENOENT);
    assert_true(endswith(e.text, "`moss agent add FILE` adds one"));
    assert_int_equal(agent_load_named(d.path, "../x", &a, &e), -EINVAL);
}

TEST(the_run_directory_must_be_ours)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_free_ char *path = NULL, *again = NULL;
    struct stat st;
    Error e = {};

    assert_int_equal(setenv("MOSS_RUN", d.path, 1), 0);
    assert_int_equal(agent_run_directory("clerk", &path, &e), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(agent_run_directory("clerk", &again, &e), -EPERM);
    assert_null(again);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlinkat("/tmp", d.fd, "clerk"), 0);
    assert_int_equal(agent_run_directory("clerk", &again, &e), -ENOTDIR);
    assert_int_equal(agent_run_directory("..", &again, &e), -EINVAL);
}

TEST(the_control_directory_can_be_entered_but_the_one_above_cannot)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_free_ char *path = NULL, *run = NULL;
    mode_t mask = umask(077);
    struct stat st;

    assert_int_equal(setenv("MOSS_RUN", d.path, 1), 0);
    assert_int_equal(agent_control_directory("clerk", &path, NULL), 0);
    assert_int_equal(agent_run_directory("clerk", &run, NULL), 0);
    assert_true(startswith(path, run) && endswith(path, "/control"));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(stat(run, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    umask(mask);
}

TEST(agents_are_listed_by_name_and_nothing_else_is)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_(agent_names_freep) char **none = NULL, **names = NULL;

    assert_int_equal(agent_names(d.path, &none, NULL), 0);
    assert_null(none[0]);
    assert_int_equal(mkdirat_p(d.fd, "agents/zoe", 0700), 0);
    assert_int_equal(mkdirat_p(d.fd, "agents/clerk", 0700), 0);
    assert_int_equal(mkdirat_p(d.fd, "agents/.clerk.new", 0700), 0);
    assert_int_equal(agent_names(d.path, &names, NULL), 0);
    assert_string_equal(names[0], "clerk");
    assert_string_equal(names[1], "zoe");
    assert_null(names[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(malformed_files_are_refused_with_the_place_and_the_cause),
        UNIT(every_member_arrives),
        UNIT(defaults_need_little),
        UNIT(addresses_to_listen_at_are_read),
        UNIT(what_is_absolute_stays_so_when_the_file_moves),
        UNIT(a_missing_agent_says_how_to_add_it),
        UNIT(the_run_directory_must_be_ours),
        UNIT(the_control_directory_can_be_entered_but_the_one_above_cannot),
        UNIT(agents_are_listed_by_name_and_nothing_else_is),
    };

    return RUN_TESTS(tests);
}
