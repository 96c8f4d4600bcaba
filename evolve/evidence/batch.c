/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"

#include <stdio.h>

#include "batch_file.h"
#include "lock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"
#include "task.h"

#define TASK_BYTES_MAX ((size_t) 8 << 20)

/* ---- states ---- */

static const char *const state_names[] = {
    [BATCH_OPEN] = "open",     [BATCH_SEALED] = "sealed",       [BATCH_RUNNING] = "running",
    [BATCH_READY] = "ready",   [BATCH_APPLIED] = "applied",     [BATCH_ROLLED_BACK] = "rolled_back",
    [BATCH_FAILED] = "failed", [BATCH_DISCARDED] = "discarded",
};

#define TO(state) (1U << (state))
/* Where each state leads to. */
static const unsigned ways[] = {
    [BATCH_OPEN] = 0, /* batch_seal() alone leads out of it */
    [BATCH_SEALED] = TO(BATCH_RUNNING) | TO(BATCH_DISCARDED),
    [BATCH_RUNNING] = TO(BATCH_SEALED) | TO(BATCH_READY) | TO(BATCH_FAILED) | TO(BATCH_DISCARDED),
    [BATCH_READY] = TO(BATCH_RUNNING) | TO(BATCH_APPLIED) | TO(BATCH_ROLLED_BACK) | TO(BATCH_DISCARDED),
    [BATCH_APPLIED] = 0,
    [BATCH_ROLLED_BACK] = TO(BATCH_RUNNING) | TO(BATCH_DISCARDED),
    [BATCH_FAILED] = TO(BATCH_RUNNING) | TO(BATCH_DISCARDED),
    [BATCH_DISCARDED] = 0,
};

const char *batch_state_name(BatchState state)
{
    return state_names[state];
}

static int state_from_name(const char *name, BatchState *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(state_names); i++)
        if (streq(state_names[i], name)) {
            *ret = i;
            return 0;
        }
    return -EINVAL;
}

TaskKind task_kind(const json_t *task)
{
    const char *kind = json_string_value(json_object_get(task, "kind"));

    return streq_ptr(kind, "visible") ? TASK_VISIBLE : streq_ptr(kind, "sealed") ? TASK_SEALED : TASK_GUARD;
}

/* ---- files ---- */

bool batch_id_valid(const char *id)
{
    const char *digits = startswith(id, "b-");
    size_t n = digits ? strspn(digits, "0123456789") : 0;

    return n >= 4 && n <= 9 && digits[n] == '\0';
}

static int open_batch(int agent_dir, const char *id, Error *e)
{
    _cleanup_close_ int batches = -EBADF;
    int fd;

    if (!batch_id_valid(id))
        return error_setf(e, -EINVAL, "\"%.40s\" is no batch: batches are named b-0001, b-0002…", id);
    batches = openat(agent_dir, "batches", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    fd = openat(batches, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && faccessat(fd, "batch.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return fd;
    fd_closep(&fd);
    return error_setf(e, -ENOENT, "there is no batch %s", id);
}

int batch_read_json(int batch_dir, const char *id, json_t **ret, Error *e)
{
    _cleanup_free_ char *file = xasprintf("batches/%s/batch.json", id);
    _cleanup_json_ json_t *json = NULL;
    JsonAt at = {file ? file : "batch.json", ""};
    const char *stated, *state, *digest;
    json_t *tasks;
    int64_t version;
    BatchState known;
    int r;

    r = json_read_at(batch_dir, "batch.json", JSON_FILE_MAX, &json, e);
    if (r < 0)
        return error_wrapf(e, r, "batch %s", id);
    r = json_need_integer(json, at, "version", 1, 1, &version, e);
    if (r >= 0)
        r = json_need_string(json, at, "id", &stated, e);
    if (r >= 0)
        r = json_need_string(json, at, "state", &state, e);
    if (r >= 0)
        r = json_need_string(json, at, "digest", &digest, e);
    if (r >= 0)
        r = json_need(json, at, "tasks", JSON_OBJECT, &tasks, e);
    if (r < 0)
        return r;
    if (!streq(stated, id) || state_from_name(state, &known) < 0 || known == BATCH_OPEN || !digest_valid(digest))
        return error_setf(e, -EINVAL, "%s: id, state or digest is not what it must be", at.file);
    *ret = TAKE_PTR(json);
    return 0;
}

int batch_digest(const json_t *tasks, char ret[static DIGEST_SIZE])
{
    _cleanup_free_ char *text = json_canonical(tasks);

    if (!text)
        return -ENOMEM;
    hash_buffer(text, strlen(text), ret);
    return 0;
}

/* ---- loading ---- */

static int load_task(int tasks_dir, const char *batch, const char *id, const char *digest, json_t **ret, Error *e)
{
    _cleanup_free_ char *name = xasprintf("%s.json", id), *data = NULL;
    _cleanup_json_ json_t *task = NULL;
    char found[DIGEST_SIZE];
    size_t len;
    int r;

    if (!name || strchr(id, '/') || !digest)
        return error_setf(e, -EUCLEAN, "batch %s: \"%.40s\" is no task", batch, id);
    r = file_read_at(tasks_dir, name, TASK_BYTES_MAX, &data, &len);
    if (r < 0)
        return error_errnof(e, -EUCLEAN, "batch %s: tasks/%s (%s)", batch, name, strerror(-r));
    hash_buffer(data, len, found);
    if (!streq(found, digest))
        return error_setf(e, -EUCLEAN, "batch %s: tasks/%s was changed since the batch was sealed", batch, name);
    r = json_parse(data, len, name, &task, e);
    if (r >= 0)
        r = task_check(task, name, e);
    if (r < 0)
        return error_wrapf(e, -EUCLEAN, "batch %s", batch);
    if (!streq(json_string_value(json_object_get(task, "id")), id))
        return error_setf(e, -EUCLEAN, "batch %s: tasks/%s holds another task", batch, name);
    *ret = TAKE_PTR(task);
    return 0;
}

/* A task that nobody listed would be read by whoever looks into the directory. */
static int check_extra(int tasks_dir, const char *batch, const json_t *tasks, Error *e)
{
    _cleanup_closedir_ DIR *dir = NULL;
    int fd = openat(tasks_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *entry;

    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        fd_closep(&fd);
        return error_errnof(e, -errno, "batch %s: tasks", batch);
    }
    while ((entry = readdir(dir))) {
        _cleanup_free_ char *id = strdup(entry->d_name);

        if (!id)
            return error_setf(e, -ENOMEM, "out of memory");
        if (streq(id, ".") || streq(id, ".."))
            continue;
        if (endswith(id, ".json"))
            id[strlen(id) - strlen(".json")] = '\0';
        if (!json_object_get(tasks, id))
            return error_setf(e, -EUCLEAN, "batch %s: tasks/%.100s was added since the batch was sealed", batch,
                              entry->d_name);
    }
    return 0;
}

static int load_tasks(int dir, Batch *b, Error *e)
{
    static const TaskKind kinds[] = {TASK_VISIBLE, TASK_SEALED, TASK_GUARD};
    _cleanup_close_ int tasks_dir = openat(dir, "tasks", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_json_ json_t *by_id = json_array();
    json_t *listed = json_object_get(b->json, "tasks"), *digest;
    const char *id;
    int r;

    if (tasks_dir < 0)
        return error_errnof(e, -EUCLEAN, "batch %s: tasks (%s)", b->id, strerror(errno));
    r = check_extra(tasks_dir, b->id, listed, e);
    json_object_foreach (listed, id, digest) {
        json_t *task;

        if (r >= 0)
            r = load_task(tasks_dir, b->id, id, json_string_value(digest), &task, e);
        if (r < 0)
            return r;
        json_array_append_new(by_id, task);
    }
    b->tasks = json_array();
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
        for (size_t i = 0; i < json_array_size(by_id); i++)
            if (task_kind(json_array_get(by_id, i)) == kinds[k])
                json_array_append(b->tasks, json_array_get(by_id, i));
    return b->tasks ? 0 : error_setf(e, -ENOMEM, "out of memory");
}

int batch_load(int dir, const char *id, Batch **ret, Error *e)
{
    _cleanup_(batch_freep) Batch *b = calloc(1, sizeof(*b));
    _cleanup_close_ int batch_dir = open_batch(dir, id, e);
    char digest[DIGEST_SIZE];
    int r;

    if (batch_dir < 0)
        return batch_dir;
    if (!b)
        return error_setf(e, -ENOMEM, "out of memory");
    snprintf(b->id, sizeof(b->id), "%s", id);
    r = batch_read_json(batch_dir, id, &b->json, e);
    if (r >= 0)
        r = batch_digest(json_object_get(b->json, "tasks"), digest);
    if (r < 0)
        return r;
    if (!streq(digest, json_string_value(json_object_get(b->json, "digest"))))
        return error_setf(e, -EUCLEAN, "batch %s: its list of tasks was changed since it was sealed", id);
    memcpy(b->digest, digest, sizeof(digest));
    (void) state_from_name(json_string_value(json_object_get(b->json, "state")), &b->state);
    r = load_tasks(batch_dir, b, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(b);
    return 0;
}

Batch *batch_free(Batch *b)
{
    if (!b)
        return NULL;
    json_decref(b->json);
    json_decref(b->tasks);
    free(b);
    return NULL;
}

/* ---- the list, and states ---- */

static int is_batch(const struct dirent *entry)
{
    return batch_id_valid(entry->d_name);
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
    size_t n = strlen((*a)->d_name), m = strlen((*b)->d_name);

    return n != m ? (n < m ? -1 : 1) : strcmp((*a)->d_name, (*b)->d_name);
}

int batch_list(int dir, json_t **ret, Error *e)
{
    _cleanup_close_ int batches = openat(dir, "batches", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_json_ json_t *list = json_array();
    struct dirent **entries = NULL;
    int n = 0, r = 0;

    if (batches < 0 && errno != ENOENT)
        return error_errnof(e, -errno, "batches");
    if (batches >= 0 && (n = scandirat(batches, ".", &entries, is_batch, by_number)) < 0)
        return error_errnof(e, -errno, "batches");
    for (int i = 0; i < n; i++) {
        const char *id = entries[i]->d_name;
        _cleanup_close_ int batch_dir = -EBADF;
        json_t *json;

        if (r >= 0)
            batch_dir = openat(batches, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        /* Without batch.json it is what a killed seal left. */
        if (batch_dir >= 0 && faccessat(batch_dir, "batch.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
            (r = batch_read_json(batch_dir, id, &json, e)) >= 0)
            json_array_append_new(list, json);
        free(entries[i]);
    }
    free(entries);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(list);
    return 0;
}

int batch_find(int dir, const char *id, const char *state, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *list = NULL;
    json_t *found = NULL, *batch;
    size_t i;
    int r = batch_list(dir, &list, e);

    if (r < 0)
        return r;
    json_array_foreach (list, i, batch)
        if ((!id || streq(id, json_string_value(json_object_get(batch, "id")))) &&
            (!state || streq(state, json_string_value(json_object_get(batch, "state")))))
            found = batch;
    *ret = json_incref(found);
    return 0;
}

int batch_set_state(int dir, const char *id, BatchState state, const char *evolution, Error *e)
{
    _cleanup_(evidence_unlock) EvidenceLock lock = EVIDENCE_LOCK_NONE;
    _cleanup_close_ int batch_dir = open_batch(dir, id, e);
    _cleanup_json_ json_t *json = NULL;
    const char *evolution_now;
    BatchState now;
    int r;

    if (batch_dir < 0)
        return batch_dir;
    r = evidence_lock(dir, &lock, e);
    if (r >= 0)
        r = batch_read_json(batch_dir, id, &json, e);
    if (r < 0)
        return r;
    (void) state_from_name(json_string_value(json_object_get(json, "state")), &now);
    evolution_now = json_string_value(json_object_get(json, "evolution"));
    if (now == state && (!evolution || streq_ptr(evolution, evolution_now)))
        return 0;
    if (now != state && !(ways[now] & TO(state)))
        return error_setf(e, -EINVAL, "batch %s is %s and cannot become %s", id, state_names[now], state_names[state]);
    json_object_set_new(json, "state", json_string(state_names[state]));
    if (evolution)
        json_object_set_new(json, "evolution", json_string(evolution));
    r = json_write_at(batch_dir, "batch.json", json, 0600, FILE_DURABLE, e);
    return r < 0 ? error_wrapf(e, r, "batch %s", id) : 0;
}
