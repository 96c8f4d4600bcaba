/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's side of screening: one candidate after the other, each in boxes. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "evolve/stage/screen.h"
#include "evolve/trial/build.h"
#include "runtime/base/fd.h"
#include "runtime/box/cgroup.h"

#define EPSILON 1e-9

typedef struct Worker {
    const ScreenPlan *plan;
    Store *store;
    TrialPool *pool;
    int cgroup, tree; /* its own */
    char name[32];
} Worker;

static void worker_done(Worker *w)
{
    trial_pool_free(w->pool);
    store_free(w->store);
    if (w->cgroup > 0)
        close(w->cgroup);
    fd_closep(&w->tree);
}

static int worker_open(Worker *w, unsigned number, Error *e)
{
    const ScreenPlan *plan = w->plan;
    int r;

    snprintf(w->name, sizeof(w->name), "screen-%u", number);
    r = store_open(plan->store_path, &w->store, e);
    if (r < 0)
        return r;
    if (plan->cgroup > 0 && (w->cgroup = r = cgroup_make(plan->cgroup, w->name, e)) < 0)
        return r;
    r = rm_rf_at(plan->scratch, w->name);
    if (r < 0 || mkdirat(plan->scratch, w->name, 0755) < 0)
        return error_errnof(e, r < 0 ? r : -errno, "cannot make the tree %s", w->name);
    w->tree = openat(plan->scratch, w->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (w->tree < 0)
        return error_errnof(e, -errno, "cannot open the tree %s", w->name);
    r = copy_tree_at(plan->base, w->tree);
    if (r < 0)
        return error_errnof(e, r, "cannot copy the source to the tree %s", w->name);
    return trial_pool_new(plan->agent, plan->base_layer, w->cgroup, 1, &w->pool, e);
}

int screen_changes(const ScreenPlan *plan, size_t index, ChangeSet *ret, Error *e)
{
    const json_t *edits;
    int r;

    if (plan->changes)
        return error_setf(e, -EINVAL, "the candidate is whole files already");
    edits = json_object_get(json_array_get(plan->candidates, index), "edits");
    r = change_from_edits(plan->base, edits, plan->agent->protected_globs, ret, e);
    if (r < 0)
        return r;
    return ret->n > 0 ? 0 : error_setf(e, -EBADMSG, "it changes nothing");
}

typedef struct Standing {
    double gained; /* sum over the visible tasks that were reached */
    bool better, worse, all_passed;
} Standing;

/* One trial of the candidate. -ENODATA cannot be: one was submitted. */
static int try_task(Worker *w, const int *lowers, const ScreenTask *t, ScreenReply *reply, double *ret_score,
                    bool *ret_passed, Error *e)
{
    _cleanup_(trial_result_done) TrialResult result = {};
    TrialSpec spec = {.label = "screening",
                      .lowers = lowers,
                      .n_lowers = 2,
                      .generation = "screening",
                      .task = t->task->task,
                      .timeout_usec = t->timeout_usec};
    int r = trial_pool_submit(w->pool, &spec, e);

    if (r < 0)
        return r;
    while ((r = trial_pool_next(w->pool, &result, e)) == -EINTR)
        ;
    if (r < 0)
        return r;
    reply->trials++;
    reply->cpu_usec += result.cpu_usec;
    *ret_passed = result.passed && result.end == TRIAL_DONE;
    *ret_score = result.score;
    return 0;
}

static int try_visible(Worker *w, const int *lowers, size_t from, size_t to, Standing *s, ScreenReply *reply, Error *e)
{
    for (size_t i = from; i < to && !s->worse; i++) {
        const ScreenTask *t = &w->plan->visible[i];
        double score;
        bool passed;
        int r = try_task(w, lowers, t, reply, &score, &passed, e);

        if (r < 0)
            return r;
        s->gained += score - t->task->score;
        s->better |= score > t->task->score + EPSILON || (passed && !t->task->passed);
        s->worse |= score < t->task->score - EPSILON || (!passed && t->task->passed);
        s->all_passed &= passed;
        if (s->worse)
            snprintf(reply->why, sizeof(reply->why), "%.40s got worse",
                     json_string_value(json_object_get(t->task->task, "id")));
    }
    return 0;
}

static int try_guards(Worker *w, const int *lowers, Standing *s, ScreenReply *reply, Error *e)
{
    for (size_t i = 0; i < w->plan->n_guards && !s->worse; i++) {
        const ScreenTask *t = &w->plan->guards[i];
        double score;
        bool passed;
        int r = try_task(w, lowers, t, reply, &score, &passed, e);

        if (r < 0)
            return r;
        s->worse = !passed;
        if (s->worse)
            snprintf(reply->why, sizeof(reply->why), "guard %.40s does not hold",
                     json_string_value(json_object_get(t->task->task, "id")));
    }
    return 0;
}

/* The cascade behind the build. */
static int try_candidate(Worker *w, const int *lowers, ScreenReply *reply, Error *e)
{
    const ScreenPlan *plan = w->plan;
    Standing s = {.all_passed = true};
    int r = try_visible(w, lowers, 0, MIN(plan->n_visible, (size_t) 1), &s, reply, e);

    if (r >= 0 && s.better && !s.worse)
        r = try_visible(w, lowers, 1, plan->n_visible, &s, reply, e);
    if (r >= 0 && s.better && !s.worse)
        r = try_guards(w, lowers, &s, reply, e);
    if (r < 0)
        return r;
    reply->score = plan->reference + s.gained / (double) MAX(plan->n_visible, (size_t) 1);
    reply->outcome = s.better && s.worse                        ? SCREEN_REGRESSED
                     : s.worse || !s.better                     ? SCREEN_FAILED
                     : s.all_passed                             ? SCREEN_PASSED
                     : reply->score > plan->reference + EPSILON ? SCREEN_IMPROVED
                                                                : SCREEN_FAILED;
    return 0;
}

static int build_and_try(Worker *w, ScreenReply *reply, Error *e)
{
    LayerDraft draft = {.fd = -EBADF};
    BuildResult built = {};
    BuildSpec spec = {.agent = w->plan->agent,
                      .base_layer = w->plan->base_layer,
                      .source = w->tree,
                      .cgroup = w->cgroup,
                      .name = "build"};
    int r = build_run(&spec, w->store, &draft, &built, e);

    if (r < 0)
        return r;
    reply->builds++;
    if (built.ok) {
        const int lowers[] = {draft.fd, w->plan->base_layer};

        r = try_candidate(w, lowers, reply, e);
    } else {
        reply->outcome = SCREEN_BUILD_FAILED;
        reply->score = w->plan->reference;
        snprintf(reply->why, sizeof(reply->why), "%s", built.why);
    }
    build_result_done(&built);
    layer_draft_drop(w->store, &draft);
    return r;
}

static int screen_one(Worker *w, ScreenReply *reply, Error *e)
{
    _cleanup_(change_set_done) ChangeSet own = {};
    const ChangeSet *set = w->plan->changes ? w->plan->changes : &own;
    Error why = {};
    int r, undone;

    reply->score = w->plan->reference;
    if (!w->plan->changes && (r = screen_changes(w->plan, reply->index, &own, &why)) < 0) {
        if (r != -EBADMSG)
            return error_setf(e, r, "%s", why.text);
        reply->outcome = SCREEN_REJECTED;
        snprintf(reply->why, sizeof(reply->why), "%.399s", why.text);
        return 0;
    }
    r = change_write(w->tree, set, e);
    if (r >= 0)
        r = build_and_try(w, reply, e);
    undone = change_undo(w->tree, w->plan->base, set, r < 0 ? NULL : e);
    return r < 0 ? r : undone;
}

int screen_work(const ScreenPlan *plan, int socket, unsigned number)
{
    _cleanup_(worker_done) Worker w = {.plan = plan, .tree = -EBADF};
    Error e = {};
    int ready = worker_open(&w, number, &e);

    for (;;) {
        ScreenReply reply = {};
        uint32_t index;
        ssize_t n = recv(socket, &index, sizeof(index), 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n != sizeof(index))
            return 0;
        reply.index = index;
        reply.error = ready < 0 ? ready : screen_one(&w, &reply, &e);
        if (reply.error < 0)
            snprintf(reply.why, sizeof(reply.why), "%.399s", e.code ? e.text : strerror(-reply.error));
        if (send(socket, &reply, sizeof(reply), MSG_NOSIGNAL) != sizeof(reply))
            return 1;
    }
}
