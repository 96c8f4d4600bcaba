/* SPDX-License-Identifier: Apache-2.0 */
#include "ready.h"

#include <stdio.h>

#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "shim/client/client.h"

static int choose_batch(int dir, const char *wanted, char ret[static BATCH_ID_SIZE], Error *e)
{
    _cleanup_json_ json_t *batch = NULL;
    int r;

    if (wanted) {
        if (strlen(wanted) >= BATCH_ID_SIZE)
            return error_setf(e, -ENOENT, "there is no batch %.40s", wanted);
        memcpy(ret, wanted, strlen(wanted) + 1);
        return 0;
    }
    r = batch_find(dir, NULL, batch_state_name(BATCH_READY), &batch, e);
    if (r < 0)
        return r;
    if (!batch)
        return error_setf(e, -ENODATA, "nothing is ready to be applied");
    snprintf(ret, BATCH_ID_SIZE, "%s", json_string_value(json_object_get(batch, "id")));
    return 0;
}

/* ---- scores ---- */

static double mean_score(const json_t *outcomes)
{
    double sum = 0;
    json_t *o;
    size_t i;

    json_array_foreach ((json_t *) outcomes, i, o) {
        sum += json_number_value(json_object_get(o, "score"));
    }
    return json_array_size(outcomes) > 0 ? sum / (double) json_array_size(outcomes) : 0;
}

static void sum_scores(Ready *r)
{
    const json_t *tasks = json_object_get(r->scores, "tasks");
    json_t *task;
    size_t i, n = 0;

    json_array_foreach ((json_t *) tasks, i, task) {
        if (task_kind(task) == TASK_GUARD)
            continue;
        r->before += mean_score(json_object_get(task, "incumbent"));
        r->after += mean_score(json_object_get(task, "candidate"));
        n++;
    }
    r->before /= n > 0 ? (double) n : 1;
    r->after /= n > 0 ? (double) n : 1;
}

/* ---- checks ---- */

static int read_facts(const EvoContext *c, Ready *r, Error *e)
{
    JsonAt at = {"ready.json", ""};
    ConsentFacts *f = &r->facts;
    int q;

    f->agent = c->agent_name;
    f->batch = r->batch->id;
    f->evolution = json_string_value(json_object_get(r->batch->json, "evolution"));
    q = json_need_string(r->json, at, "generation", &f->generation, e);
    if (q >= 0)
        q = json_need_string(r->json, at, "commit", &f->commit, e);
    if (q >= 0)
        q = json_need_string(r->json, at, "base_generation", &f->base_generation, e);
    if (q >= 0)
        q = json_need_string(r->json, at, "diff_digest", &f->diff_digest, e);
    if (q >= 0)
        q = json_need_string(r->json, at, "scores_digest", &f->scores_digest, e);
    if (q >= 0)
        q = json_need_string(r->json, at, "batch_digest", &f->evidence_digest, e);
    return q;
}

static int same(const char *what, const char *recorded, const char *now, Error *e)
{
    return streq(recorded, now)
               ? 0
               : error_setf(e, -ESTALE, "the %s is not the one that was tried: it was %.70s, now it is %.70s", what,
                            recorded, now);
}

/* Digests are taken again of what is there now: a consent must not be asked for something that changed since. */
static int check_artifacts(const EvoContext *c, Ready *r, Error *e)
{
    _cleanup_free_ char *text = NULL;
    const char *base_commit;
    int q = json_need_string(r->json, (JsonAt){"ready.json", ""}, "base_commit", &base_commit, e);

    if (q >= 0)
        q = branch_diff(c->agent->repository, base_commit, r->facts.commit, &r->diff, e);
    if (q < 0)
        return q;
    text = json_canonical(r->scores);
    if (!text)
        return error_setf(e, -ENOMEM, "out of memory");
    hash_buffer(text, strlen(text), r->scores_digest);
    q = same("diff", r->facts.diff_digest, r->diff.digest, e);
    if (q >= 0)
        q = same("evidence", r->facts.evidence_digest, r->batch->digest, e);
    return q < 0 ? q : same("record of scores", r->facts.scores_digest, r->scores_digest, e);
}

static int check_head(const EvoContext *c, Ready *r, Error *e)
{
    int64_t epoch;
    int q = shim_head(c->store_path, c->agent_name, &r->head, &epoch, e);

    if (q < 0)
        return q;
    r->applied = streq(r->head, r->facts.generation);
    if (r->applied || streq(r->head, r->facts.base_generation))
        return 0;
    return error_setf(
        e, -ESTALE,
        "the head moved since batch %s was evolved: it was tried against %.12s, now %.12s runs; evolve again",
        r->batch->id, r->facts.base_generation, r->head);
}

static int load(const EvoContext *c, const char *batch, Ready *r, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(c->store_path, c->agent_name, e);
    char id[BATCH_ID_SIZE];
    const char *evolution;
    int q = dir < 0 ? dir : choose_batch(dir, batch, id, e);

    if (q >= 0)
        q = batch_load(dir, id, &r->batch, e);
    if (q < 0)
        return q;
    evolution = json_string_value(json_object_get(r->batch->json, "evolution"));
    if (r->batch->state != BATCH_READY || !evolution)
        return error_setf(e, -ENODATA, "batch %s is %s, not ready to be applied", id,
                          batch_state_name(r->batch->state));
    q = ledger_open(c->agent_directory, &r->ledger, e);
    if (q >= 0)
        q = ledger_read_json(r->ledger, evolution, "ready.json", &r->json, e);
    if (q >= 0)
        q = ledger_read_json(r->ledger, evolution, "scores.json", &r->scores, e);
    if (q >= 0)
        q = read_facts(c, r, e);
    if (q >= 0)
        q = check_artifacts(c, r, e);
    return q < 0 ? q : check_head(c, r, e);
}

int ready_load(const EvoContext *c, const char *batch, Ready *ret, Error *e)
{
    Ready r = {};
    int q = load(c, batch, &r, e);

    if (q < 0) {
        ready_done(&r);
        return q;
    }
    sum_scores(&r);
    *ret = r;
    return 0;
}

void ready_done(Ready *r)
{
    ledger_free(r->ledger);
    batch_free(r->batch);
    json_decref(r->json);
    json_decref(r->scores);
    branch_diff_done(&r->diff);
    free(r->head);
    *r = (Ready){};
}

json_t *ready_summary(const Ready *r)
{
    const ConsentFacts *f = &r->facts;

    return json_pack("{ss ss ss ss ss sI sI sI sf sf}", "batch", f->batch, "evolution", f->evolution, "generation",
                     f->generation, "commit", f->commit, "base_generation", f->base_generation, "files",
                     (json_int_t) r->diff.files, "insertions", (json_int_t) r->diff.insertions, "deletions",
                     (json_int_t) r->diff.deletions, "before", r->before, "after", r->after);
}
