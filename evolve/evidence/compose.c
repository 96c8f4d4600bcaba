/* SPDX-License-Identifier: Apache-2.0 */
#include "compose.h"

#include <stdio.h>

#include "batch.h"
#include "cluster.h"
#include "runtime/base/json.h"
#include "task.h"

/* Every how manyth task, counted through the clusters, is withheld from the coding agent: small clusters have a share in it, too. */
#define SEALED_EVERY 3

/* One chunk on its way to a task. */
typedef struct Piece {
    json_t *task; /* owned */
    size_t cluster;
    size_t turns;
    const char *id;
    TaskKind kind;
    size_t place; /* among those of its kind in its cluster */
} Piece;

typedef struct Pieces {
    Piece *items;
    size_t n;
} Pieces;

static void pieces_done(Pieces *p)
{
    for (size_t i = 0; i < p->n; i++)
        json_decref(p->items[i].task);
    free(p->items);
}

/* ---- a task of a chunk ---- */

static json_t *without_replies(const json_t *turns)
{
    json_t *copy = json_deep_copy(turns), *turn;
    size_t i;

    json_array_foreach (copy, i, turn) {
        json_object_del(turn, "reply");
    }
    return copy;
}

/* What the agent answered then, in the last turn: null is no answer. */
static json_t *recorded_of(const json_t *chunk)
{
    const json_t *turns = json_object_get(chunk, "turns");
    json_t *reply = json_object_get(json_array_get(turns, json_array_size(turns) - 1), "reply");

    return json_pack("{sO?}", "reply", reply);
}

static json_t *task_of(const json_t *chunk, bool guard)
{
    _cleanup_json_ json_t *turns = without_replies(json_object_get(chunk, "turns"));
    json_t *graders = json_object_get(chunk, "graders"), *words = json_object_get(chunk, "words"), *task;
    char id[TASK_ID_SIZE];

    if (!turns || task_id(turns, graders, id) < 0)
        return NULL;
    task = json_pack("{si ss s{sO sO sO sO} sO sO sO}", "version", 1, "id", id, "origin", "session",
                     json_object_get(chunk, "session"), "user", json_object_get(chunk, "user"), "chunk",
                     json_object_get(chunk, "id"), "rule", json_object_get(chunk, "rule"), "words", words, "turns",
                     turns, "graders", graders);
    if (task && !guard)
        json_object_set_new(task, "recorded", recorded_of(chunk));
    if (task && json_array_size(json_object_get(chunk, "variants")) > 0)
        json_object_set(task, "variants", json_object_get(chunk, "variants"));
    return task;
}

static const char *request_of(const json_t *chunk)
{
    const json_t *turns = json_object_get(chunk, "turns");
    const char *text = json_string_value(json_object_get(json_array_get(turns, json_array_size(turns) - 1), "text"));

    return text ? text : "";
}

/* ---- clusters ---- */

static int add_cluster(json_t *clusters, size_t index, const json_t *chunk)
{
    const char *words = json_string_value(json_array_get(json_object_get(chunk, "words"), 0));
    char name[24];

    snprintf(name, sizeof(name), "c-%02zu", index + 1);
    return json_array_append_new(clusters,
                                 json_pack("{ss sO si ss}", "name", name, "rule", json_object_get(chunk, "rule"), "n",
                                           0, "words", words ? words : request_of(chunk)));
}

static void count_in(json_t *cluster_json)
{
    json_int_t n = json_integer_value(json_object_get(cluster_json, "n"));

    json_object_set_new(cluster_json, "n", json_integer(n + 1));
}

static int make_clusters(const json_t *chunks, size_t *cluster_of, json_t *clusters)
{
    size_t n = json_array_size(chunks);
    _cleanup_free_ ClusterItem *items = calloc(n + 1, sizeof(*items));
    int r;

    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *chunk = json_array_get(chunks, i);
        const char *rule = json_string_value(json_object_get(chunk, "rule"));

        items[i] = (ClusterItem){.rule = rule ? rule : "", .text = request_of(chunk)};
    }
    r = cluster(items, n);
    for (size_t i = 0; r >= 0 && i < n; i++) {
        cluster_of[i] = items[i].cluster;
        if (items[i].cluster == json_array_size(clusters))
            r = add_cluster(clusters, items[i].cluster, json_array_get(chunks, i));
        count_in(json_array_get(clusters, items[i].cluster));
    }
    return r < 0 ? -ENOMEM : 0;
}

/* ---- choosing ---- */

/* Short tasks first: a trial of them costs least. */
static int by_cluster_and_size(const void *a, const void *b)
{
    const Piece *x = a, *y = b;

    if (x->cluster != y->cluster)
        return x->cluster < y->cluster ? -1 : 1;
    if (x->turns != y->turns)
        return x->turns < y->turns ? -1 : 1;
    return strcmp(x->id, y->id);
}

/* Round after round over the clusters: the first of each, then the second of each… */
static int by_place(const void *a, const void *b)
{
    const Piece *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return x->cluster < y->cluster ? -1 : x->cluster > y->cluster;
}

static int by_kind_and_id(const void *a, const void *b)
{
    const Piece *x = a, *y = b;

    return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1) : strcmp(x->id, y->id);
}

static void choose(Pieces *p)
{
    size_t kept[TASK_GUARD + 1] = {}, in_cluster[TASK_GUARD + 1] = {}, n = 0;
    static const size_t most[] = {
        [TASK_VISIBLE] = BATCH_VISIBLE_MAX, [TASK_SEALED] = BATCH_SEALED_MAX, [TASK_GUARD] = BATCH_GUARDS_MAX};

    qsort(p->items, p->n, sizeof(*p->items), by_cluster_and_size);
    for (size_t i = 0, complaints = 0; i < p->n; i++) {
        Piece *piece = &p->items[i];

        if (i > 0 && p->items[i - 1].cluster != piece->cluster)
            memset(in_cluster, 0, sizeof(in_cluster));
        if (piece->kind != TASK_GUARD)
            piece->kind = ++complaints % SEALED_EVERY == 0 ? TASK_SEALED : TASK_VISIBLE;
        piece->place = in_cluster[piece->kind]++;
    }
    qsort(p->items, p->n, sizeof(*p->items), by_place);
    for (size_t i = 0; i < p->n; i++) {
        if (kept[p->items[i].kind]++ < most[p->items[i].kind])
            p->items[n++] = p->items[i];
        else
            json_decref(p->items[i].task);
    }
    p->n = n;
    qsort(p->items, p->n, sizeof(*p->items), by_kind_and_id);
}

/* Two chunks may make one task: the same request of two sessions with the same name. */
static int add_piece(Pieces *p, json_t *seen, const json_t *chunk, size_t cluster_index, TaskKind kind)
{
    json_t *task = task_of(chunk, kind == TASK_GUARD);
    const char *id = json_string_value(json_object_get(task, "id"));

    if (!task)
        return -ENOMEM;
    if (json_object_get(seen, id)) {
        json_decref(task);
        return 0;
    }
    p->items[p->n++] = (Piece){.task = task,
                               .cluster = cluster_index,
                               .turns = json_array_size(json_object_get(task, "turns")),
                               .id = id,
                               .kind = kind};
    return json_object_set_new(seen, id, json_true()) < 0 ? -ENOMEM : 0;
}

static json_t *label(const Pieces *p, const json_t *clusters)
{
    static const char *const names[] = {[TASK_VISIBLE] = "visible", [TASK_SEALED] = "sealed", [TASK_GUARD] = "guard"};
    json_t *tasks = json_array();

    for (size_t i = 0; i < p->n; i++) {
        json_t *name = json_object_get(json_array_get(clusters, p->items[i].cluster), "name"), *task = p->items[i].task;

        json_object_set_new(task, "kind", json_string(names[p->items[i].kind]));
        if (name)
            json_object_set(task, "cluster", name);
        else
            json_object_set_new(task, "cluster", json_string("guard"));
        json_array_append(tasks, task);
    }
    return tasks;
}

static int compose_into(const json_t *chunks, const json_t *guards, Pieces *p, Composition *c)
{
    size_t n = json_array_size(chunks), n_guards = json_array_size(guards);
    _cleanup_free_ size_t *cluster_of = calloc(n + 1, sizeof(*cluster_of));
    _cleanup_json_ json_t *seen = json_object();
    int r;

    p->items = calloc(n + n_guards + 1, sizeof(*p->items));
    if (!p->items || !cluster_of || !seen)
        return -ENOMEM;
    r = make_clusters(chunks, cluster_of, c->clusters);
    for (size_t i = 0; r >= 0 && i < n; i++) {
        json_array_append(c->chunks, json_object_get(json_array_get(chunks, i), "id"));
        r = add_piece(p, seen, json_array_get(chunks, i), cluster_of[i], TASK_VISIBLE);
    }
    for (size_t i = 0; r >= 0 && i < n_guards; i++)
        r = add_piece(p, seen, json_array_get(guards, i), SIZE_MAX, TASK_GUARD);
    if (r < 0)
        return r;
    choose(p);
    c->tasks = label(p, c->clusters);
    return 0;
}

int compose(const json_t *chunks, const json_t *guards, Composition *ret, Error *e)
{
    _cleanup_(composition_done) Composition c = {.clusters = json_array(), .chunks = json_array()};
    _cleanup_(pieces_done) Pieces pieces = {};
    int r = compose_into(chunks, guards, &pieces, &c);

    if (r < 0)
        return error_setf(e, r, "out of memory");
    *ret = c;
    c = (Composition){};
    return 0;
}

void composition_done(Composition *c)
{
    json_decref(c->tasks);
    json_decref(c->clusters);
    json_decref(c->chunks);
    *c = (Composition){};
}
