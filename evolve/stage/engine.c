/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an engine: what it holds, how an evolution begins or is taken up again. walk.c goes through the stages. */
#include "evolve/stage/engine.h"

#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "evolve/stage/internal.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/process.h"
#include "runtime/base/strbuf.h"
#include "runtime/box/cgroup.h"
#include "shim/client/client.h"

#define LOCK_FILE "evolution.lock"
#define WORKTREES "worktrees"
#define LOCK_WAIT_USEC (10 * USEC_PER_SEC)

/* ---- the lock ---- */

static pid_t lock_pid(int fd)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    return n > 0 ? (pid_t) strtol(text, NULL, 10) : 0;
}

static bool process_ended(pid_t pid)
{
    _cleanup_close_ int pidfd = pid > 0 ? pidfd_open_cloexec(pid) : -ESRCH;
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    return pidfd == -ESRCH || (pidfd >= 0 && poll(&p, 1, 0) > 0);
}

/* A walk that was killed leaves children behind for a moment, which hold its lock until they notice. */
static int lock_wait(int fd, const char *directory, Error *e)
{
    uint64_t deadline = clock_now() + LOCK_WAIT_USEC;

    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return error_errnof(e, -errno, "cannot lock %s/" LOCK_FILE, directory);
        if (!process_ended(lock_pid(fd)) || clock_now() >= deadline)
            return error_setf(e, -EBUSY, "process %d walks an evolution of this agent already; `moss evo stop` ends it",
                              (int) lock_pid(fd));
        (void) poll(NULL, 0, 20);
    }
    return 0;
}

static int lock_take(int dir, const char *directory, Error *e)
{
    _cleanup_close_ int fd = openat(dir, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    char text[32];
    int n, r;

    if (fd < 0)
        return error_errnof(e, -errno, "%s/" LOCK_FILE, directory);
    r = lock_wait(fd, directory, e);
    if (r < 0)
        return r;
    n = snprintf(text, sizeof(text), "%d\n", (int) getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t) n, 0) != n)
        return error_errnof(e, -errno, "%s/" LOCK_FILE, directory);
    return TAKE_FD(fd);
}

int engine_running(const char *agent_directory, pid_t *ret_pid, Error *e)
{
    _cleanup_free_ char *path = xasprintf("%s/" LOCK_FILE, agent_directory);
    _cleanup_close_ int fd = -EBADF;

    if (!path)
        return -ENOMEM;
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT)
        return error_errnof(e, -errno, "%s", path);
    /* A shared lock does not disturb the next who wants it for long, and tells whether one holds it. */
    if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0) {
        *ret_pid = 0;
        return 0;
    }
    if (errno != EWOULDBLOCK)
        return error_errnof(e, -errno, "%s", path);
    *ret_pid = lock_pid(fd);
    return 0;
}

/* ---- opening and closing ---- */

Engine *engine_free(Engine *g)
{
    if (!g)
        return NULL;
    if (g->cgroup > 0) {
        (void) cgroup_kill(g->cgroup, 5 * USEC_PER_SEC);
        (void) cgroup_remove(g->cgroup_base, g->cgroup_name, NULL);
        close(g->cgroup);
    }
    if (g->cgroup_base > 0)
        close(g->cgroup_base);
    tasks_free(g);
    for (size_t i = 0; g->layers && g->incumbent && i < g->incumbent->n_layers; i++)
        fd_closep(&g->layers[i]);
    free(g->layers);
    generation_free(g->incumbent);
    batch_free(g->batch);
    fd_closep(&g->evidence);
    fd_closep(&g->worktrees);
    if (g->lock >= 0)
        (void) rm_rf_at(g->dir, WORKTREES);
    store_free(g->store);
    ledger_free(g->ledger);
    fd_closep(&g->lock);
    fd_closep(&g->dir);
    free(g->directory);
    free(g);
    return NULL;
}

/* The cgroup of all that an evolution of this agent starts. Whatever is in it belongs to a walk that was killed: it goes first. */
static int cgroup_open(Engine *g, Error *e)
{
    Error why = {};
    int base = cgroup_open_base(&why), fd, r;
    char digest[DIGEST_SIZE];

    if (base == -EOPNOTSUPP)
        return 0;
    if (base < 0)
        return error_setf(e, base, "%s", why.text);
    g->cgroup_base = base;
    /* Two stores may each have an agent of this name. */
    hash_buffer(g->directory, strlen(g->directory), digest);
    snprintf(g->cgroup_name, sizeof(g->cgroup_name), "evo-%s-%.8s", g->agent->name, digest);
    r = cgroup_remove(base, g->cgroup_name, e);
    if (r < 0)
        return r;
    fd = cgroup_make(base, g->cgroup_name, e);
    if (fd < 0)
        return fd;
    g->cgroup = fd;
    return 0;
}

static int worktrees_open(Engine *g, Error *e)
{
    int r = rm_rf_at(g->dir, WORKTREES);

    if (r < 0)
        return error_errnof(e, r, "cannot remove %s/" WORKTREES, g->directory);
    if (mkdirat(g->dir, WORKTREES, 0700) < 0)
        return error_errnof(e, -errno, "cannot make %s/" WORKTREES, g->directory);
    g->worktrees = openat(g->dir, WORKTREES, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return g->worktrees < 0 ? error_errnof(e, -errno, "%s/" WORKTREES, g->directory) : 0;
}

Engine *engine_new(void)
{
    Engine *g = calloc(1, sizeof(*g));

    if (g)
        g->dir = g->lock = g->worktrees = g->evidence = -EBADF;
    return g;
}

int engine_open(const EngineOptions *o, Engine **ret, Error *e)
{
    _cleanup_(engine_freep) Engine *g = engine_new();
    _cleanup_free_ char *path = NULL;
    int r;

    if (!g)
        return -ENOMEM;
    g->o = *o;
    g->agent = o->agent;
    g->began = clock_now();
    if (g->o.jobs == 0)
        g->o.jobs = 2 * (unsigned) MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
    path = xasprintf("%s/agents/%s", o->store_path, o->agent->name);
    g->directory = path ? realpath(path, NULL) : NULL;
    if (!g->directory)
        return path ? error_errnof(e, -errno, "%s", path) : -ENOMEM;
    g->dir = r = agent_open_directory(o->store_path, o->agent->name, e);
    if (r < 0)
        return r;
    g->lock = r = lock_take(g->dir, g->directory, e);
    if (r < 0)
        return r;
    if ((r = store_open(o->store_path, &g->store, e)) < 0 || (r = ledger_open(g->directory, &g->ledger, e)) < 0 ||
        (r = cgroup_open(g, e)) < 0 || (r = worktrees_open(g, e)) < 0)
        return r;
    *ret = TAKE_PTR(g);
    return 0;
}

/* ---- beginning ---- */

static int incumbent_load(Engine *g, const char *generation, Error *e)
{
    int r = generation_load(g->store, generation, &g->incumbent, e);

    if (r < 0)
        return error_wrapf(e, r, "cannot load the generation that runs");
    g->layers = calloc(g->incumbent->n_layers, sizeof(*g->layers));
    if (!g->layers)
        return -ENOMEM;
    for (size_t i = 0; i < g->incumbent->n_layers; i++)
        g->layers[i] = -EBADF;
    return generation_open_layers(g->store, g->incumbent, g->layers, e);
}

/* The newest evolution and its position; *ret_found false when there is none, or when it was killed before its first step. */
static int newest_position(Engine *g, bool *ret_found, Position *ret, Error *e)
{
    _cleanup_json_ json_t *ids = NULL, *o = NULL;
    const char *id;
    int r = ledger_evolutions(g->ledger, &ids, e);

    if (r < 0)
        return r;
    *ret_found = false;
    if (json_array_size(ids) == 0)
        return 0;
    id = json_string_value(json_array_get(ids, json_array_size(ids) - 1));
    Error why = {};
    r = ledger_read_json(g->ledger, id, "position.json", &o, &why);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return error_setf(e, r, "%s", why.text);
    r = position_parse(o, ret, e);
    if (r < 0)
        return error_wrapf(e, r, "%s", id);
    *ret_found = true;
    return 0;
}

/* The batch to work on, sealed now if need be. */
static int batch_choose(Engine *g, char ret[static BATCH_ID_SIZE], Error *e)
{
    _cleanup_json_ json_t *batch = NULL;
    char id[BATCH_ID_SIZE] = "";
    int r = batch_find(g->dir, g->o.batch, g->o.batch ? NULL : batch_state_name(BATCH_SEALED), &batch, e);

    if (r < 0)
        return r;
    if (batch)
        snprintf(id, sizeof(id), "%s", json_string_value(json_object_get(batch, "id")));
    else {
        r = batch_seal(g->o.store_path, g->agent, g->p.base_generation, g->p.base_commit, id, e);
        if (r < 0)
            return error_wrapf(e, r, "there is nothing to fix");
        if (g->o.batch && !streq(id, g->o.batch))
            return error_setf(e, -ENOENT, "there is no batch %.40s; the open one was sealed as %s", g->o.batch, id);
    }
    memcpy(ret, id, BATCH_ID_SIZE);
    return 0;
}

static int evolution_begin(Engine *g, Error *e)
{
    _cleanup_free_ char *generation = NULL;
    _cleanup_(ledger_step_done) LedgerStep step = {};
    Position *p = &g->p;
    int64_t epoch;
    int r;

    *p = (Position){.stage = STAGE_BASELINE, .baseline_score = -1, .best_score = -1, .coder_end = CODER_DELIVERED};
    p->depth = depth_find(g->o.depth ? g->o.depth : "standard");
    if (!p->depth)
        return error_setf(e, -EINVAL, "\"%.40s\" is no depth; there are shallow, standard and deep", g->o.depth);
    p->seconds = g->o.seconds ? g->o.seconds : p->depth->seconds;
    p->trials = p->depth->trials;
    p->candidates = p->depth->candidates;
    snprintf(p->adapter, sizeof(p->adapter), "%s", g->o.coder ? g->o.coder : g->agent->coder_adapter);
    clock_iso8601(p->started);
    r = coder_preflight(p->adapter, g->agent, e);
    if (r < 0)
        return r;
    r = shim_head(g->o.store_path, g->agent->name, &generation, &epoch, e);
    if (r < 0)
        return r;
    r = incumbent_load(g, generation, e);
    if (r < 0)
        return r;
    snprintf(p->base_generation, sizeof(p->base_generation), "%s", generation);
    snprintf(p->base_commit, sizeof(p->base_commit), "%s", g->incumbent->commit);
    snprintf(p->work, sizeof(p->work), "%s", g->incumbent->commit);
    if ((r = batch_choose(g, p->batch, e)) < 0 || (r = batch_load(g->dir, p->batch, &g->batch, e)) < 0)
        return r;
    if ((r = ledger_begin(g->ledger, "begin", p->evolution, e)) < 0)
        return r;
    ledger_put_json(&step, "batch.json", g->batch->json);
    r = engine_commit(g, &step, "begin", e);
    if (r < 0)
        return r;
    return batch_set_state(g->dir, p->batch, BATCH_RUNNING, p->evolution, e);
}

static int evolution_resume(Engine *g, Error *e)
{
    int r;

    if (g->o.batch && !streq(g->o.batch, g->p.batch))
        return error_setf(e, -EBUSY, "evolution %s of batch %s is not finished; `moss evo restart` gives it up",
                          g->p.evolution, g->p.batch);
    if (g->o.coder)
        snprintf(g->p.adapter, sizeof(g->p.adapter), "%s", g->o.coder);
    if (g->o.seconds)
        g->p.seconds = g->o.seconds;
    r = coder_preflight(g->p.adapter, g->agent, e);
    if (r < 0)
        return r;
    g->resumed = true;
    g->used_before = g->p.used.wall_usec;
    if ((r = batch_load(g->dir, g->p.batch, &g->batch, e)) < 0 || (r = incumbent_load(g, g->p.base_generation, e)) < 0)
        return r;
    if (g->p.stage != STAGE_BASELINE && (r = tasks_load(g, e)) < 0)
        return r;
    return batch_set_state(g->dir, g->p.batch, BATCH_RUNNING, g->p.evolution, e);
}

/* An unfinished evolution that nobody wants to go on. */
static int evolution_give_up(Engine *g, Error *e)
{
    _cleanup_(ledger_step_done) LedgerStep step = {};
    int r;

    g->used_before = g->p.used.wall_usec;
    g->p.stage = STAGE_END;
    snprintf(g->p.end, sizeof(g->p.end), "STOPPED");
    snprintf(g->p.why, sizeof(g->p.why), "given up for a new one");
    clock_iso8601(g->p.ended);
    r = engine_commit(g, &step, "given up", e);
    if (r < 0)
        return r;
    return batch_set_state(g->dir, g->p.batch, BATCH_SEALED, NULL, e);
}

int engine_start(Engine *g, Error *e)
{
    bool found;
    int r = newest_position(g, &found, &g->p, e);

    if (r < 0)
        return r;
    if (found && !position_unfinished(&g->p) && (r = engine_end_batch(g, e)) < 0)
        return r;
    if (found && position_unfinished(&g->p)) {
        if (!g->o.fresh)
            return evolution_resume(g, e);
        r = evolution_give_up(g, e);
        if (r < 0)
            return r;
        g->used_before = 0;
    }
    return evolution_begin(g, e);
}

bool engine_resumed(const Engine *g)
{
    return g->resumed;
}

const char *engine_evolution(const Engine *g)
{
    return g->p.evolution;
}
