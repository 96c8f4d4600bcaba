/* SPDX-License-Identifier: Apache-2.0 */
/* The walk through the table, and what every stage needs on the way. */
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "evolve/stage/internal.h"
#include "evolve/trial/source.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

static const StageRun stage_runs[_STAGE_MAX] = {
    [STAGE_BASELINE] = stage_baseline,
    [STAGE_LOCATE] = stage_locate,
    [STAGE_PLAN] = stage_plan,
    [STAGE_PLAN_REVIEW] = stage_plan_review,
    [STAGE_IMPLEMENT] = stage_implement,
    [STAGE_CODE_REVIEW] = stage_code_review,
    [STAGE_TASK_EVALUATE] = stage_task_evaluate,
    [STAGE_VERDICT] = stage_verdict,
};

static uint64_t wall_used(const Engine *g)
{
    return g->used_before + (clock_now() - g->began);
}

int engine_go_on(Engine *g, Error *e)
{
    const Position *p = &g->p;

    if (g->o.stop && *g->o.stop)
        return error_setf(e, -ECANCELED, "asked to stop");
    if (wall_used(g) >= p->seconds * USEC_PER_SEC)
        return error_setf(e, -EDQUOT, "the %u s that it may take are over", p->seconds);
    if (p->used.trials >= p->trials)
        return error_setf(e, -EDQUOT, "the %u trials that it may run are used up", p->trials);
    if (p->used.candidates >= p->candidates)
        return error_setf(e, -EDQUOT, "the %u candidates that it may try are used up", p->candidates);
    return 0;
}

static unsigned stage_round(const Position *p)
{
    return p->stage == STAGE_IMPLEMENT || p->stage == STAGE_CODE_REVIEW ? p->code_round : p->plan_round;
}

void engine_say(Engine *g, EvolutionProgress *numbers, const char *fmt, ...)
{
    EvolutionProgress p = numbers ? *numbers : (EvolutionProgress){};
    char text[600];
    va_list ap;

    if (!g->o.progress)
        return;
    if (fmt) {
        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        p.text = text;
    }
    p.agent = g->agent->name;
    p.evolution = g->p.evolution;
    p.batch = g->p.batch;
    p.depth = g->p.depth->name;
    p.stage = stage_table[g->p.stage].name;
    p.iteration = g->p.iteration;
    p.max_iterations = g->p.depth->iterations;
    p.round = stage_round(&g->p);
    p.candidates_used = g->p.used.candidates;
    p.trials = g->p.used.trials;
    p.baseline_score = g->p.baseline_score;
    p.best_score = g->p.best_score;
    p.elapsed_usec = wall_used(g);
    g->o.progress(&p, g->o.userdata);
}

void engine_artifact(const Engine *g, const char *name, unsigned round, char ret[static 64])
{
    if (round > 0)
        snprintf(ret, 64, "iterations/%u/%s-%u.json", g->p.iteration, name, round);
    else
        snprintf(ret, 64, "iterations/%u/%s.json", g->p.iteration, name);
}

int engine_commit(Engine *g, LedgerStep *step, const char *message, Error *e)
{
    _cleanup_json_ json_t *position = NULL;

    g->p.used.wall_usec = wall_used(g);
    position = position_json(&g->p);
    if (!position)
        return -ENOMEM;
    ledger_put_json(step, "position.json", position);
    return ledger_commit(g->ledger, g->p.evolution, step, message, e);
}

int engine_scratch(Engine *g, const char *name, Error *e)
{
    int r = rm_rf_at(g->worktrees, name), fd;

    if (r < 0)
        return error_errnof(e, r, "cannot remove %s/worktrees/%s", g->directory, name);
    if (mkdirat(g->worktrees, name, 0755) < 0 || fchmodat(g->worktrees, name, 0755, 0) < 0)
        return error_errnof(e, -errno, "cannot make %s/worktrees/%s", g->directory, name);
    fd = openat(g->worktrees, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? error_errnof(e, -errno, "%s/worktrees/%s", g->directory, name) : fd;
}

int engine_lay_out_evidence(Engine *g, Error *e)
{
    fd_closep(&g->evidence);
    g->evidence = engine_scratch(g, "evidence", e);
    if (g->evidence < 0)
        return g->evidence;
    return ledger_checkout(g->ledger, g->p.evolution, "evidence", g->evidence, e);
}

int engine_tree(Engine *g, Error *e)
{
    _cleanup_close_ int fd = -EBADF;
    int r;

    if (streq(g->tree_of, g->p.work)) {
        fd = openat(g->worktrees, "base", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? error_errnof(e, -errno, "%s/worktrees/base", g->directory) : TAKE_FD(fd);
    }
    g->tree_of[0] = '\0';
    fd = engine_scratch(g, "base", e);
    if (fd < 0)
        return fd;
    r = source_checkout(g->agent->repository, g->p.work, fd, e);
    if (r < 0)
        return r;
    memcpy(g->tree_of, g->p.work, sizeof(g->tree_of));
    return TAKE_FD(fd);
}

int engine_trials(Engine *g, const TrialSpec *specs, size_t n, int (*done)(TrialResult *r, void *userdata),
                  void *userdata, Error *e)
{
    _cleanup_(trial_pool_freep) TrialPool *pool = NULL;
    EvolutionProgress numbers = {.tasks_all = (unsigned) n};
    int r = trial_pool_new(g->agent, engine_base_layer(g), g->cgroup, g->o.jobs, &pool, e);

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = trial_pool_submit(pool, &specs[i], e);
    while (r >= 0 && trial_pool_pending(pool) > 0) {
        _cleanup_(trial_result_done) TrialResult result = {};

        r = engine_go_on(g, e);
        if (r >= 0)
            r = trial_pool_next(pool, &result, e);
        if (r == -EINTR) {
            r = 0;
            continue;
        }
        if (r < 0)
            break;
        g->p.used.trials++;
        g->p.used.cpu_usec += result.cpu_usec;
        numbers.tasks_done++;
        r = done(&result, userdata);
        engine_say(g, &numbers, NULL);
    }
    return r;
}

/* ---- the walk ---- */

static void end_with(Engine *g, const char *end, const char *why)
{
    g->p.stage = STAGE_END;
    snprintf(g->p.end, sizeof(g->p.end), "%s", end);
    snprintf(g->p.why, sizeof(g->p.why), "%.899s", why);
    clock_iso8601(g->p.ended);
}

int engine_end_batch(Engine *g, Error *e)
{
    _cleanup_json_ json_t *b = NULL;
    int r = batch_find(g->dir, g->p.batch, batch_state_name(BATCH_RUNNING), &b, e);

    if (r < 0 || !streq_ptr(json_string_value(json_object_get(b, "evolution")), g->p.evolution))
        return r;
    return batch_set_state(g->dir, g->p.batch, streq(g->p.end, "CONVERGED") ? BATCH_READY : BATCH_FAILED, NULL, e);
}

/* One line a stage in timeline.jsonl: when it began within the evolution, how long it took, what came out of it. */
static int timeline_put(const Engine *g, const Position *before, Answer answer, LedgerStep *step, Error *e)
{
    static const char *const words[_ANSWER_MAX] = {
        [ANSWER_OK] = "done",       [ANSWER_REJECT] = "rejected", [ANSWER_LAST] = "rejected for the last time",
        [ANSWER_FAILED] = "failed", [ANSWER_OVER] = "over",
    };
    uint64_t start = before->used.wall_usec;
    _cleanup_free_ char *text = NULL, *line = NULL, *whole = NULL;
    _cleanup_json_ json_t *o = NULL;
    Error why = {};
    int r = ledger_read(g->ledger, g->p.evolution, "timeline.jsonl", &text, NULL, &why);

    if (r < 0 && r != -ENOENT)
        return error_setf(e, r, "%s", why.text);
    o = json_pack("{s:s, s:i, s:i, s:I, s:I, s:s}", "stage", stage_table[before->stage].name, "iteration",
                  (int) before->iteration, "round", (int) stage_round(before), "start_usec", (json_int_t) start,
                  "wall_usec", (json_int_t) (wall_used(g) - start), "outcome", words[answer]);
    line = o ? json_canonical(o) : NULL;
    whole = line ? xasprintf("%s%s\n", text ? text : "", line) : NULL;
    if (!whole)
        return -ENOMEM;
    ledger_put(step, "timeline.jsonl", whole, strlen(whole));
    return 0;
}

static int step_once(Engine *g, Error *e)
{
    _cleanup_(ledger_step_done) LedgerStep step = {};
    Position before;
    const Stage *stage = &stage_table[g->p.stage];
    char message[80];
    Answer answer;
    int r;

    if (g->p.iteration > 0)
        snprintf(message, sizeof(message), "iteration %u: %s", g->p.iteration, stage->name);
    else
        snprintf(message, sizeof(message), "%s", stage->name);
    r = engine_go_on(g, e);
    if (r < 0)
        return r;
    g->p.used.wall_usec = wall_used(g);
    before = g->p;
    r = stage_runs[g->p.stage](g, &step, &answer, e);
    if (r >= 0)
        r = timeline_put(g, &before, answer, &step, e);
    if (r < 0)
        return r;
    r = position_advance(&g->p, answer);
    if (r < 0)
        return error_setf(e, r, "stage %s gave an answer that leads nowhere", stage->name);
    if (!position_unfinished(&g->p))
        clock_iso8601(g->p.ended);
    return engine_commit(g, &step, message, e);
}

int engine_walk(Engine *g, const char **ret_end, const char **ret_why, Error *e)
{
    while (position_unfinished(&g->p)) {
        _cleanup_(ledger_step_done) LedgerStep step = {};
        Error why = {};
        int r = step_once(g, &why);

        if (r >= 0)
            continue;
        if (r != -ECANCELED && r != -EDQUOT)
            return error_setf(e, r, "stage %s: %s", stage_table[g->p.stage].name, why.code ? why.text : strerror(-r));
        if (r == -EDQUOT)
            end_with(g, "BUDGET_EXHAUSTED", why.text);
        r = engine_commit(g, &step, r == -EDQUOT ? "budget exhausted" : "stopped", e);
        if (r < 0)
            return r;
        if (position_unfinished(&g->p)) {
            *ret_end = "STOPPED";
            *ret_why = "asked to stop; `moss evo start` goes on where it was";
            return 0;
        }
    }
    int r = engine_end_batch(g, e);

    if (r < 0)
        return r;
    engine_say(g, NULL, "%s: %s", g->p.end, g->p.why);
    *ret_end = g->p.end;
    *ret_why = g->p.why;
    return 0;
}
