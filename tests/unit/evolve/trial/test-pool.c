/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "evolve/trial/trial.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/strbuf.h"
#include "runtime/box/cgroup.h"
#include "tests/unit/test.h"

#define BUSYBOX "/bin/busybox"
#define SHORT (500 * USEC_PER_MSEC) /* the time limit of a trial that is to run into it */
#define LONG (60 * USEC_PER_SEC)

/* Agents and replay drivers are shell scripts here: what matters is how they behave. */
typedef struct World {
    TestDirectory d;
    int root, cgroup, base;
    char cgroup_name[40], replay[96];
    const char *run_argv[5], *replay_argv[4], *env[2];
    Agent agent;
    json_t *task;
    const LandlockPlan *landlock; /* the rest is the test's to set before the trial */
    const char **trace_argv;      /* not NULL: traced */
} World;

static void make_root(World *w)
{
    static const char *const directories[] = {"root/bin", "root/etc", "root/proc", "root/dev", "root/tmp", "replay"};
    static const char *const applets[] = {"sh", "cat", "dd", "nc", "sleep", "ln", "mknod", "mount", "head", "rm", "mv"};
    _cleanup_free_ char *data = NULL;
    _cleanup_close_ int bin = -EBADF;
    size_t len;

    for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
        assert_int_equal(mkdirat_p(w->d.fd, directories[i], 0755), 0);
    bin = openat(w->d.fd, "root/bin", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file_read_at(AT_FDCWD, BUSYBOX, 16 << 20, &data, &len) < 0)
        skip();
    assert_int_equal(file_write_at(bin, "busybox", data, len, 0755, 0), 0);
    for (size_t i = 0; i < ARRAY_SIZE(applets); i++)
        assert_int_equal(symlinkat("busybox", bin, applets[i]), 0);
    w->root = openat(w->d.fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static World world_make(const char *agent, const char *driver)
{
    World w = {.d = test_directory_make()};
    _cleanup_close_ int replay = -EBADF;

    assert_int_equal(fchmod(w.d.fd, 0755), 0);
    make_root(&w);
    replay = openat(w.d.fd, "replay", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(file_write_at(replay, "driver", driver, strlen(driver), 0755, 0), 0);
    snprintf(w.replay, sizeof(w.replay), "%s/replay", w.d.path);
    w.base = cgroup_open_base(NULL);
    snprintf(w.cgroup_name, sizeof(w.cgroup_name), "test-pool-%d", (int) getpid());
    w.cgroup = w.base >= 0 ? cgroup_make(w.base, w.cgroup_name, NULL) : 0;
    w.task = json_pack("{s:s, s:[{s:s, s:s, s:s}], s:[{s:s, s:i, s:s}]}", "id", "t-1", "turns", "user", "u", "session",
                       "s", "text", "hi", "graders", "kind", "expect", "turn", 0, "contains", "hello");
    assert_non_null(w.task);
    w.run_argv[0] = "/bin/sh";
    w.run_argv[1] = "-c";
    w.run_argv[2] = agent;
    w.replay_argv[0] = "/bin/sh";
    w.replay_argv[1] = "/moss/replay/driver";
    w.env[0] = "PATH=/bin";
    return w;
}

/* Apart from world_make(), because the agent points into the world. */
static Agent *agent_of(World *w)
{
    w->agent = (Agent){
        .name = "test",
        .run_argv = w->run_argv,
        .run_env = w->env,
        .run_cwd = "/",
        .run_uid = 1000,
        .run_gid = 1000,
        .state_path = "/state",
        .replay_directory = w->replay,
        .replay_argv = w->replay_argv,
        .replay_turn_timeout_seconds = 2,
        .replay_timeout_seconds = 60,
        .limit_memory = 32 << 20,
        .limit_processes = 32,
        .limit_disk = 1 << 20,
        .landlock = w->landlock,
        .trace_argv = w->trace_argv,
    };
    return &w->agent;
}

/* Nothing may be left: rmdir of the parent fails if a box left its cgroup. */
static void world_done(World *w)
{
    if (w->cgroup > 0) {
        close(w->cgroup);
        assert_int_equal(unlinkat(w->base, w->cgroup_name, AT_REMOVEDIR), 0);
        close(w->base);
    }
    close(w->root);
    json_decref(w->task);
    test_directory_remove(&w->d);
}

static size_t count_lines(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *text = NULL;
    size_t n = 0;

    assert_int_equal(file_read_fd(fd, 4 << 20, &text, NULL), 0);
    for (const char *p = text; (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

static TrialSpec spec_of(const World *w, uint64_t timeout)
{
    return (TrialSpec){
        .label = "c-1",
        .lowers = &w->root,
        .n_lowers = 1,
        .generation = "g-1",
        .task = w->task,
        .trace = w->trace_argv != NULL,
        .timeout_usec = timeout,
        .cookie = (void *) w,
    };
}

static TrialResult run_one(World *w, uint64_t timeout)
{
    _cleanup_(trial_pool_freep) TrialPool *pool = NULL;
    TrialSpec spec = spec_of(w, timeout);
    size_t mounts = count_lines("/proc/self/mountinfo");
    TrialResult result = {};
    Error e = {};

    assert_int_equal(trial_pool_new(agent_of(w), w->root, w->cgroup, 1, &pool, &e), 0);
    assert_int_equal(trial_pool_submit(pool, &spec, &e), 0);
    if (trial_pool_next(pool, &result, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(trial_pool_pending(pool), 0);
    assert_int_equal(trial_pool_next(pool, &result, &e), -ENODATA);
    assert_int_equal(count_lines("/proc/self/mountinfo"), mounts);
    return result;
}

#define WAITS "sleep 1000\n"
#define ANSWERS                                                                                                        \
    "until a=$(nc 127.0.0.1 4711 </dev/null) && [ \"$a\" ]; do :; done\n"                                              \
    "echo '{\"version\":1,\"turns\":[{\"session\":\"s\",\"text\":\"hi\",\"reply\":\"'\"$a\"'\",\"status\":200,"        \
    "\"error\":null}]}' >/moss/out/transcript.json\n"

static void expect_end(const char *agent, const char *driver, uint64_t timeout, TrialEnd end, const char *log)
{
    World w = world_make(agent, driver);
    TrialResult result = run_one(&w, timeout);

    if (result.end != end)
        fail_msg("%s (%s), log: %s", trial_end_name(result.end), result.why, result.log);
    assert_true(end == TRIAL_DONE || result.why[0]);
    assert_false(result.passed && end != TRIAL_DONE);
    if (log && !strstr(result.log, log))
        fail_msg("log: %s", result.log);
    trial_result_done(&result);
    world_done(&w);
}

TEST(a_good_answer_passes_and_a_bad_one_does_not)
{
    static const struct {
        const char *agent;
        bool passed;
    } cases[] = {
        {"while :; do echo hello | nc -l -p 4711; done", true},
        {"while :; do echo goodbye | nc -l -p 4711; done", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        World w = world_make(cases[i].agent, ANSWERS);
        TrialResult result = run_one(&w, LONG);

        assert_string_equal(result.why, "");
        assert_int_equal(result.end, TRIAL_DONE);
        assert_int_equal(result.passed, cases[i].passed);
        assert_ptr_equal(result.cookie, &w);
        assert_true(result.cpu_usec > 0 && result.wall_usec > 0);
        trial_result_done(&result);
        world_done(&w);
    }
}

TEST(an_agent_that_exits_at_once_has_ended)
{
    expect_end("echo oops; exit 3", WAITS, LONG, TRIAL_AGENT_ENDED, "oops");
}

TEST(a_program_that_is_not_there_is_the_candidates_fault)
{
    World w = world_make("", WAITS);

    w.run_argv[0] = "/no/such/program";
    TrialResult result = run_one(&w, LONG);
    assert_int_equal(result.end, TRIAL_AGENT_ENDED);
    assert_non_null(strstr(result.why, "/no/such/program"));
    trial_result_done(&result);
    world_done(&w);
}

TEST(an_agent_that_hangs_and_ignores_signals_times_out)
{
    expect_end("trap '' TERM INT HUP; while :; do sleep 1000; done", WAITS, SHORT, TRIAL_TIMED_OUT, NULL);
}

TEST(an_agent_that_forks_without_end_is_contained)
{
    expect_end("while :; do sh -c 'while :; do sleep 1000 & done' 2>/dev/null & sleep 1; done", WAITS, SHORT,
               TRIAL_TIMED_OUT, NULL);
}

TEST(an_agent_that_prints_without_end_is_contained)
{
    expect_end("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", WAITS, SHORT, TRIAL_TIMED_OUT,
               "xxxx");
}

TEST(an_agent_that_eats_memory_is_out_of_memory)
{
    expect_end("dd if=/dev/zero of=/dev/null bs=48M", WAITS, LONG, TRIAL_OUT_OF_MEMORY, NULL);
}

TEST(an_agent_cannot_write_outside_of_its_root)
{
    World w = world_make("echo x >/proc/sys/kernel/core_pattern; mknod /tmp/sda b 8 0; mount -t proc proc /tmp;"
                         "echo x >/proc/sysrq-trigger; echo x >/moss/out/transcript.json; echo x >/bin/sh; exit 0",
                         WAITS);
    _cleanup_free_ char *before = NULL, *after = NULL;
    TrialResult result;
    struct stat st;

    assert_int_equal(file_read_at(AT_FDCWD, "/proc/sys/kernel/core_pattern", 4096, &before, NULL), 0);
    result = run_one(&w, LONG);
    assert_int_equal(result.end, TRIAL_AGENT_ENDED);
    assert_int_equal(file_read_at(AT_FDCWD, "/proc/sys/kernel/core_pattern", 4096, &after, NULL), 0);
    assert_string_equal(before, after);
    assert_int_equal(fstatat(w.d.fd, "root/bin/busybox", &st, 0), 0);
    assert_true(st.st_size > 100);
    assert_int_equal(fstatat(w.d.fd, "root/moss", &st, 0), -1);
    trial_result_done(&result);
    world_done(&w);
}

static const char *const landlock_write[] = {"/state", NULL}, *const landlock_execute[] = {"/bin", NULL};
static const uint16_t landlock_bind[] = {4711};
static const LandlockPlan landlock = {
    .write = landlock_write, .execute = landlock_execute, .bind = {landlock_bind, 1}, .scoped = true};

static World world_under_landlock(const char *agent)
{
    World w;

    if (landlock_abi() < 6)
        skip();
    w = world_make(agent, ANSWERS);
    w.landlock = &landlock;
    return w;
}

TEST(an_agent_is_held_to_the_landlock_rules_that_it_has_in_production)
{
    World w = world_under_landlock("echo a >/state/f; echo b >/tmp/f; nc -l -p 4712;"
                                   "while :; do echo hello | nc -l -p 4711; done");
    TrialResult result = run_one(&w, LONG);

    assert_true(result.passed);
    assert_string_equal(result.log, "/bin/sh: can't create /tmp/f: Permission denied\nnc: bind: Permission denied\n");
    trial_result_done(&result);
    world_done(&w);
}

TEST(a_tracer_works_under_landlock_rules)
{
    World w = world_under_landlock("");
    const char *const tracer = "#!/bin/sh\necho program:1 >/moss/trace/executed.txt\necho b >/tmp/f\n"
                               "while :; do echo hello | nc -l -p 4711; done\n";
    const char *argv[] = {"/moss/replay/tracer", NULL};
    _cleanup_close_ int replay = openat(w.d.fd, "replay", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    TrialResult result;

    assert_int_equal(file_write_at(replay, "tracer", tracer, strlen(tracer), 0755, 0), 0);
    w.trace_argv = argv;
    result = run_one(&w, LONG);
    assert_true(result.passed);
    assert_int_equal(json_array_size(result.executed), 1);
    assert_string_equal(result.log, "/moss/replay/tracer: line 3: can't create /tmp/f: Permission denied\n");
    trial_result_done(&result);
    world_done(&w);
}

TEST(an_agent_that_fills_its_disk_hurts_itself_alone)
{
    expect_end("dd if=/dev/zero of=/state/f bs=64k; exit 0", WAITS, LONG, TRIAL_AGENT_ENDED, "No space left");
}

TEST(a_transcript_that_is_not_what_it_must_be_is_refused)
{
    static const char *const drivers[] = {
        "exit 0",
        "exit 5",
        "kill -9 $$",
        "echo not json >/moss/out/transcript.json",
        "ln -s /etc/passwd /moss/out/transcript.json",
        "mknod /moss/out/transcript.json p",
        "rm -rf /moss/out/transcript.json; ln -s / /moss/out/transcript.json",
        "dd if=/dev/zero of=/moss/out/transcript.json bs=1M count=5 2>/dev/null",
        "head -c 100000 /dev/zero | while read -r x; do :; done; i=0; a=; while [ $i -lt 12 ]; do a=\"${a:-[}$a\"; "
        "i=$((i+1)); done; echo \"$a$a$a\" >/moss/out/transcript.json",
        "echo '{\"version\":1,\"turns\":5}' >/moss/out/transcript.json",
    };

    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
        expect_end("sleep 1000", drivers[i], LONG, TRIAL_BAD_TRANSCRIPT, NULL);
}

TEST(many_trials_run_and_each_result_comes_once)
{
    World w = world_make("while :; do echo hello | nc -l -p 4711; done", ANSWERS);
    _cleanup_(trial_pool_freep) TrialPool *pool = NULL;
    unsigned seen = 0;
    Error e = {};

    assert_int_equal(trial_pool_new(agent_of(&w), w.root, w.cgroup, 3, &pool, &e), 0);
    for (unsigned i = 0; i < 8; i++) {
        TrialSpec spec = spec_of(&w, LONG);

        spec.repeat = i;
        assert_int_equal(trial_pool_submit(pool, &spec, &e), 0);
    }
    while (trial_pool_pending(pool)) {
        TrialResult result;

        if (trial_pool_next(pool, &result, &e) < 0)
            fail_msg("%s", e.text);
        assert_true(result.passed);
        assert_false(seen & 1U << result.repeat);
        seen |= 1U << result.repeat;
        trial_result_done(&result);
    }
    assert_int_equal(seen, 0xff);
    pool = trial_pool_free(pool);
    world_done(&w);
}

TEST(cancelled_trials_are_gone_and_the_others_stay)
{
    World w = world_make("while :; do echo hello | nc -l -p 4711; done", ANSWERS);
    _cleanup_(trial_pool_freep) TrialPool *pool = NULL;
    TrialResult result;
    Error e = {};

    assert_int_equal(trial_pool_new(agent_of(&w), w.root, w.cgroup, 2, &pool, &e), 0);
    for (unsigned i = 0; i < 6; i++) {
        TrialSpec spec = spec_of(&w, LONG);

        spec.cookie = i % 2 ? &w : (void *) &e;
        assert_int_equal(trial_pool_submit(pool, &spec, &e), 0);
    }
    assert_int_equal(trial_pool_next(pool, &result, &e), 0);
    trial_result_done(&result);
    trial_pool_cancel(pool, &e);
    while (trial_pool_pending(pool)) {
        assert_int_equal(trial_pool_next(pool, &result, &e), 0);
        assert_ptr_equal(result.cookie, &w);
        trial_result_done(&result);
    }
    pool = trial_pool_free(pool);
    world_done(&w);
}

TEST(freeing_the_pool_kills_what_runs)
{
    World w = world_make("while :; do sleep 1000; done", WAITS);
    _cleanup_(trial_pool_freep) TrialPool *pool = NULL;
    TrialSpec endless = spec_of(&w, LONG), quick = spec_of(&w, 1);
    TrialResult result;
    Error e = {};

    assert_int_equal(trial_pool_new(agent_of(&w), w.root, w.cgroup, 3, &pool, &e), 0);
    assert_int_equal(trial_pool_submit(pool, &endless, &e), 0);
    assert_int_equal(trial_pool_submit(pool, &quick, &e), 0);
    assert_int_equal(trial_pool_submit(pool, &endless, &e), 0);
    assert_int_equal(trial_pool_next(pool, &result, &e), 0); /* now the others run */
    assert_int_equal(result.end, TRIAL_TIMED_OUT);
    trial_result_done(&result);
    assert_int_equal(trial_pool_pending(pool), 2);
    pool = trial_pool_free(pool);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_good_answer_passes_and_a_bad_one_does_not),
        UNIT(an_agent_that_exits_at_once_has_ended),
        UNIT(a_program_that_is_not_there_is_the_candidates_fault),
        UNIT(an_agent_that_hangs_and_ignores_signals_times_out),
        UNIT(an_agent_that_forks_without_end_is_contained),
        UNIT(an_agent_that_prints_without_end_is_contained),
        UNIT(an_agent_that_eats_memory_is_out_of_memory),
        UNIT(an_agent_cannot_write_outside_of_its_root),
        UNIT(an_agent_is_held_to_the_landlock_rules_that_it_has_in_production),
        UNIT(a_tracer_works_under_landlock_rules),
        UNIT(an_agent_that_fills_its_disk_hurts_itself_alone),
        UNIT(a_transcript_that_is_not_what_it_must_be_is_refused),
        UNIT(many_trials_run_and_each_result_comes_once),
        UNIT(cancelled_trials_are_gone_and_the_others_stay),
        UNIT(freeing_the_pool_kills_what_runs),
    };

    return RUN_TESTS(tests);
}
