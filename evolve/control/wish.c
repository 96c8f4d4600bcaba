/* SPDX-License-Identifier: Apache-2.0 */
#include "wish.h"

#include "evolve/evidence/batch.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"

#define WISH_MAX ((size_t) 4 << 10)

static bool waits(const char *state)
{
    return streq(state, "open") || streq(state, "sealed") || streq(state, "failed") || streq(state, "rolled_back");
}

static int choose(const char *store_path, const Agent *agent, int dir, const char *id, json_t **ret, Error *e)
{
    _cleanup_(batch_freep) Batch *open_batch = NULL;
    _cleanup_json_ json_t *batch = NULL;
    const char *state, *found;
    Error none = {};
    int r = batch_find(dir, id, id ? NULL : batch_state_name(BATCH_SEALED), &batch, e);

    if (r < 0)
        return r;
    r = batch_load_open(store_path, agent, &open_batch, &none);
    if (r < 0 && r != -ENODATA && r != -ENOENT)
        return error_setf(e, r, "%s", none.text);
    if (open_batch && (!id || streq(id, open_batch->id))) {
        found = open_batch->id;
        state = "open";
    } else {
        found = json_string_value(json_object_get(batch, "id"));
        state = json_string_value(json_object_get(batch, "state"));
    }
    if (!state && id)
        return error_setf(e, -ENOENT, "there is no batch \"%.40s\"", id);
    if (!state)
        return error_setf(e, -ENODATA, "there is no evidence that an evolution could work on");
    if (!waits(state))
        return error_setf(e, -EBUSY, "batch %s is %s", found, state);
    *ret = json_pack("{s:i, s:s, s:s}", "version", 1, "batch", found, "state", state);
    return *ret ? 0 : error_errnof(e, -ENOMEM, "wish");
}

int wish_note(const char *store_path, const Agent *agent, const char *batch, const char *by, json_t **ret, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(store_path, agent->name, e);
    _cleanup_json_ json_t *wish = NULL;
    char now[21];
    int r = dir < 0 ? dir : choose(store_path, agent, dir, batch, &wish, e);

    if (r < 0)
        return r;
    clock_iso8601(now);
    if (json_object_set_new(wish, "by", json_string(by)) < 0 || json_object_set_new(wish, "at", json_string(now)) < 0)
        return error_errnof(e, -ENOMEM, "wish");
    r = json_write_at(dir, "wish.json", wish, 0600, FILE_DURABLE, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(wish);
    return 0;
}

/* Is the batch still in the state it had? One that is not listed is the open one. */
static bool stands(const json_t *batches, const char *id, const char *state)
{
    const json_t *b;
    size_t i;

    json_array_foreach (batches, i, b) {
        const char *now = json_string_value(json_object_get(b, "state"));

        if (streq_ptr(id, json_string_value(json_object_get(b, "id"))))
            return streq_ptr(now, state) || (streq(state, "open") && streq_ptr(now, "sealed"));
    }
    return streq(state, "open");
}

int wish_standing(int agent_dir, const json_t *batches, json_t **ret, Error *e)
{
    const JsonAt at = {"wish.json", ""};
    _cleanup_json_ json_t *wish = NULL;
    const char *id, *state;
    Error none = {};
    int r = json_read_at(agent_dir, "wish.json", WISH_MAX, &wish, &none);

    if (r == -ENOENT)
        return r;
    if (r < 0)
        return error_setf(e, r, "%s", none.text);
    if ((r = json_need_string(wish, at, "batch", &id, e)) < 0 ||
        (r = json_need_string(wish, at, "state", &state, e)) < 0)
        return r;
    if (!stands(batches, id, state))
        return -ENOENT;
    *ret = TAKE_PTR(wish);
    return 0;
}
