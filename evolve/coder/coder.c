/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/coder.h"

#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "evolve/coder/adapter.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define FRAME "coder-root"
#define CODER_UID 1000
#define CODER_MEMORY ((uint64_t) 2 << 30)
#define CODER_PROCESSES 128
#define LOG_MAX ((size_t) 16 << 10)
#define WATCH_MSEC 40
#define CANDIDATES_MAX ((size_t) 64 << 20)

static const CoderAdapter *const adapters[] = {&coder_search, &coder_command};

static const CoderAdapter *adapter_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(adapters); i++)
        if (streq(adapters[i]->name, name))
            return adapters[i];
    return NULL;
}

int coder_preflight(const char *name, const Agent *agent, Error *e)
{
    const CoderAdapter *a = adapter_find(name);

    if (!a)
        return error_setf(e, -EINVAL, "\"%.60s\" is no coding agent's adapter; there are \"search\" and \"command\"",
                          name);
    return a->preflight(agent, e);
}

const char *coder_role_name(CoderRole role)
{
    static const char *const names[] = {"locate", "plan", "plan-review", "implement", "code-review"};

    return names[role];
}

void coder_answer_done(CoderAnswer *a)
{
    json_decref(a->result);
    json_decref(a->candidates);
    free(a->log);
    *a = (CoderAnswer){};
}

/* ---- the conversation ---- */

typedef struct Talk {
    int out, err;     /* our ends, non-blocking; -EBADF after the end */
    StrBuf said;      /* standard output */
    size_t events_at; /* up to where it was looked through for events */
    char log[2 * LOG_MAX];
    size_t log_len;
    bool flooded;
} Talk;

static void talk_done(Talk *t)
{
    fd_closep(&t->out);
    fd_closep(&t->err);
    strbuf_done(&t->said);
}

static void talk_log(Talk *t, const char *data, size_t n)
{
    if (n > LOG_MAX) {
        data += n - LOG_MAX;
        n = LOG_MAX;
    }
    if (t->log_len + n > sizeof(t->log)) {
        memmove(t->log, t->log + t->log_len - LOG_MAX, LOG_MAX);
        t->log_len = LOG_MAX;
    }
    memcpy(t->log + t->log_len, data, n);
    t->log_len += n;
}

static void talk_events(Talk *t, const CoderSpec *spec)
{
    for (;;) {
        const char *line = t->said.data + t->events_at, *nl;
        json_t *o = NULL;

        nl = t->said.len > t->events_at ? memchr(line, '\n', t->said.len - t->events_at) : NULL;
        if (!nl)
            return;
        if (spec->event && json_parse(line, (size_t) (nl - line), "event", &o, NULL) >= 0 &&
            json_object_get(o, "event"))
            spec->event(o, spec->userdata);
        json_decref(o);
        t->events_at += (size_t) (nl - line) + 1;
    }
}

/* Takes what is there. Closes the fd at its end. */
static int talk_read(Talk *t, int *fd, const CoderSpec *spec)
{
    char buf[16384];
    ssize_t n;

    while (*fd >= 0 && (n = read(*fd, buf, sizeof(buf))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        if (fd == &t->err) {
            talk_log(t, buf, (size_t) n);
            continue;
        }
        if (t->said.len + (size_t) n > CODER_OUTPUT_MAX) {
            t->flooded = true;
            return 0;
        }
        if (strbuf_add(&t->said, buf, (size_t) n) < 0)
            return -ENOMEM;
        talk_events(t, spec);
    }
    fd_closep(fd);
    return 0;
}

/* Until PID 1 of the box has ended, or must not go on: 1 it ended, 0 the time is over or it said too much, -ECANCELED, -errno. */
static int talk_run(Talk *t, Box *box, const CoderSpec *spec, uint64_t deadline)
{
    for (;;) {
        struct pollfd p[] = {{t->out, POLLIN, 0}, {t->err, POLLIN, 0}, {box_pidfd(box), POLLIN, 0}};
        bool ended;
        int r;

        if (poll(p, ARRAY_SIZE(p), MIN(WATCH_MSEC, clock_poll_timeout(deadline))) < 0 && errno != EINTR)
            return -errno;
        ended = p[2].revents;
        if ((r = talk_read(t, &t->out, spec)) < 0 || (r = talk_read(t, &t->err, spec)) < 0)
            return r;
        if (ended && !t->flooded)
            return 1;
        if (spec->stop && *spec->stop)
            return -ECANCELED;
        if (t->flooded || clock_now() >= deadline)
            return 0;
        r = box_watch(box);
        if (r < 0)
            return r;
    }
}

/* ---- the box ---- */

/* The request on an fd that is at its end after it: a sealed file, so that nobody has to be there to write it. */
static int request_fd(const CoderSpec *spec, Error *e)
{
    _cleanup_close_ int fd = memfd_create("request", MFD_CLOEXEC);
    _cleanup_json_ json_t *o = json_pack(
        "{s:i, s:s, s:i, s:i, s:s, s:s, s:s, s:{s:i, s:i}}", "version", 1, "role", coder_role_name(spec->role),
        "iteration", (int) spec->iteration, "round", (int) spec->round, "worktree", "/work", "evidence", "/evidence",
        "out", "/out", "limits", "candidates", (int) spec->max_candidates, "seconds", (int) spec->seconds);
    _cleanup_free_ char *text = o ? json_canonical(o) : NULL;
    int r;

    if (fd < 0)
        return error_errnof(e, -errno, "cannot make a request for the coding agent");
    if (!text)
        return -ENOMEM;
    if ((r = fd_write_all(fd, text, strlen(text))) < 0 || (r = fd_write_all(fd, "\n", 1)) < 0)
        return error_errnof(e, r, "cannot make a request for the coding agent");
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errnof(e, -errno, "cannot make a request for the coding agent");
    return TAKE_FD(fd);
}

/* The top layer of the root: mount points, /out and /tmp for the coding agent's user, and what the adapter adds. */
static int frame_make(const CoderSpec *spec, Error *e)
{
    static const struct {
        const char *name;
        mode_t mode;
    } dirs[] = {{"out", 0777},   {"tmp", 01777}, {"work", 0755}, {"evidence", 0755},
                {"coder", 0755}, {"dev", 0755},  {"proc", 0755}};
    _cleanup_close_ int frame = -EBADF;
    int r = rm_rf_at(spec->scratch, FRAME);

    if (r < 0)
        return error_errnof(e, r, "cannot remove the old root of the coding agent");
    if (mkdirat(spec->scratch, FRAME, 0755) < 0)
        return error_errnof(e, -errno, "cannot make a root for the coding agent");
    frame = openat(spec->scratch, FRAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (frame < 0)
        return error_errnof(e, -errno, "cannot make a root for the coding agent");
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        if (mkdirat(frame, dirs[i].name, 0755) < 0 || fchmodat(frame, dirs[i].name, dirs[i].mode, 0) < 0)
            return error_errnof(e, -errno, "cannot make a root for the coding agent");
    if (fchmod(frame, 0755) < 0)
        return error_errnof(e, -errno, "cannot make a root for the coding agent");
    return TAKE_FD(frame);
}

static int pipe_make(int *ret_read, int *ret_write)
{
    int p[2];

    if (pipe2(p, O_CLOEXEC) < 0)
        return -errno;
    if (fcntl(p[0], F_SETFL, O_NONBLOCK) < 0) {
        close(p[0]);
        close(p[1]);
        return -errno;
    }
    *ret_read = p[0];
    *ret_write = p[1];
    return 0;
}

static int box_for(const CoderSpec *spec, const CoderBox *plan, int frame, Talk *t, Box **ret, Error *e)
{
    static const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8", NULL};
    const int lowers[] = {frame, spec->base_layer};
    BoxMount mounts[5] = {
        {.kind = BOX_DEV, .target = "/dev"},
        {.kind = BOX_PROC, .target = "/proc"},
        {.kind = BOX_BIND, .source_fd = spec->worktree, .target = "/work", .read_only = spec->role != ROLE_IMPLEMENT},
        {.kind = BOX_BIND, .source_fd = spec->evidence, .target = "/evidence", .read_only = true},
        {.kind = BOX_BIND, .source = plan->directory, .target = "/coder", .read_only = true},
    };
    _cleanup_close_ int in = request_fd(spec, e), out = -EBADF, err = -EBADF;
    int r;

    if (in < 0)
        return in;
    if ((r = pipe_make(&t->out, &out)) < 0 || (r = pipe_make(&t->err, &err)) < 0)
        return error_errnof(e, r, "cannot make a pipe");
    BoxSpec box = {
        .name = "coder",
        .cgroup_fd = spec->cgroup,
        .flags = BOX_LIMITS_WATCHED,
        .root = {.lowers = lowers, .n_lowers = plan->base_root ? 2 : 1, .upper_size = CODER_OUT_MAX},
        .mounts = mounts,
        .n_mounts = ARRAY_SIZE(mounts) - (plan->directory ? 0 : 1),
        .argv = plan->argv,
        .env = env,
        .cwd = "/work",
        .hostname = "coder",
        .uid = CODER_UID,
        .gid = CODER_UID,
        .stdin_fd = in,
        .stdout_fd = out,
        .stderr_fd = err,
        .memory = CODER_MEMORY,
        .processes = CODER_PROCESSES,
    };
    return box_start(&box, ret, e);
}

/* ---- the answer ---- */

/* /out/candidates.jsonl, as the coding agent left it in the upper layer. *ret stays NULL when there is none. */
static int candidates_read(Box *box, unsigned max, json_t **ret, Error *e)
{
    _cleanup_close_ int fd =
        openat_beneath(box_upper_fd(box), "out/candidates.jsonl", O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    _cleanup_free_ char *text = NULL;
    struct stat st;
    size_t len;
    int r;

    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return error_errnof(e, -EBADMSG, "/out/candidates.jsonl is no file (%s)", strerrorname_np(-fd));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return error_setf(e, -EBADMSG, "/out/candidates.jsonl is no regular file");
    r = file_read_fd(fd, CANDIDATES_MAX, &text, &len);
    if (r == -E2BIG)
        return error_setf(e, -EBADMSG, "/out/candidates.jsonl is larger than %zu bytes", CANDIDATES_MAX);
    if (r < 0)
        return error_errnof(e, r, "/out/candidates.jsonl");
    return coder_parse_candidates(text, len, max, ret, e);
}

static const char *log_last_line(Talk *t)
{
    char *start;

    while (t->log_len > 0 && strchr("\n\r ", t->log[t->log_len - 1]))
        t->log_len--;
    t->log_len = MIN(t->log_len, sizeof(t->log) - 1);
    t->log[t->log_len] = '\0';
    start = memrchr(t->log, '\n', t->log_len);
    return start ? start + 1 : t->log;
}

/* Why a box that has ended cannot have given an answer; NULL text when it may have. */
static int ended_badly(const BoxResult *end, Talk *t, Error *e)
{
    const char *last = log_last_line(t);

    switch (end->end) {
    case BOX_OUT_OF_MEMORY:
        return error_setf(e, -EBADMSG, "it used more than %llu MiB of memory",
                          (unsigned long long) (CODER_MEMORY >> 20));
    case BOX_SIGNALED:
        return error_setf(e, -EBADMSG, "it was ended by signal %d", end->status);
    case BOX_EXITED:
        if (end->status != 0)
            return error_setf(e, -EBADMSG, "it ended with status %d%s%.200s", end->status, *last ? ": " : "", last);
    }
    return 0;
}

static int answer_take(const CoderSpec *spec, Box *box, Talk *t, int ran, const BoxResult *end, CoderAnswer *a,
                       Error *e)
{
    int r;

    if (t->flooded)
        return error_setf(e, -EBADMSG, "it printed more than %zu bytes", CODER_OUTPUT_MAX);
    if (ran == 0)
        return error_setf(e, -EBADMSG, "it was not done after %u s", spec->seconds);
    r = ended_badly(end, t, e);
    if (r < 0)
        return r;
    r = coder_parse_result(spec->role, t->said.data ?: "", t->said.len, &a->result, e);
    if (r < 0)
        return r;
    if (spec->role == ROLE_IMPLEMENT)
        return candidates_read(box, spec->max_candidates, &a->candidates, e);
    return 0;
}

int coder_run(const CoderSpec *spec, CoderAnswer *ret, Error *e)
{
    const CoderAdapter *adapter = adapter_find(spec->adapter);
    _cleanup_(coder_answer_done) CoderAnswer a = {};
    _cleanup_(talk_done) Talk talk = {.out = -EBADF, .err = -EBADF};
    _cleanup_close_ int frame = -EBADF;
    _cleanup_(box_freep) Box *box = NULL;
    uint64_t began = clock_now();
    BoxResult end = {};
    CoderBox plan = {};
    Error why = {};
    int ran, r;

    r = coder_preflight(spec->adapter, spec->agent, e);
    if (r < 0)
        return r;
    frame = frame_make(spec, e);
    if (frame < 0)
        return frame;
    if ((r = adapter->prepare(spec, frame, &plan, e)) < 0 || (r = box_for(spec, &plan, frame, &talk, &box, e)) < 0)
        return error_wrapf(e, r, "cannot start the coding agent");
    ran = talk_run(&talk, box, spec, began + spec->seconds * USEC_PER_SEC);
    if (ran < 0)
        return error_errnof(e, ran, "the coding agent (%s)", coder_role_name(spec->role));
    if (ran == 0 && (r = box_kill(box)) < 0)
        return error_errnof(e, r, "cannot kill the coding agent");
    r = box_wait(box, clock_now() + 10 * USEC_PER_SEC, &end, e);
    if (r < 0)
        return r;
    r = answer_take(spec, box, &talk, ran, &end, &a, &why);
    if (r < 0 && r != -EBADMSG)
        return error_wrapf(e, r, "%s", why.text);
    a.ok = r >= 0;
    if (!a.ok)
        snprintf(a.why, sizeof(a.why), "%.399s", why.text);
    a.log = strndup(talk.log, talk.log_len);
    a.wall_usec = clock_now() - began;
    a.cpu_usec = end.cpu_usec;
    *ret = a;
    a = (CoderAnswer){};
    return 0;
}
