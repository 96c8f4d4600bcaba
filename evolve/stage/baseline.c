/* SPDX-License-Identifier: Apache-2.0 */
/* Stage baseline: every task is replayed twice with the incumbent. A complaint counts when the incumbent fails it both times, replayed at the narrowest width
 * at which it fails as it was recorded, or else at the widest; a guard counts when it passes both times. The others are set aside, with the reason. */
#include <ctype.h>
#include <stdio.h>

#include "evolve/evidence/task.h"
#include "evolve/stage/internal.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define REPLAYS 2
#define REGRESSION_MAX 200
#define EXECUTED_MAX 200000

/* One task on its way through the baseline. */
typedef struct Probe {
    const json_t *task; /* of the batch or of the regression set */
    TaskKind kind;
    size_t width;
    json_t *replayed; /* the task at this width */
    unsigned passed, failed, voided;
    unsigned alike;     /* of the failed: as it was recorded */
    double score;       /* worst */
    uint64_t wall_usec; /* slowest */
    json_t *record;     /* of the last failed replay, for the coding agent */
    bool settled, kept;
    char why[260];
} Probe;

typedef struct Baseline {
    Engine *g;
    Probe *probes;
    size_t n;
    json_t *regression;        /* array that owns the regression tasks */
    json_t *failing, *passing; /* "path:line" → number of tasks that executed it */
} Baseline;

static void baseline_done(Baseline *b)
{
    for (size_t i = 0; i < b->n; i++) {
        json_decref(b->probes[i].replayed);
        json_decref(b->probes[i].record);
    }
    free(b->probes);
    json_decref(b->regression);
    json_decref(b->failing);
    json_decref(b->passing);
}

/* ---- tasks ---- */

static int regression_load(Engine *g, json_t *list, Error *e)
{
    _cleanup_closedir_ DIR *dir = NULL;
    _cleanup_close_ int fd = openat(g->dir, "regression", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const struct dirent *d;

    if (fd < 0)
        return errno == ENOENT ? 0 : error_errnof(e, -errno, "%s/regression", g->directory);
    dir = fdopendir(fd);
    if (!dir)
        return -ENOMEM;
    (void) TAKE_FD(fd);
    while ((d = readdir(dir))) {
        json_t *task = NULL;
        int r;

        if (!endswith(d->d_name, ".json") || json_array_size(list) >= REGRESSION_MAX)
            continue;
        r = json_read_at(dirfd(dir), d->d_name, JSON_FILE_MAX, &task, e);
        if (r >= 0)
            r = task_check(task, d->d_name, e);
        if (r >= 0 &&
            (json_object_set_new(task, "kind", json_string("guard")) < 0 || json_array_append(list, task) < 0))
            r = -ENOMEM;
        json_decref(task);
        if (r < 0)
            return error_wrapf(e, r, "%s/regression", g->directory);
    }
    return 0;
}

static bool probe_known(const Baseline *b, const json_t *task)
{
    for (size_t i = 0; i < b->n; i++)
        if (json_equal(json_object_get(b->probes[i].task, "id"), json_object_get(task, "id")))
            return true;
    return false;
}

static int probes_make(Baseline *b, Error *e)
{
    const json_t *task;
    size_t i;
    int r;

    b->regression = json_array();
    r = regression_load(b->g, b->regression, e);
    if (r < 0)
        return r;
    b->probes = calloc(json_array_size(b->g->batch->tasks) + json_array_size(b->regression) + 1, sizeof(*b->probes));
    if (!b->probes)
        return -ENOMEM;
    json_array_foreach (b->g->batch->tasks, i, task)
        b->probes[b->n++] = (Probe){.task = task, .kind = task_kind(task)};
    json_array_foreach (b->regression, i, task) {
        /* A complaint that came again is evidence now: the fix of then does not hold. */
        if (!probe_known(b, task))
            b->probes[b->n++] = (Probe){.task = task, .kind = TASK_GUARD};
    }
    return 0;
}

/* ---- replays ---- */

static json_t *record_of(TrialResult *r)
{
    return json_pack("{s:O, s:f, s:b, s:s, s:s, s:O?, s:O?, s:o}", "task", json_object_get(r->task, "id"), "score",
                     r->score, "passed", r->passed, "end", trial_end_name(r->end), "why", r->why, "grades", r->grades,
                     "transcript", r->transcript, "log", text_json(r->log));
}

static int replay_done(TrialResult *r, _unused_ void *userdata)
{
    Probe *p = r->cookie;

    p->wall_usec = MAX(p->wall_usec, r->wall_usec);
    p->score = MIN(p->score, r->score);
    if (r->end == TRIAL_BAD_TRANSCRIPT) {
        p->voided++;
        snprintf(p->why, sizeof(p->why), "it cannot be replayed: %s", r->why);
        return 0;
    }
    if (r->passed && r->end == TRIAL_DONE) {
        p->passed++;
        return 0;
    }
    p->failed++;
    p->alike += task_failed_alike(r->task, r->transcript);
    json_decref(p->record);
    p->record = record_of(r);
    return p->record ? 0 : -ENOMEM;
}

static void probe_settle(Probe *p)
{
    bool guard = p->kind == TASK_GUARD, wider = !guard && p->width + 1 < task_widths(p->task);

    /* What fails otherwise than it did then may lack what came before, which no candidate can mend: it counts only
     * with all of that. */
    if (guard ? p->passed == REPLAYS : (wider ? p->alike : p->failed) == REPLAYS) {
        p->settled = p->kept = true;
        return;
    }
    if (wider) {
        p->width++;
        return;
    }
    p->settled = true;
    if (p->voided > 0)
        return;
    snprintf(p->why, sizeof(p->why), "%s",
             guard           ? "does not pass twice with the code that runs"
             : p->failed > 0 ? "fails in one replay and passes in the other: chance decides it"
                             : "passes when it is replayed, with all that came before too");
}

/* Replays what is not settled, at its width. Returns how many that were. */
static int replay_round(Baseline *b, Error *e)
{
    _cleanup_free_ TrialSpec *specs = calloc(REPLAYS * b->n + 1, sizeof(*specs));
    Engine *g = b->g;
    size_t n = 0;
    int r;

    if (!specs)
        return -ENOMEM;
    for (size_t i = 0; i < b->n; i++) {
        Probe *p = &b->probes[i];

        if (p->settled)
            continue;
        json_decref(p->replayed);
        p->replayed = task_at_width(p->task, p->width);
        if (!p->replayed)
            return -ENOMEM;
        p->passed = p->failed = p->voided = p->alike = 0;
        p->score = 1;
        p->wall_usec = 0;
        for (unsigned k = 0; k < REPLAYS; k++)
            specs[n++] = (TrialSpec){.label = "incumbent",
                                     .lowers = g->layers,
                                     .n_lowers = g->incumbent->n_layers,
                                     .generation = g->p.base_generation,
                                     .task = p->replayed,
                                     .repeat = k,
                                     .cookie = p};
    }
    r = n > 0 ? engine_trials(g, specs, n, replay_done, NULL, e) : 0;
    if (r < 0)
        return r;
    for (size_t i = 0; i < b->n; i++)
        if (!b->probes[i].settled)
            probe_settle(&b->probes[i]);
    return (int) n;
}

/* ---- traces ---- */

static bool executed_valid(const char *s)
{
    const char *colon = s ? strrchr(s, ':') : NULL;

    if (!colon || colon == s || strlen(s) > 300)
        return false;
    for (const char *p = s; *p; p++)
        if ((unsigned char) *p < ' ')
            return false;
    return isdigit((unsigned char) colon[1]);
}

static int trace_done(TrialResult *r, void *userdata)
{
    Baseline *b = userdata;
    const Probe *p = r->cookie;
    json_t *counts = p->kind == TASK_GUARD ? b->passing : b->failing;
    const json_t *line;
    size_t i;

    json_array_foreach (r->executed, i, line) {
        const char *key = json_string_value(line);

        if (!executed_valid(key) || json_object_size(counts) >= EXECUTED_MAX)
            continue;
        if (json_object_set_new(counts, key, json_integer(1 + json_integer_value(json_object_get(counts, key)))) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int traces_collect(Baseline *b, Error *e)
{
    _cleanup_free_ TrialSpec *specs = calloc(b->n + 1, sizeof(*specs));
    Engine *g = b->g;
    size_t n = 0;

    if (!specs)
        return -ENOMEM;
    for (size_t i = 0; i < b->n; i++) {
        Probe *p = &b->probes[i];

        if (!p->kept || p->kind == TASK_SEALED)
            continue;
        specs[n++] = (TrialSpec){.label = "trace",
                                 .lowers = g->layers,
                                 .n_lowers = g->incumbent->n_layers,
                                 .generation = g->p.base_generation,
                                 .task = p->replayed,
                                 .trace = true,
                                 .cookie = p};
    }
    return n > 0 ? engine_trials(g, specs, n, trace_done, b, e) : 0;
}

static int executed_put(LedgerStep *step, const char *path, json_t *counts)
{
    _cleanup_(strbuf_done) StrBuf text = {};
    const json_t *count;
    const char *key;

    json_object_foreach (counts, key, count)
        strbuf_addf(&text, "%s\t%lld\n", key, (long long) json_integer_value(count));
    if (text.failed)
        return -ENOMEM;
    ledger_put(step, path, text.data ? text.data : "", text.len);
    return 0;
}

/* ---- artifacts ---- */

/* batch.json without what would tell about tasks that the coding agent may not see. */
static int batch_put(const Baseline *b, LedgerStep *step)
{
    const json_t *batch = b->g->batch->json;
    _cleanup_json_ json_t *tasks = json_array();
    _cleanup_json_ json_t *o = NULL;

    for (size_t i = 0; i < b->n; i++)
        if (b->probes[i].kept && b->probes[i].kind == TASK_VISIBLE &&
            json_array_append(tasks, json_object_get(b->probes[i].task, "id")) < 0)
            return -ENOMEM;
    o = json_pack("{s:i, s:s, s:O?, s:O}", "version", 1, "id", b->g->batch->id, "clusters",
                  json_object_get(batch, "clusters"), "tasks", tasks);
    if (!o)
        return -ENOMEM;
    ledger_put_json(step, "evidence/batch.json", o);
    return 0;
}

static int summary_put(const Baseline *b, LedgerStep *step)
{
    _cleanup_json_ json_t *list = json_array(), *o = NULL;

    for (size_t i = 0; i < b->n; i++) {
        const Probe *p = &b->probes[i];
        char path[64];

        if (json_array_append_new(list,
                                  json_pack("{s:O, s:s, s:O?, s:i, s:b, s:s, s:f, s:i, s:i, s:i}", "id",
                                            json_object_get(p->task, "id"), "kind", task_kind_name(p->kind), "cluster",
                                            json_object_get(p->task, "cluster"), "width", (int) p->width, "kept",
                                            p->kept, "why", p->kept ? "" : p->why, "score", p->score, "passed",
                                            (int) p->passed, "failed", (int) p->failed, "void", (int) p->voided)) < 0)
            return -ENOMEM;
        if (!p->kept || p->kind != TASK_VISIBLE)
            continue;
        snprintf(path, sizeof(path), "evidence/baseline/%s.json", json_string_value(json_object_get(p->task, "id")));
        ledger_put_json(step, path, p->record);
    }
    o = json_pack("{s:i, s:O}", "version", 1, "tasks", list);
    if (!o)
        return -ENOMEM;
    ledger_put_json(step, "baseline.json", o);
    return 0;
}

static int tasks_keep(Baseline *b)
{
    Engine *g = b->g;

    tasks_free(g);
    g->tasks = calloc(b->n + 1, sizeof(*g->tasks));
    if (!g->tasks)
        return -ENOMEM;
    for (size_t i = 0; i < b->n; i++) {
        const Probe *p = &b->probes[i];

        if (p->kept)
            g->tasks[g->n_tasks++] = (EngineTask){.task = json_incref(p->replayed),
                                                  .kind = p->kind,
                                                  .wall_usec = p->wall_usec,
                                                  .score = p->score,
                                                  .passed = p->kind == TASK_GUARD};
    }
    return 0;
}

static int artifacts_put(Baseline *b, LedgerStep *step)
{
    int r;

    if ((r = tasks_keep(b)) < 0 || (r = tasks_put(b->g, step)) < 0 || (r = batch_put(b, step)) < 0 ||
        (r = summary_put(b, step)) < 0)
        return r;
    if (!b->g->agent->trace_argv)
        return 0;
    if ((r = executed_put(step, "evidence/executed/failing.tsv", b->failing)) < 0)
        return r;
    return executed_put(step, "evidence/executed/passing.tsv", b->passing);
}

static size_t count_kept(const Baseline *b, TaskKind kind, size_t *ret_all)
{
    size_t kept = 0;

    *ret_all = 0;
    for (size_t i = 0; i < b->n; i++) {
        *ret_all += b->probes[i].kind == kind;
        kept += b->probes[i].kind == kind && b->probes[i].kept;
    }
    return kept;
}

/* The run ends here when no complaint can be reproduced: there would be nothing to measure a change by. */
static void conclude(const Baseline *b, Answer *ret)
{
    Position *p = &b->g->p;
    const char *first = "";
    size_t visible, sealed, guards, kept = count_kept(b, TASK_VISIBLE, &visible),
                                    kept_sealed = count_kept(b, TASK_SEALED, &sealed),
                                    kept_guards = count_kept(b, TASK_GUARD, &guards);

    p->baseline_score = tasks_score(b->g);
    p->best_score = p->baseline_score;
    engine_say(b->g, NULL, "%zu of %zu complaints reproduce, %zu of %zu sealed ones; %zu of %zu guards hold", kept,
               visible, kept_sealed, sealed, kept_guards, guards);
    *ret = ANSWER_OK;
    if (kept > 0)
        return;
    for (size_t i = 0; i < b->n && !*first; i++)
        if (b->probes[i].kind == TASK_VISIBLE)
            first = b->probes[i].why;
    *ret = ANSWER_OVER;
    snprintf(p->end, sizeof(p->end), "INCONCLUSIVE");
    snprintf(p->why, sizeof(p->why),
             "none of the %zu complaints can be reproduced (the first one %s), so no change could be measured by them",
             visible, first);
}

int stage_baseline(Engine *g, LedgerStep *step, Answer *ret, Error *e)
{
    _cleanup_(baseline_done) Baseline b = {.g = g, .failing = json_object(), .passing = json_object()};
    size_t all;
    int r = probes_make(&b, e);

    if (r < 0)
        return r;
    engine_say(g, NULL, "replaying %zu tasks with the code that runs", b.n);
    while ((r = replay_round(&b, e)) > 0)
        ;
    if (r < 0)
        return r;
    if (g->agent->trace_argv && count_kept(&b, TASK_VISIBLE, &all) > 0) {
        engine_say(g, NULL, "tracing which lines they execute");
        r = traces_collect(&b, e);
        if (r < 0)
            return r;
    }
    r = artifacts_put(&b, step);
    if (r < 0)
        return r;
    conclude(&b, ret);
    return 0;
}
