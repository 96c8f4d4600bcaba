/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include "html.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"

#define SWAPS_MAX ((size_t) 4 << 20)
#define EXAMPLES_MAX 3

typedef struct Source {
    int agent_dir;
    Ledger *ledger;
    const char *evolution;
    unsigned iteration; /* the last one */
} Source;

/* An artifact that may not be there yet: *ret stays NULL then. */
static int artifact(const Source *s, const char *path, json_t **ret, Error *e)
{
    Error why = {};
    int r = ledger_read_json(s->ledger, s->evolution, path, ret, &why);

    if (r == -ENOENT)
        return 0;
    if (r < 0 && e)
        *e = why;
    return r;
}

static int artifact_of_iteration(const Source *s, const char *name, json_t **ret, Error *e)
{
    char path[64];

    snprintf(path, sizeof(path), "iterations/%u/%s.json", s->iteration, name);
    return artifact(s, path, ret, e);
}

/* JSON lines; what is none is left out: the last line may be cut off. */
static json_t *lines(const char *text, size_t len)
{
    json_t *list = json_array();
    const char *p = text, *end = text + len, *newline;

    while (list && (newline = memchr(p, '\n', (size_t) (end - p)))) {
        json_t *line = NULL;

        if (json_parse(p, (size_t) (newline - p), "line", &line, NULL) >= 0)
            (void) json_array_append_new(list, line);
        p = newline + 1;
    }
    return list;
}

/* ---- parts of the model ---- */

static int put_head(const Source *s, const char *agent, const json_t *position, json_t *m)
{
    const char *end = json_string_value(json_object_get(position, "end"));
    const json_t *why = json_object_get(position, "why");

    json_object_set_new(m, "agent", json_string(agent));
    json_object_set_new(m, "evolution", json_string(s->evolution));
    json_object_set(m, "batch", json_object_get(position, "batch"));
    json_object_set(m, "depth", json_object_get(position, "depth"));
    json_object_set(m, "coder", json_object_get(position, "adapter"));
    json_object_set(m, "started", json_object_get(position, "started"));
    json_object_set(m, "cost", json_object_get(position, "used"));
    json_object_set_new(m, "outcome", json_string(end && *end ? end : "still going on"));
    return json_object_set_new(m, "verdict", json_pack("{s:[O*]}", "reasons", why));
}

static int put_evidence(const Source *s, json_t *m, Error *e)
{
    _cleanup_json_ json_t *batch = NULL, *list = json_array();
    json_t *cluster;
    size_t i;
    int r = artifact(s, "batch.json", &batch, e);

    if (r < 0)
        return r;
    json_array_foreach (json_object_get(batch, "clusters"), i, cluster)
        json_array_append_new(list,
                              json_pack("{s:O? s:O? s:O? s:[O*]}", "cluster", json_object_get(cluster, "name"), "rule",
                                        json_object_get(cluster, "rule"), "n", json_object_get(cluster, "n"), "words",
                                        json_object_get(cluster, "words")));
    return json_object_set(m, "evidence", list);
}

/* One task's conversation as it went with the incumbent. */
static json_t *example(const json_t *task, const json_t *baseline)
{
    const json_t *replies = json_object_get(json_object_get(baseline, "transcript"), "turns");
    json_t *turns = json_array(), *turn, *grader;
    const json_t *expected = NULL;
    size_t i;

    json_array_foreach (json_object_get(task, "turns"), i, turn)
        json_array_append_new(turns, json_pack("{s:O? s:O?}", "text", json_object_get(turn, "text"), "reply",
                                               json_object_get(json_array_get(replies, i), "reply")));
    json_array_foreach (json_object_get(task, "graders"), i, grader)
        if (!expected)
            expected = json_object_get(grader, "contains");
    return json_pack("{s:o s:O?}", "turns", turns, "expected", expected);
}

static int put_examples(const Source *s, const json_t *tasks, json_t *m, Error *e)
{
    _cleanup_json_ json_t *list = json_array();
    json_t *task;
    size_t i;

    json_array_foreach (tasks, i, task) {
        _cleanup_json_ json_t *whole = NULL, *baseline = NULL;
        const char *id = json_string_value(json_object_get(task, "id"));
        char path[96];
        int r;

        if (!id || json_array_size(list) == EXAMPLES_MAX ||
            !streq_ptr(json_string_value(json_object_get(task, "kind")), "visible"))
            continue;
        snprintf(path, sizeof(path), "evidence/tasks/%.32s.json", id);
        r = artifact(s, path, &whole, e);
        if (r < 0)
            return r;
        snprintf(path, sizeof(path), "evidence/baseline/%.32s.json", id);
        r = artifact(s, path, &baseline, e);
        if (r < 0)
            return r;
        if (whole && baseline)
            json_array_append_new(list, example(whole, baseline));
    }
    return json_object_set(m, "examples", list);
}

static json_t *mean_score(const json_t *outcomes)
{
    size_t n = json_array_size(outcomes), i;
    json_t *outcome;
    double sum = 0;

    json_array_foreach (outcomes, i, outcome)
        sum += json_number_value(json_object_get(outcome, "score"));
    return n > 0 ? json_real(sum / (double) n) : json_null();
}

/* Scores of the last evaluation, or those of the baseline where no candidate came so far. */
static int put_tasks(const Source *s, json_t *m, Error *e)
{
    _cleanup_json_ json_t *evaluation = NULL, *baseline = NULL, *list = json_array();
    json_t *task;
    size_t i;
    int r = artifact_of_iteration(s, "evaluation", &evaluation, e);

    if (r >= 0)
        r = artifact(s, "baseline.json", &baseline, e);
    if (r < 0)
        return r;
    json_array_foreach (json_object_get(evaluation ? evaluation : baseline, "tasks"), i, task) {
        const json_t *kept = json_object_get(task, "kept");

        if (kept && !json_is_true(kept))
            continue;
        json_array_append_new(
            list, json_pack("{s:O? s:O? s:O? s:o s:o}", "id", json_object_get(task, "id"), "kind",
                            json_object_get(task, "kind"), "cluster", json_object_get(task, "cluster"), "before",
                            evaluation ? mean_score(json_object_get(task, "incumbent"))
                                       : json_incref(json_object_get(task, "score")),
                            "after", evaluation ? mean_score(json_object_get(task, "candidate")) : json_null()));
    }
    json_object_set(m, "tasks", list);
    return put_examples(s, list, m, e);
}

static int put_plan(const Source *s, json_t *m, Error *e)
{
    _cleanup_json_ json_t *plan = NULL;
    int r = artifact(s, "evidence/stage/plan.json", &plan, e);

    return r < 0 || !plan ? r : json_object_set(m, "plan", plan);
}

/* The candidate that is ready, or the last one that was reviewed. */
static int put_diff(const Source *s, json_t *m, Error *e)
{
    static const char *const paths[] = {"candidate.diff", "evidence/stage/candidate.diff"};

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        _cleanup_free_ char *text = NULL;
        Error why = {};
        size_t len;
        int r = ledger_read(s->ledger, s->evolution, paths[i], &text, &len, &why);

        if (r == -ENOENT)
            continue;
        if (r < 0) {
            if (e)
                *e = why;
            return r;
        }
        /* A diff may hold any bytes, JSON strings only UTF-8. */
        return json_object_set_new(m, "diff", json_string(text) ?: json_string("(not text)"));
    }
    return 0;
}

static int put_timeline(const Source *s, json_t *m, Error *e)
{
    _cleanup_free_ char *text = NULL;
    Error why = {};
    size_t len;
    int r = ledger_read(s->ledger, s->evolution, "timeline.jsonl", &text, &len, &why);

    if (r == -ENOENT)
        return 0;
    if (r < 0) {
        if (e)
            *e = why;
        return r;
    }
    return json_object_set_new(m, "timeline", lines(text, len));
}

/* The swaps to this evolution's candidate. */
static int put_swaps(const Source *s, json_t *m, Error *e)
{
    _cleanup_json_ json_t *ready = NULL, *all = NULL, *list = json_array();
    _cleanup_free_ char *text = NULL;
    json_t *swap;
    size_t len, i;
    int r = artifact(s, "ready.json", &ready, e);

    if (r < 0 || !ready)
        return r;
    r = file_read_at(s->agent_dir, "swaps.jsonl", SWAPS_MAX, &text, &len);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return error_errnof(e, r, "swaps.jsonl");
    all = lines(text, len);
    json_array_foreach (all, i, swap)
        if (json_equal(json_object_get(swap, "to"), json_object_get(ready, "generation")))
            json_array_append_new(list, json_pack("{s:O? s:O? s:O? s:O?}", "outcome", json_object_get(swap, "outcome"),
                                                  "reason", json_object_get(swap, "reason"), "pause_usec",
                                                  json_object_get(swap, "pause_usec"), "generation",
                                                  json_object_get(swap, "to")));
    return json_object_set(m, "swaps", list);
}

/* ---- the whole ---- */

int report_model(int agent_dir, Ledger *ledger, const char *agent, const char *evolution, json_t **ret, Error *e)
{
    Source s = {.agent_dir = agent_dir, .ledger = ledger, .evolution = evolution};
    _cleanup_json_ json_t *m = json_object(), *position = NULL;
    int r = ledger_read_json(ledger, evolution, "position.json", &position, e);

    if (r < 0)
        return r;
    s.iteration = (unsigned) json_integer_value(json_object_get(position, "iteration"));
    if (put_head(&s, agent, position, m) < 0)
        return -ENOMEM;
    if ((r = put_evidence(&s, m, e)) < 0 || (r = put_tasks(&s, m, e)) < 0 || (r = put_plan(&s, m, e)) < 0 ||
        (r = put_diff(&s, m, e)) < 0 || (r = put_timeline(&s, m, e)) < 0 || (r = put_swaps(&s, m, e)) < 0)
        return r;
    *ret = TAKE_PTR(m);
    return 0;
}

int report_write(const char *agent_directory, const char *agent, const char *evolution, char **ret_path, Error *e)
{
    _cleanup_close_ int dir = open(agent_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), reports = -EBADF;
    _cleanup_(strbuf_done) StrBuf page = {};
    _cleanup_(ledger_freep) Ledger *ledger = NULL;
    _cleanup_json_ json_t *model = NULL;
    _cleanup_free_ char *name = NULL, *path = NULL;
    int r;

    if (dir < 0)
        return error_errnof(e, -errno, "%s", agent_directory);
    if ((r = ledger_open(agent_directory, &ledger, e)) < 0 ||
        (r = report_model(dir, ledger, agent, evolution, &model, e)) < 0)
        return r;
    if (html_render(&page, model) < 0)
        return -ENOMEM;
    if ((r = mkdirat_p(dir, "reports", 0755)) >= 0)
        r = reports = openat_beneath(dir, "reports", O_RDONLY | O_DIRECTORY, 0);
    name = xasprintf("%s.html", evolution);
    path = xasprintf("%s/reports/%s.html", agent_directory, evolution);
    if (!name || !path)
        return -ENOMEM;
    if (r >= 0)
        r = file_write_at(reports, name, page.data, page.len, 0644, 0);
    if (r < 0)
        return error_errnof(e, r, "cannot write %s", path);
    if (ret_path)
        *ret_path = TAKE_PTR(path);
    return 0;
}
