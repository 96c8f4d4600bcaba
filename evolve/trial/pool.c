/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/trial/run.h"

#include "runtime/base/clock.h"

/* A slot of the pool is free, or a trial runs in it, or its result waits to be fetched. What is queued waits in order. */
typedef struct Queued {
    struct Queued *next;
    TrialSpec spec;
} Queued;

struct TrialPool {
    const Agent *agent;
    int base_layer, cgroup;
    unsigned jobs;
    unsigned started;   /* names the boxes */
    TrialRun **runs;    /* `jobs` slots, NULL: free */
    struct pollfd *fds; /* room for all slots' */
    Queued *first, *last;
    size_t n_queued, n_running;
};

int trial_pool_new(const Agent *agent, int base_layer, int cgroup, unsigned jobs, TrialPool **ret, Error *e)
{
    _cleanup_(trial_pool_freep) TrialPool *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return error_errnof(e, -ENOMEM, "no trials");
    *pool = (TrialPool){.agent = agent, .base_layer = base_layer, .cgroup = cgroup, .jobs = MAX(jobs, 1U)};
    pool->runs = calloc(pool->jobs, sizeof(*pool->runs));
    pool->fds = calloc((size_t) pool->jobs * TRIAL_POLL_FDS, sizeof(*pool->fds));
    if (!pool->runs || !pool->fds)
        return error_errnof(e, -ENOMEM, "no trials");
    *ret = TAKE_PTR(pool);
    return 0;
}

int trial_pool_submit(TrialPool *pool, const TrialSpec *spec, Error *e)
{
    Queued *q;

    if (spec->trace && !pool->agent->trace_argv)
        return error_setf(e, -EINVAL, "agent.json: replay.traceCommand is missing, so nothing can be traced");
    q = calloc(1, sizeof(*q));
    if (!q)
        return error_errnof(e, -ENOMEM, "no trial");
    q->spec = *spec;
    json_incref((json_t *) spec->task);
    if (pool->last)
        pool->last->next = q;
    else
        pool->first = q;
    pool->last = q;
    pool->n_queued++;
    return 0;
}

size_t trial_pool_pending(const TrialPool *pool)
{
    return pool->n_queued + pool->n_running;
}

static TrialSpec dequeue(TrialPool *pool)
{
    Queued *q = pool->first;
    TrialSpec spec = q->spec;

    pool->first = q->next;
    if (!pool->first)
        pool->last = NULL;
    pool->n_queued--;
    free(q);
    return spec;
}

static void free_slot(TrialPool *pool, unsigned slot)
{
    trial_run_done(pool->runs[slot]);
    free(pool->runs[slot]);
    pool->runs[slot] = NULL;
    pool->n_running--;
}

static int fill(TrialPool *pool, Error *e)
{
    for (unsigned i = 0; i < pool->jobs && pool->first; i++) {
        char name[32];
        TrialRun *run;
        int r;

        if (pool->runs[i])
            continue;
        run = calloc(1, sizeof(*run));
        if (!run)
            return error_errnof(e, -ENOMEM, "no trial");
        run->agent = pool->agent;
        run->spec = dequeue(pool);
        pool->runs[i] = run;
        pool->n_running++;
        snprintf(name, sizeof(name), "trial-%u", ++pool->started);
        r = trial_run_start(run, pool->base_layer, pool->cgroup, name, e);
        if (r < 0) {
            free_slot(pool, i);
            return r;
        }
    }
    return 0;
}

/* Waits until something happens in one of the running trials, and lets each look. */
static int step(TrialPool *pool, Error *e)
{
    uint64_t deadline = UINT64_MAX;
    nfds_t n = 0;

    for (unsigned i = 0; i < pool->jobs; i++) {
        if (!pool->runs[i])
            continue;
        trial_run_poll(pool->runs[i], pool->fds + n, &deadline);
        n += TRIAL_POLL_FDS;
    }
    if (poll(pool->fds, n, clock_poll_timeout(deadline)) < 0 && errno != EINTR)
        return error_errnof(e, -errno, "poll");
    for (unsigned i = 0; i < pool->jobs; i++) {
        int r = pool->runs[i] && !pool->runs[i]->over ? trial_run_step(pool->runs[i], e) : 0;

        if (r < 0) {
            free_slot(pool, i);
            return r;
        }
    }
    return 0;
}

static bool take_finished(TrialPool *pool, TrialResult *ret)
{
    for (unsigned i = 0; i < pool->jobs; i++) {
        if (!pool->runs[i] || !pool->runs[i]->over)
            continue;
        *ret = pool->runs[i]->result;
        pool->runs[i]->result = (TrialResult){};
        free_slot(pool, i);
        return true;
    }
    return false;
}

int trial_pool_next(TrialPool *pool, TrialResult *ret, Error *e)
{
    int r;

    if (trial_pool_pending(pool) == 0)
        return -ENODATA;
    for (;;) {
        r = fill(pool, e);
        if (r < 0)
            return r;
        if (take_finished(pool, ret))
            return 0;
        r = step(pool, e);
        if (r < 0)
            return r;
    }
}

void trial_pool_cancel(TrialPool *pool, const void *cookie)
{
    Queued **link = &pool->first;

    pool->last = NULL;
    while (*link) {
        Queued *q = *link;

        if (q->spec.cookie != cookie) {
            pool->last = q;
            link = &q->next;
            continue;
        }
        *link = q->next;
        json_decref((json_t *) q->spec.task);
        free(q);
        pool->n_queued--;
    }
    for (unsigned i = 0; i < pool->jobs; i++)
        if (pool->runs[i] && pool->runs[i]->spec.cookie == cookie)
            free_slot(pool, i);
}

TrialPool *trial_pool_free(TrialPool *pool)
{
    if (!pool)
        return NULL;
    while (pool->first)
        json_decref((json_t *) dequeue(pool).task);
    for (unsigned i = 0; pool->runs && i < pool->jobs; i++)
        if (pool->runs[i])
            free_slot(pool, i);
    free(pool->runs);
    free(pool->fds);
    free(pool);
    return NULL;
}
