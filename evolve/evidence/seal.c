/* SPDX-License-Identifier: Apache-2.0 */
/* The open batch, and its sealing. */

#include <stdio.h>

#include "batch_file.h"
#include "chunk.h"
#include "compose.h"
#include "guard.h"
#include "lock.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"
#include "shim/client/client.h"

/* Ids of all chunks that sealed batches hold, and the number of the next batch. */
static int taken_chunks(int agent_dir, json_t **ret, unsigned *ret_next, Error *e)
{
    _cleanup_json_ json_t *batches = NULL, *taken = json_object();
    json_t *batch, *chunk;
    unsigned next = 1;
    size_t i, k;
    int r = batch_list(agent_dir, &batches, e);

    if (r < 0)
        return r;
    json_array_foreach (batches, i, batch) {
        unsigned long number = strtoul(json_string_value(json_object_get(batch, "id")) + 2, NULL, 10);

        next = (unsigned) number + 1;
        json_array_foreach (json_object_get(batch, "chunks"), k, chunk) {
            if (json_is_string(chunk))
                json_object_set_new(taken, json_string_value(chunk), json_true());
        }
    }
    *ret = TAKE_PTR(taken);
    *ret_next = next;
    return 0;
}

static int choose_guards(const char *store_path, const Agent *agent, int agent_dir, json_t **ret, Error *e)
{
    _cleanup_(session_files_done) SessionFiles files = {};
    _cleanup_(corpus_done) Corpus corpus = {};
    _cleanup_(rules_freep) Rules *rules = NULL;
    _cleanup_free_ char *generation = NULL;
    _cleanup_close_ int sessions = -EBADF;
    Error missing = {};
    int64_t epoch;
    int r;

    r = shim_head(store_path, agent->name, &generation, &epoch, e);
    if (r < 0)
        return r;
    sessions = sessions_open(agent, agent_dir, epoch, &missing);
    if (sessions == -ENOENT) { /* the evidence is older than this state volume */
        *ret = json_array();
        return *ret ? 0 : error_setf(e, -ENOMEM, "out of memory");
    }
    if (sessions < 0)
        return error_setf(e, sessions, "%s", missing.text);
    r = rules_compile(agent, &rules, e);
    if (r >= 0)
        r = sessions_list(agent, sessions, &files, e);
    if (r >= 0)
        r = corpus_load(agent, sessions, &files, &corpus, e);
    return r < 0 ? r : guards_choose(&corpus, rules, BATCH_GUARDS_MAX, ret, e);
}

static int compose_open(const char *store_path, const Agent *agent, int agent_dir, const EvidenceLock *lock,
                        Composition *ret, unsigned *ret_number, Error *e)
{
    _cleanup_json_ json_t *taken = NULL, *chunks = NULL, *guards = NULL;
    int r;

    r = taken_chunks(agent_dir, &taken, ret_number, e);
    if (r >= 0)
        r = chunks_load(lock->dir, taken, &chunks, e);
    if (r < 0)
        return r;
    if (json_array_size(chunks) == 0)
        return error_setf(e, -ENODATA, "%s: no evidence that is not in a batch already", agent->name);
    r = choose_guards(store_path, agent, agent_dir, &guards, e);
    return r < 0 ? r : compose(chunks, guards, ret, e);
}

static int batch_json(const Composition *c, unsigned number, const char *generation, const char *commit, Batch *b)
{
    char now[21];

    clock_iso8601(now);
    snprintf(b->id, sizeof(b->id), "b-%04u", number);
    b->tasks = json_incref(c->tasks);
    b->json = json_pack("{si ss ss ss s{ss? ss?} s{} sO sO sn}", "version", 1, "id", b->id, "state", "open", "created",
                        now, "incumbent", "generation", generation, "commit", commit, "tasks", "clusters", c->clusters,
                        "chunks", c->chunks, "evolution");
    return b->json ? 0 : -ENOMEM;
}

/* One task file; its digest goes into `digests`. */
static int write_task(int tasks_dir, const json_t *task, json_t *digests, Error *e)
{
    const char *id = json_string_value(json_object_get(task, "id"));
    _cleanup_free_ char *text = json_dumps(task, JSON_INDENT(2) | JSON_SORT_KEYS), *name = xasprintf("%s.json", id);
    char digest[DIGEST_SIZE];
    int r;

    if (!text || !name)
        return error_setf(e, -ENOMEM, "out of memory");
    hash_buffer(text, strlen(text), digest);
    r = file_write_at(tasks_dir, name, text, strlen(text), 0400, FILE_DURABLE);
    if (r < 0)
        return error_errnof(e, r, "cannot write tasks/%s", name);
    return json_object_set_new(digests, id, json_string(digest)) < 0 ? error_setf(e, -ENOMEM, "out of memory") : 0;
}

static int write_tasks(int batch_dir, Batch *b, Error *e)
{
    _cleanup_close_ int tasks_dir = -EBADF;
    json_t *digests = json_object_get(b->json, "tasks"), *task;
    size_t i;
    int r = mkdirat_p(batch_dir, "tasks", 0700);

    if (r >= 0) {
        tasks_dir = openat(batch_dir, "tasks", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = tasks_dir < 0 ? -errno : 0;
    }
    if (r < 0)
        return error_errnof(e, r, "batch %s: tasks", b->id);
    json_array_foreach (b->tasks, i, task) {
        r = write_task(tasks_dir, task, digests, e);
        if (r < 0)
            return error_wrapf(e, r, "batch %s", b->id);
    }
    if (batch_digest(digests, b->digest) < 0)
        return error_setf(e, -ENOMEM, "out of memory");
    json_object_set_new(b->json, "digest", json_string(b->digest));
    json_object_set_new(b->json, "state", json_string("sealed"));
    return 0;
}

/* batch.json comes last: a directory without it is no batch, and what a killed seal left there is removed by the next. */
static int write_batch(int agent_dir, Batch *b, Error *e)
{
    _cleanup_close_ int batches = -EBADF, batch_dir = -EBADF;
    int r = mkdirat_p(agent_dir, "batches", 0700);

    if (r >= 0) {
        batches = openat(agent_dir, "batches", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = batches < 0 ? -errno : rm_rf_at(batches, b->id);
    }
    if (r >= 0)
        r = mkdirat_p(batches, b->id, 0700);
    if (r >= 0) {
        batch_dir = openat(batches, b->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = batch_dir < 0 || fsync(batches) < 0 ? -errno : 0;
    }
    if (r < 0)
        return error_errnof(e, r, "batch %s", b->id);
    r = write_tasks(batch_dir, b, e);
    if (r < 0)
        return r;
    r = json_write_at(batch_dir, "batch.json", b->json, 0600, FILE_DURABLE | FILE_EXCLUSIVE, e);
    return r < 0 ? error_wrapf(e, r, "batch %s", b->id) : 0;
}

static int make_open(const char *store_path, const Agent *agent, int agent_dir, const EvidenceLock *lock,
                     const char *generation, const char *commit, Batch **ret, Error *e)
{
    _cleanup_(composition_done) Composition composition = {};
    _cleanup_(batch_freep) Batch *b = calloc(1, sizeof(*b));
    unsigned number;
    int r = compose_open(store_path, agent, agent_dir, lock, &composition, &number, e);

    if (r < 0)
        return r;
    if (!b || batch_json(&composition, number, generation, commit, b) < 0)
        return error_setf(e, -ENOMEM, "out of memory");
    *ret = TAKE_PTR(b);
    return 0;
}

int batch_load_open(const char *store_path, const Agent *agent, Batch **ret, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(store_path, agent->name, e);
    _cleanup_(evidence_unlock) EvidenceLock lock = EVIDENCE_LOCK_NONE;
    int r = dir < 0 ? dir : evidence_lock(dir, &lock, e);

    return r < 0 ? r : make_open(store_path, agent, dir, &lock, NULL, NULL, ret, e);
}

int batch_seal(const char *store_path, const Agent *agent, const char *generation, const char *commit,
               char ret_id[static BATCH_ID_SIZE], Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(store_path, agent->name, e);
    _cleanup_(evidence_unlock) EvidenceLock lock = EVIDENCE_LOCK_NONE;
    _cleanup_(batch_freep) Batch *b = NULL;
    int r = dir < 0 ? dir : evidence_lock(dir, &lock, e);

    if (r >= 0)
        r = make_open(store_path, agent, dir, &lock, generation, commit, &b, e);
    if (r >= 0)
        r = write_batch(dir, b, e);
    if (r < 0)
        return r;
    memcpy(ret_id, b->id, BATCH_ID_SIZE);
    return 0;
}
