/* SPDX-License-Identifier: Apache-2.0 */
/* The tasks of an evolution, once the baseline has decided which of them count and how wide each is replayed. In the ledger: private/tasks/ID.json (all),
 * evidence/tasks/ID.json (visible ones), private/reference.json {id: {"score","passed","wall_usec"}}. */
#include <stdio.h>

#include "evolve/stage/internal.h"
#include "runtime/base/json.h"

const char *task_kind_name(TaskKind kind)
{
    static const char *const names[] = {[TASK_VISIBLE] = "visible", [TASK_SEALED] = "sealed", [TASK_GUARD] = "guard"};

    return names[kind];
}

void tasks_free(Engine *g)
{
    for (size_t i = 0; i < g->n_tasks; i++)
        json_decref(g->tasks[i].task);
    free(g->tasks);
    g->tasks = NULL;
    g->n_tasks = 0;
}

double tasks_score(const Engine *g)
{
    double sum = 0;
    size_t n = 0;

    for (size_t i = 0; i < g->n_tasks; i++) {
        if (g->tasks[i].kind != TASK_VISIBLE)
            continue;
        sum += g->tasks[i].score;
        n++;
    }
    return n > 0 ? sum / (double) n : 0;
}

static const char *task_id_of(const EngineTask *t)
{
    return json_string_value(json_object_get(t->task, "id"));
}

int tasks_put(Engine *g, LedgerStep *step)
{
    _cleanup_json_ json_t *reference = json_object();

    for (size_t i = 0; i < g->n_tasks; i++) {
        const EngineTask *t = &g->tasks[i];
        char path[64];

        snprintf(path, sizeof(path), "private/tasks/%s.json", task_id_of(t));
        ledger_put_json(step, path, t->task);
        if (t->kind == TASK_VISIBLE) {
            snprintf(path, sizeof(path), "evidence/tasks/%s.json", task_id_of(t));
            ledger_put_json(step, path, t->task);
        }
        if (json_object_set_new(reference, task_id_of(t),
                                json_pack("{s:s, s:f, s:b, s:I}", "kind", task_kind_name(t->kind), "score", t->score,
                                          "passed", t->passed, "wall_usec", (json_int_t) t->wall_usec)) < 0)
            return -ENOMEM;
    }
    ledger_put_json(step, "private/reference.json", reference);
    return 0;
}

static int task_load(Engine *g, const char *id, const json_t *reference, EngineTask *ret, Error *e)
{
    const char *kind = json_string_value(json_object_get(reference, "kind"));
    char path[64];
    int r;

    snprintf(path, sizeof(path), "private/tasks/%.40s.json", id);
    *ret = (EngineTask){
        .kind = streq_ptr(kind, "sealed")  ? TASK_SEALED
                : streq_ptr(kind, "guard") ? TASK_GUARD
                                           : TASK_VISIBLE,
        .score = json_number_value(json_object_get(reference, "score")),
        .passed = json_is_true(json_object_get(reference, "passed")),
        .wall_usec = (uint64_t) json_integer_value(json_object_get(reference, "wall_usec")),
    };
    r = ledger_read_json(g->ledger, g->p.evolution, path, &ret->task, e);
    if (r < 0)
        return r;
    if (!streq_ptr(task_id_of(ret), id)) {
        json_decref(ret->task);
        return error_setf(e, -EUCLEAN, "%s: %s is another task", g->p.evolution, path);
    }
    return 0;
}

int tasks_load(Engine *g, Error *e)
{
    _cleanup_json_ json_t *reference = NULL;
    const json_t *value;
    const char *id;
    int r = ledger_read_json(g->ledger, g->p.evolution, "private/reference.json", &reference, e);

    if (r < 0)
        return r;
    tasks_free(g);
    g->tasks = calloc(json_object_size(reference) + 1, sizeof(*g->tasks));
    if (!g->tasks)
        return -ENOMEM;
    json_object_foreach (reference, id, value) {
        r = task_load(g, id, value, &g->tasks[g->n_tasks], e);
        if (r < 0)
            return r;
        g->n_tasks++;
    }
    return 0;
}

/* Length of the valid UTF-8 sequence at s, 0 when there is none. Overlong forms and surrogates are none. */
static size_t utf8_length(const unsigned char *s)
{
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;

    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] >= 0x90))
        return 0;
    return n;
}

json_t *text_json(const char *text)
{
    _cleanup_free_ char *copy = strdup(text ? text : "");

    for (char *p = copy; p && *p;) {
        size_t n = utf8_length((const unsigned char *) p);

        if (n == 0)
            *p = '?';
        p += MAX(n, (size_t) 1);
    }
    return json_string(copy ? copy : "");
}
