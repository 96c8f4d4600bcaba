/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/trial/run.h"

#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "evolve/grade/grade.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"

#define TRANSCRIPT_MAX ((size_t) 4 << 20)
#define EXECUTED_MAX ((size_t) 8 << 20)
#define EXECUTED_LINES_MAX 200000
#define WATCH_USEC (25 * USEC_PER_MSEC)
#define REPLAYER_MEMORY (512ULL << 20)
#define REPLAYER_DISK (64ULL << 20)
#define TRACE_SLOWDOWN 8 /* a traced interpreter is that much slower, at the worst seen */

/* ---- what goes in ---- */

/* The replayer gets the turns and nothing else: what is graded, and how, stays outside. */
static int task_file(const json_t *task, Error *e)
{
    _cleanup_json_ json_t *shown = json_pack("{s:i s:O s:O}", "version", 1, "id", json_object_get(task, "id"), "turns",
                                             json_object_get(task, "turns"));
    _cleanup_free_ char *text = shown ? json_canonical(shown) : NULL;
    _cleanup_close_ int fd = -EBADF;
    int r;

    if (!text)
        return error_setf(e, -EINVAL, "the task has no id or no turns");
    fd = memfd_create("task", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return error_errnof(e, -errno, "memfd_create");
    r = fd_write_all(fd, text, strlen(text));
    if (r < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0 ||
        lseek(fd, 0, SEEK_SET) < 0)
        return error_errnof(e, r < 0 ? r : -errno, "cannot hand the task over");
    return TAKE_FD(fd);
}

/* The agent's environment with `more` behind it; the strings stay where they are, only the vector is new. */
static const char **environment(const Agent *agent, const char *const *more)
{
    size_t n = 0, m = 0;
    const char **env;

    while (agent->run_env[n])
        n++;
    while (more[m])
        m++;
    env = calloc(n + m + 1, sizeof(*env));
    if (env) {
        memcpy(env, agent->run_env, n * sizeof(*env));
        memcpy(env + n, more, m * sizeof(*env));
    }
    return env;
}

static int start_replayer(TrialRun *run, int base_layer, int cgroup, const char *name, Error *e)
{
    const Agent *a = run->agent;
    _cleanup_close_ int task = task_file(run->spec.task, e);
    _cleanup_free_ const char **env = NULL;
    char box_name[64], timeout[64];
    const char *const more[] = {"MOSS_TASK=/proc/self/fd/0", "MOSS_OUT=/moss/out", timeout, NULL};
    const BoxMount mounts[] = {
        {.kind = BOX_PROC, .target = "/proc"},
        {.kind = BOX_DEV, .target = "/dev"},
        {.kind = BOX_BIND, .source = a->replay_directory, .target = "/moss/replay", .read_only = true},
        {.kind = BOX_DIRECTORY, .target = "/moss/out"},
    };
    BoxSpec spec = {
        .name = box_name,
        .cgroup_fd = cgroup,
        .flags = BOX_LIMITS_WATCHED,
        .root = {.lowers = &base_layer, .n_lowers = 1, .upper_size = REPLAYER_DISK},
        .mounts = mounts,
        .n_mounts = ARRAY_SIZE(mounts),
        .argv = a->replay_argv,
        .hostname = "replay",
        .uid = a->run_uid,
        .gid = a->run_gid,
        .stdin_fd = task,
        .memory = REPLAYER_MEMORY,
        .processes = 64,
    };

    if (task < 0)
        return task;
    snprintf(box_name, sizeof(box_name), "%s-replay", name);
    snprintf(timeout, sizeof(timeout), "MOSS_TURN_TIMEOUT=%u",
             a->replay_turn_timeout_seconds * (run->spec.trace ? TRACE_SLOWDOWN : 1));
    env = environment(a, more);
    if (!env)
        return -ENOMEM;
    spec.env = env;
    return box_start(&spec, &run->replayer, e);
}

/* The tracer is the operator's and runs in the agent's place: it may write what it found, and what it is made of may be run. */
typedef struct TracerRules {
    LandlockPlan plan;
    const char **write, **execute;
} TracerRules;

static void tracer_rules_done(TracerRules *t)
{
    free(t->write);
    free(t->execute);
}

/* `paths` and one more, where there is a list at all. */
static int one_more(const char *const *paths, const char *path, const char ***ret)
{
    size_t n = 0;

    if (!paths)
        return 0;
    while (paths[n])
        n++;
    *ret = calloc(n + 2, sizeof(**ret));
    if (!*ret)
        return -ENOMEM;
    memcpy(*ret, paths, n * sizeof(**ret));
    (*ret)[n] = path;
    return 0;
}

static int tracer_rules(const LandlockPlan *plan, TracerRules *t)
{
    int r = one_more(plan->write, "/moss/trace", &t->write);

    if (r >= 0)
        r = one_more(plan->execute, "/moss/replay", &t->execute);
    t->plan = *plan;
    t->plan.write = t->write;
    t->plan.execute = t->execute;
    return r;
}

static int start_candidate(TrialRun *run, int cgroup, const char *name, int log, Error *e)
{
    const Agent *a = run->agent;
    _cleanup_(tracer_rules_done) TracerRules tracer = {};
    _cleanup_free_ const char **env = NULL;
    char box_name[64], generation[96], nonce[48];
    uint64_t random[2];
    const char *const more[] = {generation, nonce, "MOSS_TRIAL=1", NULL};
    const BoxMount mounts[] = {
        {.kind = BOX_PROC, .target = "/proc"},
        {.kind = BOX_DEV, .target = "/dev"},
        {.kind = BOX_TMPFS, .target = "/tmp", .size = a->limit_disk, .mode = 01777},
        {.kind = BOX_DIRECTORY, .target = a->state_path},
        /* Only when lines are traced: the tracer is the operator's, and lies beside the replay driver. */
        {.kind = BOX_DIRECTORY, .target = "/moss/trace"},
        {.kind = BOX_BIND, .source = a->replay_directory, .target = "/moss/replay", .read_only = true},
    };
    BoxSpec spec = {
        .name = box_name,
        .cgroup_fd = cgroup,
        .flags = BOX_LIMITS_WATCHED,
        .root = {.lowers = run->spec.lowers, .n_lowers = run->spec.n_lowers, .upper_size = a->limit_disk},
        .mounts = mounts,
        .n_mounts = run->spec.trace ? ARRAY_SIZE(mounts) : ARRAY_SIZE(mounts) - 2,
        .argv = run->spec.trace ? a->trace_argv : a->run_argv,
        .cwd = a->run_cwd,
        .hostname = a->name,
        .uid = a->run_uid,
        .gid = a->run_gid,
        .stdout_fd = log,
        .stderr_fd = log,
        .join = run->replayer,
        .landlock = a->landlock,
        .memory = a->limit_memory,
        .processes = a->limit_processes,
    };

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return error_errnof(e, -errno, "getrandom");
    snprintf(box_name, sizeof(box_name), "%s-agent", name);
    snprintf(generation, sizeof(generation), "MOSS_GENERATION=%s", run->spec.generation);
    snprintf(nonce, sizeof(nonce), "MOSS_NONCE=%016llx%016llx", (unsigned long long) random[0],
             (unsigned long long) random[1]);
    env = environment(a, more);
    if (!env || (a->landlock && run->spec.trace && tracer_rules(a->landlock, &tracer) < 0))
        return -ENOMEM;
    spec.env = env;
    if (a->landlock && run->spec.trace)
        spec.landlock = &tracer.plan;
    return box_start(&spec, &run->candidate, e);
}

/* ---- how it ends ---- */

static void drain_log(TrialRun *run)
{
    char buf[4096];
    ssize_t n;

    /* A bounded number of reads: a candidate that never stops printing must not hold up the others. */
    for (unsigned i = 0; run->log_fd >= 0 && i < 64; i++) {
        n = read(run->log_fd, buf, sizeof(buf));
        if (n < 0)
            return;
        if (n == 0) {
            fd_closep(&run->log_fd);
            return;
        }
        if (run->log_len + (size_t) n > sizeof(run->log)) {
            size_t keep = sizeof(run->log) - (size_t) n;

            keep = MIN(keep, run->log_len);
            memmove(run->log, run->log + run->log_len - keep, keep);
            run->log_len = keep;
        }
        memcpy(run->log + run->log_len, buf, (size_t) n);
        run->log_len += (size_t) n;
    }
}

static int read_left_behind(Box *box, const char *path, size_t max, char **ret, size_t *ret_len)
{
    _cleanup_close_ int fd = openat_beneath(box_upper_fd(box), path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) ? file_read_fd(fd, max, ret, ret_len) : -EINVAL;
}

static void collect_executed(TrialRun *run)
{
    _cleanup_free_ char *text = NULL;
    char *line, *rest;

    run->result.executed = json_array();
    if (!run->result.executed ||
        read_left_behind(run->candidate, "moss/trace/executed.txt", EXECUTED_MAX, &text, NULL) < 0)
        return;
    rest = text;
    while (json_array_size(run->result.executed) < EXECUTED_LINES_MAX && (line = strsep(&rest, "\n")))
        if (*line)
            (void) json_array_append_new(run->result.executed, json_string(line)); /* what is no UTF-8 is left out */
}

static int collect_transcript(TrialRun *run, const BoxResult *replayer)
{
    TrialResult *res = &run->result;
    _cleanup_free_ char *text = NULL;
    Error why = {};
    size_t len;
    int r;

    res->end = TRIAL_BAD_TRANSCRIPT;
    if (replayer->end != BOX_EXITED || replayer->status != 0) {
        snprintf(res->why, sizeof(res->why), "the replay driver ended with %s %d",
                 replayer->end == BOX_EXITED ? "status" : "signal", replayer->status);
        return 0;
    }
    r = read_left_behind(run->replayer, "moss/out/transcript.json", TRANSCRIPT_MAX, &text, &len);
    if (r < 0) {
        snprintf(res->why, sizeof(res->why), "transcript.json: %s", strerror(-r));
        return 0;
    }
    r = json_parse(text, len, "transcript.json", &res->transcript, &why);
    if (r >= 0)
        r = grade_transcript(run->spec.task, res->transcript, &res->grades, &res->score, &res->passed, &why);
    if (r == -EBADMSG)
        snprintf(res->why, sizeof(res->why), "%.*s", (int) sizeof(res->why) - 1, why.text);
    if (r < 0)
        return r == -EBADMSG ? 0 : r;
    res->end = TRIAL_DONE;
    return 0;
}

static int finish(TrialRun *run, Error *e)
{
    TrialResult *res = &run->result;
    BoxResult agent = {}, replayer = {};
    int r = 0, q = 0;

    drain_log(run);
    if (run->candidate) {
        r = box_kill(run->candidate);
        q = box_wait(run->candidate, UINT64_MAX, &agent, e);
    }
    if (run->replayer && r >= 0 && q >= 0) {
        r = box_kill(run->replayer);
        q = box_wait(run->replayer, UINT64_MAX, &replayer, e);
    }
    if (r < 0 || q < 0)
        return r < 0 ? error_errnof(e, r, "cannot end a trial") : q;
    drain_log(run);
    if (agent.end == BOX_OUT_OF_MEMORY && res->end != TRIAL_DONE) {
        res->end = TRIAL_OUT_OF_MEMORY;
        snprintf(res->why, sizeof(res->why), "over its memory limit of %llu bytes",
                 (unsigned long long) run->agent->limit_memory);
    }
    if (run->spec.trace && run->candidate)
        collect_executed(run);
    res->wall_usec = clock_now() - run->began;
    res->cpu_usec = agent.cpu_usec + replayer.cpu_usec;
    res->memory_peak = agent.memory_peak;
    res->memory_by_cgroup = agent.memory_by_cgroup;
    res->processes_by_cgroup = agent.processes_by_cgroup;
    res->log = strndup(run->log, run->log_len);
    run->candidate = box_free(run->candidate);
    run->replayer = box_free(run->replayer);
    fd_closep(&run->log_fd);
    run->over = true;
    return res->log ? 0 : -ENOMEM;
}

/* ---- the machine ---- */

int trial_run_start(TrialRun *run, int base_layer, int cgroup, const char *name, Error *e)
{
    _cleanup_close_ int log = -EBADF;
    uint64_t limit =
        run->spec.timeout_usec ? run->spec.timeout_usec : run->agent->replay_timeout_seconds * USEC_PER_SEC;
    TrialResult *res = &run->result;
    Error why = {};
    int fds[2], r;

    run->log_fd = -EBADF;
    run->began = clock_now();
    run->deadline = run->began + limit * (run->spec.trace ? TRACE_SLOWDOWN : 1);
    *res = (TrialResult){.cookie = run->spec.cookie, .repeat = run->spec.repeat, .end = TRIAL_AGENT_ENDED};
    res->task = json_incref((json_t *) run->spec.task);
    res->label = strdup(run->spec.label ? run->spec.label : "");
    if (!res->label)
        return -ENOMEM;
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_errnof(e, -errno, "pipe");
    run->log_fd = fds[0];
    log = fds[1];
    /* The candidate gets a pipe that blocks: it waits for us, it does not lose what it prints. */
    if (fcntl(log, F_SETFL, 0) < 0)
        return error_errnof(e, -errno, "pipe");
    r = start_replayer(run, base_layer, cgroup, name, e);
    if (r < 0)
        return error_wrapf(e, r, "cannot start the replay driver");
    r = start_candidate(run, cgroup, name, log, &why);
    if (r >= 0)
        return 0;
    if (r == -ESRCH) { /* what it was to join has ended: there is nothing to wait for */
        BoxResult replayer;

        r = box_wait(run->replayer, UINT64_MAX, &replayer, e);
        if (r >= 0)
            r = collect_transcript(run, &replayer);
        return r < 0 ? r : finish(run, e);
    }
    /* A program that is not there, or no program: that is what the candidate is, not what the host could not do. */
    if (r == -ENOENT || r == -EACCES || r == -ENOEXEC || r == -ENOTDIR || r == -ELOOP || r == -ELIBBAD) {
        snprintf(res->why, sizeof(res->why), "%.*s", (int) sizeof(res->why) - 1, why.text);
        return finish(run, e);
    }
    if (e)
        *e = why;
    return error_wrapf(e, r, "cannot start the agent");
}

void trial_run_poll(const TrialRun *run, struct pollfd fds[static TRIAL_POLL_FDS], uint64_t *deadline)
{
    fds[0] = (struct pollfd){.fd = box_pidfd(run->replayer), .events = POLLIN};
    fds[1] = (struct pollfd){.fd = box_pidfd(run->candidate), .events = POLLIN};
    fds[2] = (struct pollfd){.fd = run->log_fd, .events = POLLIN};
    *deadline = MIN(*deadline, MIN(run->deadline, clock_now() + WATCH_USEC));
}

int trial_run_step(TrialRun *run, Error *e)
{
    TrialResult *res = &run->result;
    BoxResult box;
    int r;

    drain_log(run);
    r = box_wait(run->replayer, 0, &box, e);
    if (r >= 0) {
        r = collect_transcript(run, &box);
        return r < 0 ? r : finish(run, e);
    }
    if (r != -ETIMEDOUT)
        return r;
    r = box_wait(run->candidate, 0, &box, e);
    if (r >= 0) {
        res->end = TRIAL_AGENT_ENDED;
        snprintf(res->why, sizeof(res->why), "the agent ended before the replay was over: %s %d",
                 box.end == BOX_EXITED ? "exit status" : "signal", box.status);
        return finish(run, e);
    }
    if (r != -ETIMEDOUT)
        return r;
    if (clock_now() < run->deadline)
        return 0;
    res->end = TRIAL_TIMED_OUT;
    snprintf(res->why, sizeof(res->why), "not over after %llu ms",
             (unsigned long long) ((run->deadline - run->began) / USEC_PER_MSEC));
    return finish(run, e);
}

void trial_run_done(TrialRun *run)
{
    run->candidate = box_free(run->candidate);
    run->replayer = box_free(run->replayer);
    fd_closep(&run->log_fd);
    trial_result_done(&run->result);
    json_decref((json_t *) run->spec.task);
}
