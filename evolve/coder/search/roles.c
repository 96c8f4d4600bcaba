/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/roles.h"

#include "evolve/coder/search/review.h"
#include "evolve/coder/search/search.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"

#define PLACES_MAX 40
#define CANDIDATE_LINE_MAX ((size_t) 64 << 10)

/* An object's new member; the value is taken over, also on failure. */
static int put(json_t *o, const char *key, json_t *value)
{
    return value && json_object_set_new(o, key, value) == 0 ? 0 : -ENOMEM;
}

int request_read(const json_t *o, Request *ret, Error *e)
{
    const JsonAt at = {.file = "request", .path = ""}, limits_at = {.file = "request", .path = "limits"};
    Request request = {.iteration = 1, .candidates = ROLES_CANDIDATES_DEFAULT};
    json_t *limits = NULL;
    int64_t version;
    int r;

    r = json_need_integer(o, at, "version", 1, 1, &version, e);
    if (r >= 0)
        r = json_need_string(o, at, "role", &request.role, e);
    if (r >= 0)
        r = json_need_string(o, at, "worktree", &request.worktree, e);
    if (r >= 0)
        r = json_need_string(o, at, "evidence", &request.evidence, e);
    if (r >= 0)
        r = json_need_string(o, at, "out", &request.out, e);
    if (r >= 0)
        r = json_want_integer(o, at, "iteration", 1, 1000000, &request.iteration, e);
    if (r >= 0)
        r = json_want(o, at, "limits", JSON_OBJECT, &limits, e);
    if (r >= 0 && limits)
        r = json_want_integer(limits, limits_at, "candidates", 1, INT64_MAX, &request.candidates, e);
    if (r < 0)
        return r;
    request.candidates = MIN(request.candidates, (int64_t) ROLES_CANDIDATES_MAX);
    *ret = request;
    return 0;
}

/* ---- locate ---- */

typedef struct Spot {
    const File *file;
    const Statement *statement;
} Spot;

static size_t find_spots(const Tree *tree, Spot spots[static PLACES_MAX])
{
    size_t n = 0;

    for (size_t f = 0; f < tree->n_files; f++)
        for (uint32_t i = 0; i < tree->files[f].n_statements; i++) {
            const Statement *s = &tree->files[f].statements[i];
            size_t at = n;

            while (at > 0 && spots[at - 1].statement->suspicion < s->suspicion)
                at--;
            if (at == PLACES_MAX || s->kind == STATEMENT_FUNCTION || s->kind == STATEMENT_TEXT)
                continue;
            n = MIN(n + 1, (size_t) PLACES_MAX);
            memmove(&spots[at + 1], &spots[at], (n - 1 - at) * sizeof(*spots));
            spots[at] = (Spot){&tree->files[f], s};
        }
    return n;
}

static int locate(const Session *session, json_t *answer)
{
    const Hints *h = &session->hints;
    json_t *places = json_array();
    Spot spots[PLACES_MAX];
    size_t n = find_spots(&session->tree, spots);
    int r = put(answer, "places", places);

    for (size_t i = 0; i < n && r >= 0; i++) {
        const Statement *s = spots[i].statement;
        double words = s->function == NONE ? 0 : spots[i].file->functions[s->function].words;
        json_t *why =
            h->failing
                ? json_sprintf(
                      "executed by %u of %u failing and %u of %u passing tasks; words of the failing turns: %.2f",
                      s->failing, h->failing, s->passing, h->passing, words)
                : json_sprintf("no trace of executed lines; words of the failing turns: %.2f", words);
        json_t *place = json_pack("{s:s, s:i, s:f, s:o}", "file", spots[i].file->path, "line", (int) s->first + 1,
                                  "score", s->suspicion, "why", why);

        r = place && json_array_append_new(places, place) == 0 ? 0 : -ENOMEM;
    }
    if (r < 0)
        return r;
    return put(answer, "summary",
               json_sprintf("%zu source files read, %zu left out; lines ranked by which tasks executed them (%u "
                            "failing, %u passing traced) "
                            "and by the failing turns' words",
                            session->tree.n_files, session->tree.skipped, h->failing, h->passing));
}

/* ---- plan ---- */

typedef struct Shares {
    size_t by_operator[OPERATORS];
    size_t *by_file; /* in the tree's order */
} Shares;

static int count_shares(const Session *session, Arena *arena, Shares *ret)
{
    const Search *s = &session->search;

    *ret = (Shares){.by_file = arena_alloc(arena, (session->tree.n_files + 1) * sizeof(size_t))};
    if (!ret->by_file)
        return -ENOMEM;
    for (size_t i = 0; i < s->n; i++) {
        ret->by_operator[s->candidates[i].op]++;
        for (uint32_t k = 0; k < s->candidates[i].n_edits; k++)
            ret->by_file[s->candidates[i].edits[k].file - session->tree.files]++;
    }
    return 0;
}

static int plan_files(const Session *session, const Shares *shares, json_t *answer)
{
    json_t *files = json_array();
    int r = put(answer, "files", files);

    for (size_t i = 0; i < session->tree.n_files && r >= 0; i++)
        if (shares->by_file[i] > 0)
            r = json_array_append_new(files, json_string(session->tree.files[i].path)) == 0 ? 0 : -ENOMEM;
    return r;
}

static int plan_tasks(const Session *session, json_t *answer)
{
    json_t *tasks = json_object();
    int r = put(answer, "tasks", tasks);

    for (size_t i = 0; i < session->hints.n_tasks && r >= 0; i++)
        r = put(tasks, session->hints.tasks[i],
                json_string("its words and executed lines order the candidates; every candidate is tried on it, and "
                            "only one that passes it is kept"));
    return r;
}

static int plan(Session *session, json_t *answer)
{
    const Search *s = &session->search;
    const Function *fn = NULL;
    json_t *operators = json_object();
    Shares shares;
    int r = put(answer, "operators", operators);

    if (r >= 0)
        r = count_shares(session, &session->arena, &shares);
    for (int i = 0; i < OPERATORS && r >= 0; i++)
        if (shares.by_operator[i] > 0)
            r = put(operators, operator_name((Operator) i), json_integer((json_int_t) shares.by_operator[i]));
    if (r >= 0)
        r = plan_files(session, &shares, answer);
    if (r >= 0)
        r = plan_tasks(session, answer);
    if (r >= 0)
        r = put(answer, "summary",
                json_sprintf(
                    "try %zu small edits of the source, the most likely first, and keep what the trials prefer", s->n));
    if (r < 0)
        return r;
    if (s->n > 0 && s->candidates[0].file->statements[s->candidates[0].statement].function != NONE)
        fn = &s->candidates[0].file->functions[s->candidates[0].file->statements[s->candidates[0].statement].function];
    return put(answer, "root_cause",
               s->n == 0 ? json_string("not known, and there is nothing to try")
                         : json_sprintf("not known before the trials; the evidence points first to %s%s%s",
                                        s->candidates[0].file->path, fn ? ", function " : "",
                                        fn ? symbol_text(&session->symbols, fn->name) : ""));
}

/* ---- implement ---- */

static json_t *edit_json(const Edit *e)
{
    json_t *lines = json_array();

    for (const char *line = e->text; lines && line;) {
        const char *end = strchr(line, '\n');

        if (json_array_append_new(lines, json_stringn(line, end ? (size_t) (end - line) : strlen(line))) < 0) {
            json_decref(lines);
            return NULL;
        }
        line = end ? end + 1 : NULL;
    }
    return json_pack("{s:s, s:i, s:i, s:o}", "path", e->file->path, "start", (int) e->first + 1, "end",
                     (int) (e->first + e->n), "lines", lines);
}

static json_t *candidate_json(const Session *session, size_t i)
{
    const Candidate *c = &session->search.candidates[i];
    const Statement *s = &c->file->statements[c->statement];
    const char *function =
        s->function == NONE ? "" : symbol_text(&session->symbols, c->file->functions[s->function].name);
    json_t *edits = json_array();

    for (uint32_t k = 0; edits && k < c->n_edits; k++)
        if (json_array_append_new(edits, edit_json(&c->edits[k])) < 0) {
            json_decref(edits);
            return NULL;
        }
    return json_pack("{s:o, s:o, s:o}", "id", json_sprintf("c-%05zu", i + 1), "why",
                     json_sprintf("%s at %s:%u%s%s, score %.4f", operator_name(c->op), c->file->path, s->first + 1,
                                  *function ? " in " : "", function, c->score),
                     "edits", edits);
}

static int write_candidates(const Session *session, const char *out, size_t *ret_n, Error *e)
{
    _cleanup_close_ int dir = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd =
        dir < 0 ? -EBADF : openat(dir, "candidates.jsonl", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    _cleanup_fclose_ FILE *file = NULL;
    size_t written = 0;

    if (fd < 0)
        return error_errnof(e, -errno, "cannot write %s/candidates.jsonl", out);
    file = fdopen(fd, "w");
    if (!file)
        return error_errnof(e, -errno, "cannot write %s/candidates.jsonl", out);
    TAKE_FD(fd);
    for (size_t i = 0; i < session->search.n; i++) {
        _cleanup_json_ json_t *o = candidate_json(session, i);
        _cleanup_free_ char *line = o ? json_canonical(o) : NULL;

        if (!o) /* a line that is no UTF-8 */
            continue;
        if (!line)
            return error_setf(e, -ENOMEM, "no memory left to write the candidates");
        if (strlen(line) >= CANDIDATE_LINE_MAX)
            continue;
        fprintf(file, "%s\n", line);
        written++;
    }
    if (fflush(file) != 0)
        return error_errnof(e, -errno, "cannot write %s/candidates.jsonl", out);
    *ret_n = written;
    return 0;
}

static int implement(const Session *session, const char *out, json_t *answer, Error *e)
{
    size_t n;
    int r = write_candidates(session, out, &n, e);

    if (r < 0)
        return r;
    return put(answer, "summary", json_sprintf("%zu candidates in %zu files, best first", n, session->tree.n_files));
}

/* ---- */

static int work(const Request *q, Session *session, json_t *answer, Error *e)
{
    int r;

    if (streq(q->role, "locate"))
        return locate(session, answer);
    r = search_propose(&session->search, (size_t) q->candidates, e);
    if (r < 0)
        return r;
    if (streq(q->role, "plan"))
        return plan(session, answer);
    return implement(session, q->out, answer, e);
}

int role_answer(const Request *q, json_t **ret, Error *e)
{
    _cleanup_(search_close) Session session = {};
    _cleanup_close_ int worktree = -EBADF, evidence = -EBADF;
    _cleanup_json_ json_t *answer = json_pack("{s:s}", "status", "ok");
    int r;

    if (!answer)
        return -ENOMEM;
    worktree = open(q->worktree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (worktree < 0)
        return error_errnof(e, -errno, "cannot open the worktree %s", q->worktree);
    evidence = open(q->evidence, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (evidence < 0)
        return error_errnof(e, -errno, "cannot open the evidence %s", q->evidence);
    if (streq(q->role, "plan-review")) {
        r = review_plan(worktree, evidence, answer, e);
    } else if (streq(q->role, "code-review")) {
        r = review_code(evidence, q->iteration, answer, e);
    } else if (streq(q->role, "locate") || streq(q->role, "plan") || streq(q->role, "implement")) {
        r = search_open(&session, worktree, evidence, e);
        if (r >= 0)
            r = work(q, &session, answer, e);
    } else {
        r = error_setf(e, -EINVAL, "request: role: there is no role \"%s\"", q->role);
    }
    if (r < 0)
        return e && e->code ? r : error_errnof(e, r, "cannot answer as %s", q->role);
    *ret = TAKE_PTR(answer);
    return 0;
}
