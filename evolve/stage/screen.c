/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's side of screening: the choice of probes, the workers, who gets what. */
#include "evolve/stage/screen.h"

#include <poll.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/box/cgroup.h"

#define WORKERS_MAX 64
#define TICK_MSEC 200

const char *screen_outcome_name(ScreenOutcome o)
{
    static const char *const names[] = {"rejected", "build_failed", "failed", "regressed", "improved", "passed"};

    return names[o];
}

size_t screen_plan_size(const ScreenPlan *plan)
{
    return plan->changes ? 1 : json_array_size(plan->candidates);
}

/* ---- the choice of tasks ---- */

static const char *cluster_of(const ScreenTask *t)
{
    const char *c = json_string_value(json_object_get(t->task->task, "cluster"));

    return c ? c : "";
}

/* What fails first, the fastest first. */
static int visible_compare(const void *a, const void *b)
{
    const EngineTask *x = ((const ScreenTask *) a)->task, *y = ((const ScreenTask *) b)->task;

    if (x->passed != y->passed)
        return x->passed ? 1 : -1;
    if (x->wall_usec != y->wall_usec)
        return x->wall_usec < y->wall_usec ? -1 : 1;
    return strcmp(json_string_value(json_object_get(x->task, "id")), json_string_value(json_object_get(y->task, "id")));
}

static size_t cluster_failing(const ScreenPlan *plan, const char *cluster)
{
    size_t n = 0;

    for (size_t i = 0; i < plan->n_visible; i++)
        n += !plan->visible[i].task->passed && streq(cluster_of(&plan->visible[i]), cluster);
    return n;
}

/* Is the first failing task of its cluster at i? `visible` is sorted, so it is the cluster's fastest. */
static bool leads_cluster(const ScreenPlan *plan, size_t i)
{
    if (plan->visible[i].task->passed)
        return false;
    for (size_t k = 0; k < i; k++)
        if (streq(cluster_of(&plan->visible[k]), cluster_of(&plan->visible[i])))
            return false;
    return true;
}

size_t screen_clusters(const Engine *g)
{
    ScreenPlan plan = {};
    size_t n = 0;

    screen_plan_tasks(g, &plan);
    for (size_t i = 0; i < plan.n_visible; i++)
        n += leads_cluster(&plan, i);
    return n;
}

/* Index of the leading task of the largest cluster that is smaller than `below`, or, among those of that size, stands behind `behind`. -1: there is none. */
static ssize_t next_leader(const ScreenPlan *plan, size_t below, ssize_t behind)
{
    ssize_t best = -1;
    size_t most = 0;

    for (size_t i = 0; i < plan->n_visible; i++) {
        size_t n = leads_cluster(plan, i) ? cluster_failing(plan, cluster_of(&plan->visible[i])) : 0;

        if (n > most && (n < below || (n == below && (ssize_t) i > behind))) {
            most = n;
            best = (ssize_t) i;
        }
    }
    return best;
}

/* The probe stands for its cluster. Iterations that improved nothing take the next smaller cluster, and the largest again behind the last. */
static void choose_probe(ScreenPlan *plan, unsigned turn)
{
    ssize_t chosen = -1;
    size_t below = SIZE_MAX;
    ScreenTask t;

    for (unsigned i = 0; i <= turn; i++) {
        ssize_t next = next_leader(plan, below, chosen);

        if (next < 0 && chosen < 0)
            return; /* nothing fails */
        chosen = next >= 0 ? next : next_leader(plan, SIZE_MAX, -1);
        below = cluster_failing(plan, cluster_of(&plan->visible[chosen]));
    }
    t = plan->visible[chosen];
    memmove(&plan->visible[1], &plan->visible[0], (size_t) chosen * sizeof(*plan->visible));
    plan->visible[0] = t;
}

/* Long enough for a loaded host, short enough that a candidate which hangs costs little. */
static uint64_t screen_timeout(const Engine *g, const EngineTask *t)
{
    return MIN(3 * t->wall_usec + USEC_PER_SEC / 2, g->agent->replay_timeout_seconds * USEC_PER_SEC);
}

void screen_plan_tasks(const Engine *g, ScreenPlan *plan)
{
    for (size_t i = 0; i < g->n_tasks; i++) {
        const EngineTask *t = &g->tasks[i];
        ScreenTask s = {.task = t, .timeout_usec = screen_timeout(g, t)};

        if (t->kind == TASK_VISIBLE && plan->n_visible < SCREEN_TASKS_MAX)
            plan->visible[plan->n_visible++] = s;
        else if (t->kind == TASK_GUARD && plan->n_guards < SCREEN_TASKS_MAX)
            plan->guards[plan->n_guards++] = s;
    }
    qsort(plan->visible, plan->n_visible, sizeof(*plan->visible), visible_compare);
    choose_probe(plan, g->p.plateau);
    plan->reference = tasks_score(g);
}

/* ---- workers ---- */

typedef struct Crew {
    struct {
        pid_t pid;
        int socket;
        ssize_t busy; /* index of its candidate, -1: idle */
    } w[WORKERS_MAX];
    size_t n;
    int cgroup;
} Crew;

/* Ends the workers and what runs in their boxes. */
static void crew_done(Crew *c)
{
    for (size_t i = 0; i < c->n; i++) {
        /* Without a cgroup the boxes die with the processes that made them, which must then be let go in order. */
        if (c->cgroup > 0)
            (void) kill(c->w[i].pid, SIGKILL);
        fd_closep(&c->w[i].socket);
    }
    for (size_t i = 0; i < c->n; i++) {
        char name[32];

        while (waitpid(c->w[i].pid, NULL, 0) < 0 && errno == EINTR)
            ;
        snprintf(name, sizeof(name), "screen-%zu", i);
        if (c->cgroup > 0)
            (void) cgroup_remove(c->cgroup, name, NULL);
    }
    c->n = 0;
}

/* What workers that were killed had under way is nobody's any more: opening the store removes it. */
static void sweep_drafts(const char *store_path)
{
    Store *store = NULL;

    if (store_open(store_path, &store, NULL) >= 0)
        store_free(store);
}

static _Noreturn void worker_main(const Engine *g, const ScreenPlan *plan, int socket, unsigned number, pid_t parent)
{
    const struct sigaction usual = {.sa_handler = SIG_DFL};

    /* Its own session: what the terminal sends is for the engine, which ends its workers itself. */
    (void) setsid();
    (void) sigaction(SIGINT, &usual, NULL);
    (void) sigaction(SIGTERM, &usual, NULL);
    (void) sigaction(SIGHUP, &usual, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(1);
    /* The lock is held by the engine alone: a worker that outlived it for a moment must not hold it on. */
    (void) close(g->lock);
    _exit(screen_work(plan, socket, number));
}

static int crew_hire(Engine *g, const ScreenPlan *plan, Crew *c, Error *e)
{
    pid_t parent = getpid();
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_errnof(e, -errno, "cannot make a socket for a screening worker");
    pid = fork();
    if (pid < 0) {
        int r = -errno;

        close(pair[0]);
        close(pair[1]);
        return error_errnof(e, r, "cannot start a screening worker");
    }
    if (pid == 0) {
        close(pair[0]);
        for (size_t i = 0; i < c->n; i++)
            close(c->w[i].socket);
        worker_main(g, plan, pair[1], (unsigned) c->n, parent);
    }
    close(pair[1]);
    c->w[c->n].pid = pid;
    c->w[c->n].socket = pair[0];
    c->w[c->n].busy = -1;
    c->n++;
    return 0;
}

/* ---- the run ---- */

typedef struct Run {
    Engine *g;
    const ScreenPlan *plan;
    Crew crew;
    size_t next, tried;
    ScreenBest best;
    uint64_t said_at;
    int (*report)(const ScreenReply *reply, void *userdata, Error *e);
    void *userdata;
} Run;

static bool better_than(const ScreenReply *r, const ScreenBest *best)
{
    if (r->outcome < SCREEN_IMPROVED)
        return false;
    if (best->index < 0 || r->outcome != best->outcome)
        return best->index < 0 || r->outcome > best->outcome;
    if (r->outcome == SCREEN_IMPROVED && (r->score > best->score + 1e-9 || r->score < best->score - 1e-9))
        return r->score > best->score;
    return (ssize_t) r->index < best->index;
}

static int take_reply(Run *run, const ScreenReply *r, Error *e)
{
    Engine *g = run->g;

    g->p.used.trials += r->trials;
    g->p.used.builds += r->builds;
    g->p.used.cpu_usec += r->cpu_usec;
    if (r->error < 0)
        return error_setf(e, r->error, "screening: %s", r->why);
    g->p.used.candidates++;
    run->tried++;
    if (better_than(r, &run->best)) {
        run->best = (ScreenBest){.index = r->index, .outcome = r->outcome, .score = r->score};
        g->p.best_score = MAX(g->p.best_score, r->score);
    }
    return run->report(r, run->userdata, e);
}

/* Is there more to hand out? Once one has passed everything, only what is before it and on its way matters. */
static bool more_to_try(const Run *run)
{
    return run->next < screen_plan_size(run->plan) && !(run->best.index >= 0 && run->best.outcome == SCREEN_PASSED);
}

static bool waiting(const Run *run)
{
    for (size_t i = 0; i < run->crew.n; i++) {
        ssize_t busy = run->crew.w[i].busy;

        if (busy >= 0 && (run->best.index < 0 || run->best.outcome != SCREEN_PASSED || busy < run->best.index))
            return true;
    }
    return false;
}

static int hand_out(Run *run, Error *e)
{
    for (size_t i = 0; i < run->crew.n && more_to_try(run); i++) {
        uint32_t index = (uint32_t) run->next;

        if (run->crew.w[i].busy >= 0)
            continue;
        if (send(run->crew.w[i].socket, &index, sizeof(index), MSG_NOSIGNAL) != sizeof(index))
            return error_errnof(e, -errno, "a screening worker is gone");
        run->crew.w[i].busy = (ssize_t) run->next++;
    }
    return 0;
}

static int collect(Run *run, Error *e)
{
    struct pollfd p[WORKERS_MAX];
    int r = 0;

    for (size_t i = 0; i < run->crew.n; i++)
        p[i] = (struct pollfd){.fd = run->crew.w[i].socket, .events = POLLIN};
    if (poll(p, run->crew.n, TICK_MSEC) < 0 && errno != EINTR)
        return error_errnof(e, -errno, "screening: poll");
    for (size_t i = 0; i < run->crew.n && r >= 0; i++) {
        ScreenReply reply;
        ssize_t n;

        if (!p[i].revents)
            continue;
        n = recv(run->crew.w[i].socket, &reply, sizeof(reply), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n != sizeof(reply))
            return error_setf(e, -EIO, "screening worker %zu ended while it tried candidate %zd", i,
                              run->crew.w[i].busy);
        run->crew.w[i].busy = -1;
        r = take_reply(run, &reply, e);
    }
    return r;
}

static void say_numbers(Run *run, bool always)
{
    EvolutionProgress numbers = {.candidates = (unsigned) run->tried,
                                 .candidates_all = (unsigned) screen_plan_size(run->plan)};

    if (!always && clock_now() - run->said_at < TICK_MSEC * USEC_PER_MSEC)
        return;
    run->said_at = clock_now();
    engine_say(run->g, &numbers, NULL);
}

int screen_run(Engine *g, const ScreenPlan *plan, int (*tried)(const ScreenReply *reply, void *userdata, Error *e),
               void *userdata, ScreenBest *ret_best, Error *e)
{
    Run run = {.g = g,
               .plan = plan,
               .crew = {.cgroup = plan->cgroup},
               .best = {.index = -1},
               .report = tried,
               .userdata = userdata};
    size_t hands = MIN((size_t) MIN(g->o.jobs, (unsigned) WORKERS_MAX), screen_plan_size(plan));
    int r = 0;

    for (size_t i = 0; i < hands && r >= 0; i++)
        r = crew_hire(g, plan, &run.crew, e);
    while (r >= 0 && (more_to_try(&run) || waiting(&run))) {
        if ((r = engine_go_on(g, e)) < 0 || (r = hand_out(&run, e)) < 0 || (r = collect(&run, e)) < 0)
            break;
        say_numbers(&run, false);
    }
    say_numbers(&run, true);
    crew_done(&run.crew);
    sweep_drafts(plan->store_path);
    if (r < 0)
        return r;
    *ret_best = run.best;
    return 0;
}
