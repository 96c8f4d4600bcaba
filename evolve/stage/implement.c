/* SPDX-License-Identifier: Apache-2.0 */
/* Stage implement: the coding agent hands over candidates, screening finds the one worth an evaluation, and that one becomes a commit, a sealed layer and
 * a generation. Nothing is committed for those that do not survive. */
#include <stdio.h>
#include <sys/stat.h>

#include "evolve/stage/screen.h"
#include "evolve/trial/build.h"
#include "evolve/trial/source.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define CHECKPOINT_USEC (3 * USEC_PER_SEC)

typedef struct Implement {
    Engine *g;
    int base, work; /* trees: as it is, and the coding agent's */
    CoderAnswer answer;
    ChangeSet changes; /* of the worktree, when there is no list of candidates */
    ScreenPlan plan;
    StrBuf tried;
    uint64_t saved_at;
} Implement;

static void implement_done(Implement *m)
{
    fd_closep(&m->base);
    fd_closep(&m->work);
    coder_answer_done(&m->answer);
    change_set_done(&m->changes);
    strbuf_done(&m->tried);
}

/* ---- the coding agent's tree ---- */

/* The coding agent is another user in its box and may change everything in its copy. */
static int open_to_all(int dirfd, Error *e)
{
    _cleanup_closedir_ DIR *dir = NULL;
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct dirent *d;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || fchmod(fd, (st.st_mode & 07777) | 0777) < 0)
        return error_errnof(e, -errno, "cannot open the worktree to the coding agent");
    dir = fdopendir(fd);
    if (!dir)
        return -ENOMEM;
    while ((d = readdir(dir))) {
        _cleanup_close_ int sub = -EBADF;
        int r = 0;

        if (streq(d->d_name, ".") || streq(d->d_name, "..") || fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISREG(st.st_mode))
            r = fchmodat(fd, d->d_name, (st.st_mode & 07777) | 0666, 0);
        if (r < 0)
            return error_errnof(e, -errno, "cannot open the worktree to the coding agent");
        if (!S_ISDIR(st.st_mode))
            continue;
        sub = openat(fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = sub < 0 ? -errno : open_to_all(sub, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int work_make(Implement *m, Error *e)
{
    Engine *g = m->g;
    int r;

    m->base = engine_tree(g, e);
    if (m->base < 0)
        return m->base;
    m->work = engine_scratch(g, "work", e);
    if (m->work < 0)
        return m->work;
    r = copy_tree_at(m->base, m->work);
    if (r < 0)
        return error_errnof(e, r, "cannot copy the source for the coding agent");
    return open_to_all(m->work, e);
}

/* ---- what it handed over ---- */

/* 1: there is something to try. 0: there is not, and it was said why. */
static int take_over(Implement *m, Error *e)
{
    Engine *g = m->g;
    Error why = {};
    int r;

    if (!m->answer.ok)
        return 0;
    if (m->answer.candidates) {
        if (json_array_size(m->answer.candidates) > 0)
            return 1;
        g->p.coder_end = CODER_EXHAUSTED;
        engine_say(g, NULL, "the coding agent has nothing more to propose");
        return 0;
    }
    r = change_from_trees(m->base, m->work, g->agent->protected_globs, &m->changes, &why);
    if (r < 0 && r != -EBADMSG)
        return error_setf(e, r, "%s", why.text);
    if (r >= 0 && m->changes.n > 0)
        return 1;
    engine_coder_failed(g, r < 0 ? why.text : "it says that it is done, and changed nothing");
    return 0;
}

static const char *candidate_id(const Implement *m, size_t index)
{
    const char *id = json_string_value(json_object_get(json_array_get(m->answer.candidates, index), "id"));

    return id ? id : "worktree";
}

/* Called for each candidate. What was tried is saved now and then, so that a walk that is killed here does not try it again. */
static int candidate_tried(const ScreenReply *reply, void *userdata, Error *e)
{
    _cleanup_(ledger_step_done) LedgerStep step = {};
    Implement *m = userdata;
    const json_t *edits = json_object_get(json_array_get(m->answer.candidates, reply->index), "edits");
    TriedRecord record = {.candidate = candidate_id(m, reply->index),
                          .edits = edits,
                          .outcome = screen_outcome_name(reply->outcome),
                          .score = reply->score,
                          .incumbent = m->plan.reference,
                          .why = reply->why};
    int r = tried_add(m->g, &m->tried, &record);

    if (r < 0)
        return r;
    if (reply->outcome >= SCREEN_IMPROVED)
        engine_say(m->g, NULL, "candidate %s: %s, score %.2f", record.candidate, record.outcome, reply->score);
    if (clock_now() - m->saved_at < CHECKPOINT_USEC)
        return 0;
    m->saved_at = clock_now();
    tried_put(&step, &m->tried);
    return engine_commit(m->g, &step, "candidates tried so far", e);
}

/* ---- the survivor ---- */

static int survivor_commit(Implement *m, size_t index, Error *e)
{
    _cleanup_(change_set_done) ChangeSet own = {};
    const ChangeSet *set = &m->changes;
    Engine *g = m->g;
    const char *why = json_string_value(json_object_get(json_array_get(m->answer.candidates, index), "why"));
    _cleanup_free_ char *message = NULL;
    int r;

    if (!why)
        why = json_string_value(json_object_get(m->answer.result, "summary"));
    message =
        xasprintf("evolve: %.200s\n\nEvolution %s of batch %s, iteration %u, candidate %s.\n",
                  why && *why ? why : "candidate", g->p.evolution, g->p.batch, g->p.iteration, candidate_id(m, index));
    if (!message)
        return -ENOMEM;
    if (m->answer.candidates) {
        r = screen_changes(&m->plan, index, &own, e);
        if (r < 0)
            return r;
        set = &own;
    }
    r = branch_commit(g->agent->repository, g->p.evolution, g->p.work, set, message, g->p.commit, e);
    if (r < 0)
        return r;
    snprintf(g->p.candidate, sizeof(g->p.candidate), "%s", candidate_id(m, index));
    return 0;
}

static json_t *build_record(const Engine *g, const BuildResult *built)
{
    _cleanup_json_ json_t *argv = json_array();
    char now[21];

    clock_iso8601(now);
    for (const char **a = g->agent->build_argv; *a; a++)
        if (json_array_append_new(argv, json_string(*a)) < 0)
            return NULL;
    return json_pack("{s:O, s:s, s:s, s:s, s:s, s:i}", "command", argv, "built", now, "evolution", g->p.evolution,
                     "batch", g->p.batch, "parent", g->p.base_generation, "wall_msec",
                     (int) (built->wall_usec / USEC_PER_MSEC));
}

/* Built once more, from the commit itself, sealed and named. 0: g->p.generation is set, or stays "" when it does not build. */
static int survivor_build(Engine *g, Error *e)
{
    _cleanup_close_ int tree = engine_scratch(g, "candidate", e);
    _cleanup_json_ json_t *record = NULL;
    LayerDraft draft = {.fd = -EBADF};
    BuildResult built = {};
    char layer[DIGEST_SIZE];
    int r;

    if (tree < 0)
        return tree;
    r = source_checkout(g->agent->repository, g->p.commit, tree, e);
    if (r < 0)
        return r;
    BuildSpec spec = {
        .agent = g->agent, .base_layer = engine_base_layer(g), .source = tree, .cgroup = g->cgroup, .name = "build"};
    r = build_run(&spec, g->store, &draft, &built, e);
    if (r < 0)
        return r;
    g->p.used.builds++;
    record = build_record(g, &built);
    if (!built.ok) {
        engine_say(g, NULL, "candidate %s does not build from its commit: %s", g->p.candidate, built.why);
        layer_draft_drop(g->store, &draft);
    } else {
        const char *layers[] = {layer, g->incumbent->layers[g->incumbent->n_layers - 1], NULL};

        r = layer_seal(g->store, &draft, layer, e);
        if (r >= 0)
            r = generation_create(g->store, g->agent->name, layers, g->p.commit, record, g->p.generation, e);
    }
    build_result_done(&built);
    return r;
}

static int survivor_take(Implement *m, const ScreenBest *best, LedgerStep *step, Answer *ret, Error *e)
{
    _cleanup_(branch_diff_done) BranchDiff diff = {};
    Engine *g = m->g;
    int r;

    if ((r = survivor_commit(m, (size_t) best->index, e)) < 0 || (r = survivor_build(g, e)) < 0)
        return r;
    if (!*g->p.generation) {
        g->p.coder_end = CODER_FAILED;
        *ret = ANSWER_FAILED;
        return 0;
    }
    r = branch_diff(g->agent->repository, g->p.work, g->p.commit, &diff, e);
    if (r < 0)
        return r;
    ledger_put(step, "evidence/stage/candidate.diff", diff.text, diff.len);
    engine_say(g, NULL, "candidate %s is commit %.12s, generation %.12s: %zu files, +%zu -%zu", g->p.candidate,
               g->p.commit, g->p.generation, diff.files, diff.insertions, diff.deletions);
    g->p.coder_end = CODER_DELIVERED;
    g->p.failures = 0;
    *ret = ANSWER_OK;
    return 0;
}

static int screen(Implement *m, ScreenBest *best, Error *e)
{
    Engine *g = m->g;
    int r = tried_load(g, &m->tried, e);

    if (r < 0)
        return r;
    m->plan = (ScreenPlan){.agent = g->agent,
                           .store_path = g->o.store_path,
                           .base_layer = engine_base_layer(g),
                           .base = m->base,
                           .scratch = g->worktrees,
                           .cgroup = g->cgroup,
                           .candidates = m->answer.candidates,
                           .changes = m->answer.candidates ? NULL : &m->changes};
    screen_plan_tasks(g, &m->plan);
    m->saved_at = clock_now();
    engine_say(g, NULL, "%zu candidates to try, first on %s of %zu tasks", screen_plan_size(&m->plan),
               json_string_value(json_object_get(m->plan.visible[0].task->task, "id")), m->plan.n_visible);
    return screen_run(g, &m->plan, candidate_tried, m, best, e);
}

int stage_implement(Engine *g, LedgerStep *step, Answer *ret, Error *e)
{
    _cleanup_(implement_done) Implement m = {.g = g, .base = -EBADF, .work = -EBADF};
    ScreenBest best = {.index = -1};
    int r;

    g->p.commit[0] = g->p.generation[0] = g->p.candidate[0] = '\0';
    if ((r = work_make(&m, e)) < 0 ||
        (r = engine_ask(g, ROLE_IMPLEMENT, g->p.code_round, m.work, &m.answer, step, e)) < 0)
        return r;
    *ret = ANSWER_FAILED;
    r = take_over(&m, e);
    if (r <= 0)
        return r;
    r = screen(&m, &best, e);
    if (r < 0)
        return r;
    tried_put(step, &m.tried);
    if (best.index >= 0)
        return survivor_take(&m, &best, step, ret, e);
    engine_say(g, NULL, "none of %zu candidates is better", screen_plan_size(&m.plan));
    g->p.coder_end = CODER_FAILED;
    return 0;
}
