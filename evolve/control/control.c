/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include "evolve/evidence/batch.h"
#include "evolve/evidence/evidence.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "status.h"
#include "wish.h"

typedef struct Request {
    const ControlPlace *place;
    ControlPeer peer;
    const json_t *o;
    JsonAt at;
} Request;

json_t *control_error(const char *text)
{
    return json_pack("{s:b, s:s}", "ok", 0, "error", text);
}

/* ---- status ---- */

static json_t *short_evolution(const json_t *position)
{
    static const char *const kept[] = {"batch", "stage", "iteration", "end", "why"};
    json_t *o;

    if (!json_is_object(position))
        return json_null();
    o = json_pack("{s:O}", "id", json_object_get(position, "evolution"));
    for (size_t i = 0; o && i < ARRAY_SIZE(kept); i++)
        json_object_set(o, kept[i], json_object_get(position, kept[i]));
    return o;
}

static json_int_t count_waiting(const json_t *batches)
{
    json_int_t n = 0;
    const json_t *b;
    size_t i;

    json_array_foreach (batches, i, b) {
        const char *state = json_string_value(json_object_get(b, "state"));

        n += state && (streq(state, "sealed") || streq(state, "ready"));
    }
    return n;
}

static int op_status(const Request *q, json_t **ret, Error *e)
{
    static const char *const only[] = {"op", NULL};
    _cleanup_json_ json_t *all = NULL;
    int r = json_only(q->o, q->at, only, e);

    if (r >= 0)
        r = evolution_status(q->place->store_path, q->place->agent->name, &all, e);
    if (r < 0)
        return r;
    *ret =
        json_pack("{s:b, s:O, s:O, s:O, s:O, s:o, s:I, s:O, s:O?}", "ok", 1, "agent", json_object_get(all, "agent"),
                  "generation", json_object_get(all, "generation"), "epoch", json_object_get(all, "epoch"), "running",
                  json_object_get(all, "running"), "evolution", short_evolution(json_object_get(all, "evolution")),
                  "waiting", count_waiting(json_object_get(all, "batches")), "wish", json_object_get(all, "wish"),
                  "catch_up", q->place->catch_up);
    return *ret ? 0 : error_errnof(e, -ENOMEM, "status");
}

/* ---- batches ---- */

static json_t *short_batch(const json_t *b, size_t n_tasks)
{
    return json_pack("{s:O, s:O, s:O, s:I, s:I, s:O?}", "id", json_object_get(b, "id"), "state",
                     json_object_get(b, "state"), "created", json_object_get(b, "created"), "chunks",
                     (json_int_t) json_array_size(json_object_get(b, "chunks")), "tasks", (json_int_t) n_tasks,
                     "evolution", json_object_get(b, "evolution"));
}

static int add_open_batch(const Request *q, json_t *list, Error *e)
{
    _cleanup_(batch_freep) Batch *b = NULL;
    Error none = {};
    int r;

    if (agent_can_evolve(q->place->agent, NULL) < 0)
        return 0;
    r = batch_load_open(q->place->store_path, q->place->agent, &b, &none);
    if (r == -ENODATA || r == -ENOENT)
        return 0;
    if (r < 0)
        return error_setf(e, r, "%s", none.text);
    return json_array_append_new(list, short_batch(b->json, json_array_size(b->tasks))) < 0
               ? error_errnof(e, -ENOMEM, "batches")
               : 0;
}

static int op_batches(const Request *q, json_t **ret, Error *e)
{
    static const char *const only[] = {"op", NULL};
    _cleanup_json_ json_t *all = NULL, *list = json_array();
    _cleanup_close_ int dir = -EBADF;
    size_t n, from;
    int r = json_only(q->o, q->at, only, e);

    if (r < 0)
        return r;
    dir = agent_open_directory(q->place->store_path, q->place->agent->name, e);
    r = dir < 0 ? dir : batch_list(dir, &all, e);
    if (r < 0)
        return r;
    n = json_array_size(all);
    from = n > BATCHES_SHOWN ? n - BATCHES_SHOWN : 0;
    for (size_t i = from; i < n; i++) {
        const json_t *b = json_array_get(all, i);

        if (json_array_append_new(list, short_batch(b, json_object_size(json_object_get(b, "tasks")))) < 0)
            return error_errnof(e, -ENOMEM, "batches");
    }
    r = add_open_batch(q, list, e);
    if (r < 0)
        return r;
    *ret = json_pack("{s:b, s:O, s:I}", "ok", 1, "batches", list, "left_out", (json_int_t) from);
    return *ret ? 0 : error_errnof(e, -ENOMEM, "batches");
}

/* ---- flag, request ---- */

static int op_flag(const Request *q, json_t **ret, Error *e)
{
    static const char *const only[] = {"op", "session", "turn", "expect", NULL};
    _cleanup_free_ char *chunk = NULL;
    FlagSpec spec = {};
    int64_t turn = 0;
    int r;

    if ((r = json_only(q->o, q->at, only, e)) < 0 ||
        (r = json_need_string(q->o, q->at, "session", &spec.session, e)) < 0 ||
        (r = json_want_integer(q->o, q->at, "turn", 1, 1000000, &turn, e)) < 0 ||
        (r = json_want_string(q->o, q->at, "expect", &spec.expect, e)) < 0)
        return r;
    if (spec.expect && !*spec.expect) /* every answer holds it */
        return error_setf(e, -EINVAL, "request: expect: is empty");
    spec.turn = (unsigned) turn;
    if ((r = agent_can_evolve(q->place->agent, e)) < 0 ||
        (r = evidence_flag(q->place->store_path, q->place->agent, &spec, &chunk, e)) < 0)
        return r;
    *ret = json_pack("{s:b, s:s}", "ok", 1, "chunk", chunk);
    return *ret ? 0 : error_errnof(e, -ENOMEM, "flag");
}

static int op_request(const Request *q, json_t **ret, Error *e)
{
    static const char *const only[] = {"op", "batch", NULL};
    _cleanup_json_ json_t *wish = NULL;
    const char *batch = NULL;
    int r;

    if ((r = json_only(q->o, q->at, only, e)) < 0 || (r = json_want_string(q->o, q->at, "batch", &batch, e)) < 0 ||
        (r = agent_can_evolve(q->place->agent, e)) < 0 ||
        (r = wish_note(q->place->store_path, q->place->agent, batch, q->peer == CONTROL_AGENT ? "agent" : "operator",
                       &wish, e)) < 0)
        return r;
    *ret = json_pack("{s:b, s:O}", "ok", 1, "wish", wish);
    return *ret ? 0 : error_errnof(e, -ENOMEM, "request");
}

/* ---- one packet ---- */

static int dispatch(Request *q, json_t **ret, Error *e)
{
    static const struct {
        const char *name;
        int (*run)(const Request *q, json_t **ret, Error *e);
    } ops[] = {{"status", op_status}, {"batches", op_batches}, {"flag", op_flag}, {"request", op_request}};
    const char *op;
    int r = json_need_string(q->o, q->at, "op", &op, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
        if (streq(op, ops[i].name))
            return ops[i].run(q, ret, e);
    return error_setf(e, -EOPNOTSUPP, "request: op: \"%.40s\" must be status, batches, flag or request", op);
}

json_t *control_answer(const ControlPlace *place, ControlPeer peer, const char *packet, size_t len)
{
    _cleanup_json_ json_t *o = NULL;
    json_t *answer = NULL;
    Error e = {};
    int r = json_parse(packet, len, "request", &o, &e);

    if (r >= 0 && !json_is_object(o))
        r = error_setf(&e, -EINVAL, "request: must be an object");
    if (r >= 0)
        r = dispatch(&(Request){place, peer, o, {"request", ""}}, &answer, &e);
    return r < 0 ? control_error(e.code ? e.text : strerror(-r)) : answer;
}
