/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include "evolve/evidence/batch.h"
#include "evolve/ledger/ledger.h"
#include "evolve/stage/engine.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"
#include "shim/client/client.h"
#include "wish.h"

/* The position of the newest evolution; stays NULL when there is none. */
static int newest_position(const char *directory, json_t **ret, Error *e)
{
    _cleanup_(ledger_freep) Ledger *ledger = NULL;
    _cleanup_json_ json_t *ids = NULL;
    Error why = {};
    int r;

    if ((r = ledger_open(directory, &ledger, e)) < 0 || (r = ledger_evolutions(ledger, &ids, e)) < 0)
        return r;
    for (size_t i = json_array_size(ids); i > 0; i--) {
        r = ledger_read_json(ledger, json_string_value(json_array_get(ids, i - 1)), "position.json", ret, &why);
        if (r != -ENOENT)
            return r < 0 ? error_setf(e, r, "%s", why.text) : 0;
    }
    return 0;
}

int evolution_status(const char *store_path, const char *agent, json_t **ret, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(store_path, agent, e);
    _cleanup_json_ json_t *position = NULL, *batches = NULL, *wish = NULL;
    _cleanup_free_ char *directory = NULL, *generation = NULL;
    int64_t epoch = 0;
    Error none = {};
    pid_t pid;
    int r;

    if (dir < 0)
        return dir;
    directory = xasprintf("%s/agents/%s", store_path, agent);
    if (!directory)
        return error_errnof(e, -ENOMEM, "status");
    if ((r = engine_running(directory, &pid, e)) < 0 || (r = newest_position(directory, &position, e)) < 0 ||
        (r = batch_list(dir, &batches, e)) < 0)
        return r;
    r = wish_standing(dir, batches, &wish, e);
    if (r < 0 && r != -ENOENT)
        return r;
    /* Without a head there is no generation to show: that is no error here. */
    (void) shim_head(store_path, agent, &generation, &epoch, &none);
    *ret = json_pack("{s:b, s:s, s:b, s:i, s:s?, s:I, s:O?, s:O, s:O?}", "ok", 1, "agent", agent, "running", pid > 0,
                     "pid", (int) pid, "generation", generation, "epoch", (json_int_t) epoch, "evolution", position,
                     "batches", batches, "wish", wish);
    return *ret ? 0 : error_errnof(e, -ENOMEM, "status");
}
