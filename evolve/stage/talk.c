/* SPDX-License-Identifier: Apache-2.0 */
/* The stages in which the coding agent only reads: locate, plan, plan-review, code-review. */
#include <stdio.h>

#include "evolve/stage/internal.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define IMPLEMENT_CANDIDATES 4000

static void event_said(const json_t *event, void *userdata)
{
    Engine *g = userdata;
    _cleanup_json_ json_t *text = text_json(json_string_value(json_object_get(event, "event")));

    engine_say(g, NULL, "coding agent: %.200s", json_string_value(text));
}

/* What the ledger keeps of an answer. */
static json_t *answer_json(const CoderAnswer *a)
{
    return json_pack("{s:b, s:s, s:O?, s:i, s:I, s:I, s:o}", "ok", a->ok, "why", a->why, "result", a->result,
                     "candidates", (int) json_array_size(a->candidates), "wall_usec", (json_int_t) a->wall_usec,
                     "cpu_usec", (json_int_t) a->cpu_usec, "log", text_json(a->log));
}

void engine_coder_failed(Engine *g, const char *why)
{
    g->p.coder_end = CODER_FAILED;
    g->p.failures++;
    snprintf(g->p.why, sizeof(g->p.why), "the coding agent failed (%s): %.800s", stage_table[g->p.stage].name, why);
    engine_say(g, NULL, "the coding agent failed: %s", why);
}

int engine_ask(Engine *g, CoderRole role, unsigned round, int tree, CoderAnswer *ret, LedgerStep *step, Error *e)
{
    const Stage *stage = &stage_table[g->p.stage];
    uint64_t left = g->p.candidates - MIN((uint64_t) g->p.candidates, g->p.used.candidates);
    _cleanup_json_ json_t *record = NULL;
    CoderAnswer answer = {};
    char path[64];
    int r = engine_lay_out_evidence(g, e);

    if (r < 0)
        return r;
    CoderSpec spec = {
        .agent = g->agent,
        .adapter = g->p.adapter,
        .base_layer = engine_base_layer(g),
        .scratch = g->worktrees,
        .worktree = tree,
        .evidence = g->evidence,
        .cgroup = g->cgroup,
        .role = role,
        .iteration = g->p.iteration,
        .round = round,
        .max_candidates = (unsigned) MIN(left, (uint64_t) IMPLEMENT_CANDIDATES),
        .seconds = MIN(stage->seconds, g->agent->coder_timeout_seconds),
        .stop = g->o.stop,
        .event = event_said,
        .userdata = g,
    };
    engine_say(g, NULL, "asking the coding agent (%s)", g->p.adapter);
    r = coder_run(&spec, &answer, e);
    if (r < 0)
        return r;
    g->p.used.cpu_usec += answer.cpu_usec;
    if (!answer.ok)
        engine_coder_failed(g, answer.why);
    record = answer_json(&answer);
    if (!record) {
        coder_answer_done(&answer);
        return -ENOMEM;
    }
    engine_artifact(g, stage->output, round, path);
    ledger_put_json(step, path, record);
    if (answer.ok && stage->latest) {
        snprintf(path, sizeof(path), "evidence/%s", stage->latest);
        ledger_put_json(step, path, answer.result);
    }
    *ret = answer;
    return 0;
}

static int ask_to_read(Engine *g, CoderRole role, unsigned round, CoderAnswer *ret, LedgerStep *step, Error *e)
{
    _cleanup_close_ int tree = engine_tree(g, e);

    if (tree < 0)
        return tree;
    return engine_ask(g, role, round, tree, ret, step, e);
}

int stage_locate(Engine *g, LedgerStep *step, Answer *ret, Error *e)
{
    _cleanup_(coder_answer_done) CoderAnswer a = {};
    int r = ask_to_read(g, ROLE_LOCATE, 0, &a, step, e);

    if (r < 0)
        return r;
    if (a.ok)
        engine_say(g, NULL, "%zu places", json_array_size(json_object_get(a.result, "places")));
    *ret = a.ok ? ANSWER_OK : ANSWER_FAILED;
    return 0;
}

/* What the next round is told. */
static int feedback_put(LedgerStep *step, const char *stage, const char *decision, const char *why)
{
    _cleanup_json_ json_t *o = json_pack("{s:s, s:s, s:s}", "stage", stage, "decision", decision, "why", why);

    if (!o)
        return -ENOMEM;
    ledger_put_json(step, "evidence/stage/review.json", o);
    return 0;
}

/* A visible task that the plan says nothing about, or NULL. */
static const char *task_left_out(const Engine *g, const json_t *plan)
{
    const json_t *covered = json_object_get(plan, "tasks");

    for (size_t i = 0; i < g->n_tasks; i++) {
        const char *id = json_string_value(json_object_get(g->tasks[i].task, "id"));
        const char *words;

        if (g->tasks[i].kind != TASK_VISIBLE)
            continue;
        words = json_string_value(json_object_get(covered, id));
        if (!words || !*words)
            return id;
    }
    return NULL;
}

int stage_plan(Engine *g, LedgerStep *step, Answer *ret, Error *e)
{
    _cleanup_(coder_answer_done) CoderAnswer a = {};
    const char *left_out;
    char why[200];
    int r = ask_to_read(g, ROLE_PLAN, g->p.plan_round, &a, step, e);

    if (r < 0)
        return r;
    *ret = a.ok ? ANSWER_OK : ANSWER_FAILED;
    left_out = a.ok ? task_left_out(g, a.result) : NULL;
    if (!left_out)
        return 0;
    snprintf(why, sizeof(why), "the plan does not say how task %s is covered", left_out);
    engine_say(g, NULL, "REJECT_COMPLETENESS: %s", why);
    g->p.coder_end = CODER_PLAN_REJECTED;
    *ret = ANSWER_REJECT;
    return feedback_put(step, "plan", "REJECT_COMPLETENESS", why);
}

/* Decision and reason are the answer's; "" where it has none. */
typedef struct Review {
    CoderAnswer answer;
    const char *decision, *why;
} Review;

static void review_done(Review *v)
{
    coder_answer_done(&v->answer);
}

static int ask_for_review(Engine *g, CoderRole role, unsigned round, Review *v, LedgerStep *step, Answer *ret, Error *e)
{
    int r = ask_to_read(g, role, round, &v->answer, step, e);

    if (r < 0)
        return r;
    v->decision = json_string_value(json_object_get(v->answer.result, "decision")) ?: "";
    v->why = json_string_value(json_object_get(v->answer.result, "why")) ?: "";
    *ret = !v->answer.ok ? ANSWER_FAILED : streq(v->decision, "APPROVE") ? ANSWER_OK : ANSWER_REJECT;
    if (v->answer.ok)
        engine_say(g, NULL, "%s%s%.300s", v->decision, *v->why ? ": " : "", v->why);
    return 0;
}

int stage_plan_review(Engine *g, LedgerStep *step, Answer *ret, Error *e)
{
    _cleanup_(review_done) Review v = {};
    int r = ask_for_review(g, ROLE_PLAN_REVIEW, g->p.plan_round, &v, step, ret, e);

    if (r < 0 || *ret == ANSWER_FAILED)
        return r;
    if (*ret == ANSWER_OK) {
        g->p.coder_end = CODER_DELIVERED;
        return 0;
    }
    g->p.coder_end = streq(v.decision, "REJECT_ARCHITECTURAL") ? CODER_ARCHITECTURE_REJECTED : CODER_PLAN_REJECTED;
    return feedback_put(step, "plan-review", v.decision, v.why);
}

/* The candidate will not be taken: the coding agent is not to propose it again. */
static int candidate_rejected(Engine *g, LedgerStep *step, const char *why, Error *e)
{
    _cleanup_(strbuf_done) StrBuf lines = {};
    int r = tried_load(g, &lines, e);

    if (r < 0)
        return r;
    r = tried_add(
        g, &lines,
        &(TriedRecord){.candidate = g->p.candidate, .outcome = "rejected", .incumbent = tasks_score(g), .why = why});
    if (r < 0)
        return r;
    tried_put(step, &lines);
    return 0;
}

int stage_code_review(Engine *g, LedgerStep *step, Answer *ret, Error *e)
{
    _cleanup_(review_done) Review v = {};
    int r = ask_for_review(g, ROLE_CODE_REVIEW, g->p.code_round, &v, step, ret, e);

    if (r < 0 || *ret != ANSWER_REJECT)
        return r;
    r = candidate_rejected(g, step, v.why, e);
    if (r < 0)
        return r;
    return feedback_put(step, "code-review", v.decision, v.why);
}
