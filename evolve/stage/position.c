/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/stage/position.h"

#include <stdio.h>

#include "runtime/base/json.h"

static const char *const coder_ends[] = {
    [CODER_DELIVERED] = "delivered",
    [CODER_FAILED] = "failed",
    [CODER_EXHAUSTED] = "exhausted",
    [CODER_PLAN_REJECTED] = "plan_rejected",
    [CODER_ARCHITECTURE_REJECTED] = "architecture_rejected",
    [CODER_CODE_REJECTED] = "code_rejected",
};

json_t *position_json(const Position *p)
{
    json_t *o = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:s, s:s}", "version", 1,
                          "evolution", p->evolution, "batch", p->batch, "depth", p->depth->name, "adapter", p->adapter,
                          "stage", stage_table[p->stage].name, "iteration", (int) p->iteration, "plan_round",
                          (int) p->plan_round, "code_round", (int) p->code_round, "plateau", (int) p->plateau,
                          "failures", (int) p->failures, "coder_end", coder_ends[p->coder_end], "work", p->work);
    json_t *more = json_pack(
        "{s:{s:s, s:s}, s:{s:s, s:s, s:s}, s:{s:f, s:f}, s:{s:i, s:i, s:i}, s:{s:I, s:I, s:I, s:I, s:I}, s:s, s:s, "
        "s:s, s:s}",
        "base", "generation", p->base_generation, "commit", p->base_commit, "candidate", "generation", p->generation,
        "commit", p->commit, "id", p->candidate, "scores", "baseline", p->baseline_score, "best", p->best_score,
        "limits", "seconds", (int) p->seconds, "trials", (int) p->trials, "candidates", (int) p->candidates, "used",
        "wall_usec", (json_int_t) p->used.wall_usec, "trials", (json_int_t) p->used.trials, "candidates",
        (json_int_t) p->used.candidates, "builds", (json_int_t) p->used.builds, "cpu_usec",
        (json_int_t) p->used.cpu_usec, "started", p->started, "ended", p->ended, "end", p->end, "why", p->why);

    if (!o || !more || json_object_update_missing(o, more) < 0) {
        json_decref(o);
        o = NULL;
    }
    json_decref(more);
    return o;
}

typedef struct Reader {
    const json_t *o;
    JsonAt at;
    Error *e;
    int r; /* sticky */
} Reader;

static void read_text(Reader *in, const char *key, char *buf, size_t size)
{
    const char *s = "";

    if (in->r >= 0)
        in->r = json_need_string(in->o, in->at, key, &s, in->e);
    if (in->r >= 0 && strlen(s) >= size)
        in->r = error_setf(in->e, -EINVAL, "%s: %s is longer than %zu bytes", in->at.file, key, size - 1);
    if (in->r >= 0)
        memcpy(buf, s, strlen(s) + 1);
}

static int64_t read_number(Reader *in, const char *key, int64_t max)
{
    int64_t v = 0;

    if (in->r >= 0)
        in->r = json_need_integer(in->o, in->at, key, 0, max, &v, in->e);
    return v;
}

static double read_score(Reader *in, const char *key)
{
    const json_t *v = json_object_get(in->o, key);

    if (in->r >= 0 && !json_is_number(v))
        in->r = error_setf(in->e, -EINVAL, "%s: %s is no number", in->at.file, key);
    return json_number_value(v);
}

static Reader read_object(Reader *in, const char *key)
{
    json_t *o = NULL;

    if (in->r >= 0)
        in->r = json_need(in->o, in->at, key, JSON_OBJECT, &o, in->e);
    return (Reader){.o = o, .at = {in->at.file, key}, .e = in->e, .r = in->r};
}

static int read_words(Reader *in, Position *p)
{
    char depth[32] = "", stage[32] = "", end[32] = "";

    read_text(in, "depth", depth, sizeof(depth));
    read_text(in, "stage", stage, sizeof(stage));
    read_text(in, "coder_end", end, sizeof(end));
    if (in->r < 0)
        return in->r;
    p->depth = depth_find(depth);
    if (!p->depth || stage_by_name(stage, &p->stage) < 0)
        return error_setf(in->e, -EINVAL, "%s: depth \"%s\" or stage \"%s\" is not known", in->at.file, depth, stage);
    for (size_t i = 0; i < ARRAY_SIZE(coder_ends); i++) {
        if (streq(coder_ends[i], end)) {
            p->coder_end = (CoderEnd) i;
            return 0;
        }
    }
    return error_setf(in->e, -EINVAL, "%s: coder_end \"%s\" is not known", in->at.file, end);
}

int position_parse(const json_t *o, Position *ret, Error *e)
{
    Reader in = {.o = o, .at = {"position.json", ""}, .e = e}, part;
    Position p = {};
    int r;

    read_text(&in, "evolution", p.evolution, sizeof(p.evolution));
    read_text(&in, "batch", p.batch, sizeof(p.batch));
    read_text(&in, "adapter", p.adapter, sizeof(p.adapter));
    read_text(&in, "work", p.work, sizeof(p.work));
    read_text(&in, "started", p.started, sizeof(p.started));
    read_text(&in, "ended", p.ended, sizeof(p.ended));
    read_text(&in, "end", p.end, sizeof(p.end));
    read_text(&in, "why", p.why, sizeof(p.why));
    p.iteration = (unsigned) read_number(&in, "iteration", 1000);
    p.plan_round = (unsigned) read_number(&in, "plan_round", 1000);
    p.code_round = (unsigned) read_number(&in, "code_round", 1000);
    p.plateau = (unsigned) read_number(&in, "plateau", 1000);
    p.failures = (unsigned) read_number(&in, "failures", 1000);
    r = read_words(&in, &p);
    if (r < 0)
        return r;
    part = read_object(&in, "base");
    read_text(&part, "generation", p.base_generation, sizeof(p.base_generation));
    read_text(&part, "commit", p.base_commit, sizeof(p.base_commit));
    in.r = part.r;
    part = read_object(&in, "candidate");
    read_text(&part, "generation", p.generation, sizeof(p.generation));
    read_text(&part, "commit", p.commit, sizeof(p.commit));
    read_text(&part, "id", p.candidate, sizeof(p.candidate));
    in.r = part.r;
    part = read_object(&in, "scores");
    p.baseline_score = read_score(&part, "baseline");
    p.best_score = read_score(&part, "best");
    in.r = part.r;
    part = read_object(&in, "limits");
    p.seconds = (unsigned) read_number(&part, "seconds", INT32_MAX);
    p.trials = (unsigned) read_number(&part, "trials", INT32_MAX);
    p.candidates = (unsigned) read_number(&part, "candidates", INT32_MAX);
    in.r = part.r;
    part = read_object(&in, "used");
    p.used.wall_usec = (uint64_t) read_number(&part, "wall_usec", INT64_MAX);
    p.used.trials = (uint64_t) read_number(&part, "trials", INT64_MAX);
    p.used.candidates = (uint64_t) read_number(&part, "candidates", INT64_MAX);
    p.used.builds = (uint64_t) read_number(&part, "builds", INT64_MAX);
    p.used.cpu_usec = (uint64_t) read_number(&part, "cpu_usec", INT64_MAX);
    if (part.r < 0)
        return part.r;
    *ret = p;
    return 0;
}

static void iteration_begin(Position *p)
{
    p->iteration++;
    p->plan_round = 1;
    p->code_round = 1;
    p->coder_end = CODER_DELIVERED;
    p->generation[0] = '\0';
    p->commit[0] = '\0';
    p->candidate[0] = '\0';
}

int position_advance(Position *p, Answer answer)
{
    bool code = p->stage == STAGE_CODE_REVIEW;
    StageId next;
    int r;

    if (answer == ANSWER_REJECT &&
        (code ? p->code_round > p->depth->code_retries : p->plan_round > p->depth->plan_rounds))
        answer = ANSWER_LAST;
    r = stage_next(p->stage, answer, &next);
    if (r < 0)
        return r;
    if (answer == ANSWER_REJECT && code)
        p->code_round++;
    else if (answer == ANSWER_REJECT)
        p->plan_round++;
    if (answer == ANSWER_LAST && code)
        p->coder_end = CODER_CODE_REJECTED;
    if (next == STAGE_LOCATE)
        iteration_begin(p);
    p->stage = next;
    return 0;
}
