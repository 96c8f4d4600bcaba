/* SPDX-License-Identifier: Apache-2.0 */
/* What follows when a candidate was swapped in for good. */
#include <stdio.h>
#include <sys/stat.h>

#include "evolve/evidence/task.h"
#include "evolve/stage/internal.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

/* The task as a guard, under the id that its turns and graders have: it may have been replayed wider than it was. */
static int guard_write(int dir, const EngineTask *t, Error *e)
{
    _cleanup_json_ json_t *guard = json_deep_copy(t->task);
    char id[TASK_ID_SIZE], name[TASK_ID_SIZE + 8];
    int r;

    if (!guard)
        return -ENOMEM;
    r = task_id(json_object_get(guard, "turns"), json_object_get(guard, "graders"), id);
    if (r < 0)
        return r;
    if (json_object_set_new(guard, "id", json_string(id)) < 0 ||
        json_object_set_new(guard, "kind", json_string("guard")) < 0)
        return -ENOMEM;
    snprintf(name, sizeof(name), "%s.json", id);
    return json_write_at(dir, name, guard, 0644, FILE_DURABLE, e);
}

static int regression_add(Engine *g, Error *e)
{
    _cleanup_close_ int dir = -EBADF;
    int r;

    if (mkdirat(g->dir, "regression", 0700) < 0 && errno != EEXIST)
        return error_errnof(e, -errno, "cannot make %s/regression", g->directory);
    dir = openat(g->dir, "regression", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return error_errnof(e, -errno, "%s/regression", g->directory);
    for (size_t i = 0; i < g->n_tasks; i++) {
        if (g->tasks[i].kind == TASK_GUARD)
            continue;
        r = guard_write(dir, &g->tasks[i], e);
        if (r < 0)
            return error_wrapf(e, r, "%s/regression", g->directory);
    }
    return 0;
}

int stage_after_apply(const char *store_path, const Agent *agent, const char *evolution, Error *e)
{
    _cleanup_(engine_freep) Engine *g = engine_new();
    _cleanup_json_ json_t *ready = NULL;
    JsonAt at = {"ready.json", ""};
    const char *commit;
    int r;

    if (!g)
        return -ENOMEM;
    g->agent = agent;
    g->dir = agent_open_directory(store_path, agent->name, e);
    if (g->dir < 0)
        return g->dir;
    g->directory = xasprintf("%s/agents/%s", store_path, agent->name);
    if (!g->directory)
        return -ENOMEM;
    if (!ledger_id_valid(evolution))
        return error_setf(e, -EINVAL, "\"%.40s\" is no evolution", evolution);
    memcpy(g->p.evolution, evolution, strlen(evolution) + 1);
    if ((r = ledger_open(g->directory, &g->ledger, e)) < 0 ||
        (r = ledger_read_json(g->ledger, evolution, "ready.json", &ready, e)) < 0 ||
        (r = json_need_string(ready, at, "commit", &commit, e)) < 0 || (r = tasks_load(g, e)) < 0)
        return r;
    r = regression_add(g, e);
    if (r < 0)
        return r;
    return branch_set(agent->repository, "current", commit, e);
}
