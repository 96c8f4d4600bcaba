/* SPDX-License-Identifier: Apache-2.0 */
/* Stages task-evaluate and verdict: fresh pairs of trials, incumbent beside candidate, until the verdict has enough of them; then what it says decides. */
#include <stdio.h>

#include "evolve/stage/screen.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

/* Coding agents that fail this many iterations in a row are given up. */
#define FAILURES_MAX 3U

/* Both sides' outcomes of one task. */
typedef struct Pairs {
    Outcome incumbent[REPEATS_MAX], candidate[REPEATS_MAX];
    size_t n_incumbent, n_candidate;
} Pairs;

typedef struct Evaluation {
    Engine *g;
    Generation *candidate;
    int *layers;
    Pairs *pairs; /* by task of the engine */
    VerdictTask *tasks;
    unsigned repeats;
} Evaluation;

static void evaluation_done(Evaluation *v)
{
    for (size_t i = 0; v->candidate && v->layers && i < v->candidate->n_layers; i++)
        fd_closep(&v->layers[i]);
    free(v->layers);
    generation_free(v->candidate);
    free(v->pairs);
    free(v->tasks);
}

static int evaluation_make(Evaluation *v)
{
    Engine *g = v->g;

    v->pairs = calloc(g->n_tasks + 1, sizeof(*v->pairs));
    v->tasks = calloc(g->n_tasks + 1, sizeof(*v->tasks));
    if (!v->pairs || !v->tasks)
        return -ENOMEM;
    for (size_t i = 0; i < g->n_tasks; i++)
        v->tasks[i] = (VerdictTask){.id = json_string_value(json_object_get(g->tasks[i].task, "id")),
                                    .kind = g->tasks[i].kind,
                                    .incumbent = v->pairs[i].incumbent,
                                    .candidate = v->pairs[i].candidate};
    return 0;
}

static int candidate_open(Evaluation *v, Error *e)
{
    int r = generation_load(v->g->store, v->g->p.generation, &v->candidate, e);

    if (r < 0)
        return r;
    v->layers = calloc(v->candidate->n_layers, sizeof(*v->layers));
    if (!v->layers)
        return -ENOMEM;
    for (size_t i = 0; i < v->candidate->n_layers; i++)
        v->layers[i] = -EBADF;
    return generation_open_layers(v->g->store, v->candidate, v->layers, e);
}

static VerdictPosition verdict_position(const Engine *g, unsigned plateau)
{
    return (VerdictPosition){.iteration = g->p.iteration,
                             .max_iterations = g->p.depth->iterations,
                             .plateau = plateau,
                             .max_plateau = g->p.depth->plateau,
                             .max_repeats = REPEATS_MAX,
                             .coder = g->p.coder_end};
}

/* ---- trials ---- */

static int pair_done(TrialResult *r, _unused_ void *userdata)
{
    Pairs *pairs = r->cookie;
    bool candidate = streq(r->label, "candidate");
    Outcome o = {.passed = r->passed, .score = r->score, .end = r->end};

    if (r->repeat >= REPEATS_MAX)
        return -EINVAL;
    (candidate ? pairs->candidate : pairs->incumbent)[r->repeat] = o;
    if (candidate)
        pairs->n_candidate++;
    else
        pairs->n_incumbent++;
    return 0;
}

static int run_pairs(Evaluation *v, unsigned more, Error *e)
{
    Engine *g = v->g;
    _cleanup_free_ TrialSpec *specs = calloc(2 * (size_t) more * g->n_tasks + 1, sizeof(*specs));
    size_t n = 0;
    int r;

    if (!specs)
        return -ENOMEM;
    for (unsigned k = 0; k < more; k++) {
        for (size_t i = 0; i < g->n_tasks; i++) {
            TrialSpec s = {.label = "incumbent",
                           .lowers = g->layers,
                           .n_lowers = g->incumbent->n_layers,
                           .generation = g->p.base_generation,
                           .task = g->tasks[i].task,
                           .repeat = v->repeats + k,
                           .cookie = &v->pairs[i]};

            specs[n++] = s;
            s.label = "candidate";
            s.lowers = v->layers;
            s.n_lowers = v->candidate->n_layers;
            s.generation = g->p.generation;
            specs[n++] = s;
        }
    }
    r = engine_trials(g, specs, n, pair_done, NULL, e);
    if (r < 0)
        return r;
    v->repeats += more;
    for (size_t i = 0; i < g->n_tasks; i++) {
        v->tasks[i].n_incumbent = v->pairs[i].n_incumbent;
        v->tasks[i].n_candidate = v->pairs[i].n_candidate;
    }
    return 0;
}

/* ---- the artifact ---- */

static json_t *outcomes_json(const Outcome *o, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:b, s:f, s:s}", "passed", o[i].passed, "score", o[i].score, "end",
                                              trial_end_name(o[i].end)));
    return list;
}

static json_t *evaluation_json(const Evaluation *v)
{
    json_t *list = json_array();
    const Engine *g = v->g;

    for (size_t i = 0; i < g->n_tasks; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:O?, s:o, s:o}", "id", v->tasks[i].id, "kind",
                            task_kind_name(g->tasks[i].kind), "cluster", json_object_get(g->tasks[i].task, "cluster"),
                            "incumbent", outcomes_json(v->pairs[i].incumbent, v->pairs[i].n_incumbent), "candidate",
                            outcomes_json(v->pairs[i].candidate, v->pairs[i].n_candidate)));
    return json_pack("{s:i, s:s, s:s, s:s, s:i, s:o}", "version", 1, "generation", g->p.generation, "base_generation",
                     g->p.base_generation, "commit", g->p.commit, "repeats", (int) v->repeats, "tasks", list);
}

static int outcomes_parse(const json_t *list, Outcome *ret, size_t *ret_n)
{
    const json_t *o;
    size_t i;

    *ret_n = MIN(json_array_size(list), (size_t) REPEATS_MAX);
    json_array_foreach (list, i, o) {
        const char *end = json_string_value(json_object_get(o, "end"));

        if (i == REPEATS_MAX)
            break;
        ret[i] = (Outcome){.passed = json_is_true(json_object_get(o, "passed")),
                           .score = json_number_value(json_object_get(o, "score")),
                           .end = TRIAL_BAD_TRANSCRIPT};
        for (TrialEnd k = TRIAL_DONE; k <= TRIAL_BAD_TRANSCRIPT; k++)
            if (streq_ptr(end, trial_end_name(k)))
                ret[i].end = k;
    }
    return 0;
}

/* The outcomes of this iteration from the ledger; those of the baseline where no candidate was evaluated. */
static int outcomes_load(Evaluation *v, Error *e)
{
    _cleanup_json_ json_t *o = NULL;
    Engine *g = v->g;
    const json_t *task;
    char path[64];
    size_t i;
    int r;

    if (g->p.coder_end != CODER_DELIVERED) {
        for (i = 0; i < g->n_tasks; i++) {
            v->pairs[i].incumbent[0] =
                (Outcome){.passed = g->tasks[i].kind == TASK_GUARD, .score = g->tasks[i].score, .end = TRIAL_DONE};
            v->tasks[i].n_incumbent = 1;
        }
        return 0;
    }
    engine_artifact(g, "evaluation", 0, path);
    r = ledger_read_json(g->ledger, g->p.evolution, path, &o, e);
    if (r < 0)
        return r;
    json_array_foreach (json_object_get(o, "tasks"), i, task) {
        for (size_t k = 0; k < g->n_tasks; k++) {
            if (!streq_ptr(v->tasks[k].id, json_string_value(json_object_get(task, "id"))))
                continue;
            outcomes_parse(json_object_get(task, "incumbent"), v->pairs[k].incumbent, &v->tasks[k].n_incumbent);
            outcomes_parse(json_object_get(task, "candidate"), v->pairs[k].candidate, &v->tasks[k].n_candidate);
        }
    }
    return 0;
}

int stage_task_evaluate(Engine *g, LedgerStep *step, Answer *ret, Error *e)
{
    _cleanup_(evaluation_done) Evaluation v = {.g = g};
    VerdictPosition position = verdict_position(g, 0);
    _cleanup_json_ json_t *record = NULL;
    unsigned more = g->p.depth->repeats;
    char path[64];
    int r;

    if ((r = evaluation_make(&v)) < 0 || (r = candidate_open(&v, e)) < 0)
        return r;
    while (more > 0) {
        _cleanup_(verdict_done) Verdict verdict = {};

        engine_say(g, NULL, "%u more pairs of trials for each of %zu tasks", more, g->n_tasks);
        r = run_pairs(&v, more, e);
        if (r < 0)
            return r;
        r = verdict_compute(v.tasks, g->n_tasks, &position, &verdict);
        if (r < 0)
            return r;
        more = verdict.more_repeats ? MIN(MAX(verdict.repeats_wanted, 1U), REPEATS_MAX - v.repeats) : 0;
    }
    record = evaluation_json(&v);
    if (!record)
        return -ENOMEM;
    engine_artifact(g, "evaluation", 0, path);
    ledger_put_json(step, path, record);
    *ret = ANSWER_OK;
    return 0;
}

/* ---- the verdict ---- */

static double mean_score(const Outcome *o, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += o[i].score;
    return n > 0 ? sum / (double) n : 0;
}

static bool all_passed(const Outcome *o, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!o[i].passed || o[i].end != TRIAL_DONE)
            return false;
    return n > 0;
}

/* Mean of the candidate over the visible tasks; *ret_worse: some task is worse than with the code it was made from, *ret_all: all visible ones pass. */
static double candidate_score(const Evaluation *v, bool *ret_worse, bool *ret_all)
{
    const Engine *g = v->g;
    double sum = 0;
    size_t n = 0;

    *ret_worse = false;
    *ret_all = true;
    for (size_t i = 0; i < g->n_tasks; i++) {
        double score = mean_score(v->tasks[i].candidate, v->tasks[i].n_candidate);
        bool passed = all_passed(v->tasks[i].candidate, v->tasks[i].n_candidate);

        if (score < g->tasks[i].score - 1e-9 || (g->tasks[i].passed && !passed))
            *ret_worse = true;
        if (g->tasks[i].kind != TASK_VISIBLE)
            continue;
        *ret_all &= passed;
        sum += score;
        n++;
    }
    return n > 0 ? sum / (double) n : 0;
}

/* Iterations in a row that improved nothing, with this one. */
static unsigned plateau_of(const Evaluation *v)
{
    const Engine *g = v->g;
    bool worse, all;

    if (g->p.coder_end == CODER_DELIVERED && candidate_score(v, &worse, &all) > tasks_score(g) + 1e-9 && !worse)
        return 0;
    return g->p.plateau + 1;
}

/* The candidate becomes what the next iteration works on. */
static int work_on_candidate(Evaluation *v, LedgerStep *step)
{
    Engine *g = v->g;
    StrBuf nothing = {};

    for (size_t i = 0; i < g->n_tasks; i++) {
        g->tasks[i].score = mean_score(v->tasks[i].candidate, v->tasks[i].n_candidate);
        g->tasks[i].passed = all_passed(v->tasks[i].candidate, v->tasks[i].n_candidate);
    }
    memcpy(g->p.work, g->p.commit, sizeof(g->p.work));
    tried_put(step, &nothing);
    return tasks_put(g, step);
}

/* The next iteration works on the same code, with another probe. A candidate that was evaluated and not borne out is not to come again. */
static int work_on_same(Evaluation *v, double score, LedgerStep *step, Error *e)
{
    _cleanup_(strbuf_done) StrBuf lines = {};
    TriedRecord record = {.candidate = v->g->p.candidate,
                          .outcome = "rejected",
                          .score = score,
                          .incumbent = tasks_score(v->g),
                          .why = "the evaluation does not bear it out"};
    int r = tried_load(v->g, &lines, e);

    if (r >= 0 && v->g->p.plateau > 0 && screen_clusters(v->g) > 1)
        r = tried_forget_failed(&lines);
    if (r >= 0 && v->g->p.coder_end == CODER_DELIVERED)
        r = tried_add(v->g, &lines, &record);
    if (r < 0)
        return r;
    tried_put(step, &lines);
    return 0;
}

/* Better than what it was made from, nothing worse, and something visible left to do: then the next iteration builds on the candidate. */
static int candidate_settle(Evaluation *v, LedgerStep *step, Error *e)
{
    Engine *g = v->g;
    bool delivered = g->p.coder_end == CODER_DELIVERED, worse = true, all = false;
    double before = tasks_score(g), score = delivered ? candidate_score(v, &worse, &all) : before;

    g->p.best_score = worse ? before : MAX(before, score);
    if (score > before + 1e-9 && !worse && !all)
        return work_on_candidate(v, step);
    return work_on_same(v, score, step, e);
}

/* What is ready to be applied, and what a consent to it is bound to. */
static int ready_put(Evaluation *v, LedgerStep *step, Error *e)
{
    _cleanup_(branch_diff_done) BranchDiff diff = {};
    _cleanup_json_ json_t *scores = NULL, *ready = NULL;
    _cleanup_free_ char *text = NULL;
    char digest[DIGEST_SIZE], path[64];
    Engine *g = v->g;
    int r = branch_diff(g->agent->repository, g->p.base_commit, g->p.commit, &diff, e);

    if (r < 0)
        return r;
    engine_artifact(g, "evaluation", 0, path);
    r = ledger_read_json(g->ledger, g->p.evolution, path, &scores, e);
    if (r < 0)
        return r;
    text = json_canonical(scores);
    if (!text)
        return -ENOMEM;
    hash_buffer(text, strlen(text), digest);
    ready = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "version", 1, "generation", g->p.generation,
                      "commit", g->p.commit, "base_generation", g->p.base_generation, "base_commit", g->p.base_commit,
                      "diff_digest", diff.digest, "scores_digest", digest, "batch", g->p.batch, "batch_digest",
                      g->batch->digest);
    if (!ready)
        return -ENOMEM;
    ledger_put(step, "candidate.diff", diff.text, diff.len);
    ledger_put_json(step, "scores.json", scores);
    ledger_put_json(step, "ready.json", ready);
    return 0;
}

static void end_words(Position *p, const Verdict *v)
{
    _cleanup_(strbuf_done) StrBuf words = {};
    const json_t *reason;
    size_t i;

    json_array_foreach (v->reasons, i, reason)
        strbuf_addf(&words, "%s%s", i > 0 ? "; " : "", json_string_value(reason));
    snprintf(p->end, sizeof(p->end), "%s", verdict_name(v->kind));
    snprintf(p->why, sizeof(p->why), "%.890s", words.data ? words.data : "");
}

int stage_verdict(Engine *g, LedgerStep *step, Answer *ret, Error *e)
{
    _cleanup_(evaluation_done) Evaluation v = {.g = g};
    _cleanup_(verdict_done) Verdict verdict = {};
    _cleanup_json_ json_t *record = NULL;
    VerdictPosition position;
    char path[64];
    int r;

    if ((r = evaluation_make(&v)) < 0 || (r = outcomes_load(&v, e)) < 0)
        return r;
    position = verdict_position(g, plateau_of(&v));
    r = verdict_compute(v.tasks, g->n_tasks, &position, &verdict);
    if (r < 0)
        return r;
    record = verdict_json(&verdict);
    if (!record)
        return -ENOMEM;
    engine_artifact(g, "verdict", 0, path);
    ledger_put_json(step, path, record);
    ledger_put_json(step, "verdict.json", record);
    g->p.plateau = position.plateau;
    engine_say(g, NULL, "%s", verdict_name(verdict.kind));
    *ret = ANSWER_OVER;
    /* Nothing but a coding agent that failed, from the first iteration on: that is not a statement about the agent. */
    if (verdict.kind != VERDICT_CONVERGED && g->p.failures >= MIN(g->p.iteration, FAILURES_MAX) &&
        (verdict.kind != VERDICT_NEED_MORE_WORK || g->p.failures >= FAILURES_MAX)) {
        snprintf(g->p.end, sizeof(g->p.end), "FAILED");
        return 0;
    }
    end_words(&g->p, &verdict);
    if (verdict.kind == VERDICT_CONVERGED)
        return ready_put(&v, step, e);
    if (verdict.kind != VERDICT_NEED_MORE_WORK)
        return 0;
    g->p.end[0] = g->p.why[0] = '\0';
    *ret = ANSWER_OK;
    return candidate_settle(&v, step, e);
}
