/* SPDX-License-Identifier: Apache-2.0 */
#include "head.h"

#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "shim/client/files.h"

#define RESERVE_SIZE 65536U
#define COUNTER_MAX INT64_C(1000000000000)

static json_t *side_to_json(const Side *side)
{
    return side->generation[0]
               ? json_pack("{s:s,s:I}", "generation", side->generation, "epoch", (json_int_t) side->epoch)
               : json_null();
}

static json_t *aside_to_json(const Head *h)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < h->n_aside; i++)
        if (json_array_append_new(list, json_pack("{s:s,s:I,s:I}", "generation", h->aside[i].side.generation, "epoch",
                                                  (json_int_t) h->aside[i].side.epoch, "served_usec",
                                                  (json_int_t) h->aside[i].served_usec)) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* `after`: NULL for head.json. */
static int head_to_json(const Head *h, const char *after, json_t **ret, char ret_digest[static DIGEST_SIZE])
{
    _cleanup_json_ json_t *o = NULL;
    int r;

    o = json_pack("{s:i,s:I,s:s,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:b,s:I,s:i,s:i,s:s,s:s,s:s,s:s,s:b}", "version", 1, "seq",
                  (json_int_t) h->seq, "state", swap_state_name(h->state), "txid", (json_int_t) h->txid, "next_epoch",
                  (json_int_t) h->next_epoch, "cur", side_to_json(&h->cur), "cand", side_to_json(&h->cand), "prev",
                  side_to_json(&h->prev), "fallback", side_to_json(&h->fallback), "aside", aside_to_json(h), "served",
                  h->served, "served_at", (json_int_t) h->served_at, "restarts", (int) h->restarts, "recoveries",
                  (int) h->recoveries, "outcome", swap_outcome_name(h->outcome), "boot_id", h->boot_id, "reason",
                  h->reason, "consent", h->consent, "rehearsed", (int) h->rehearsed);
    if (!o || (after && json_object_set_new(o, "after", json_string(after)) < 0))
        return -ENOMEM;
    r = shim_head_digest(o, ret_digest);
    if (r < 0)
        return r;
    if (json_object_set_new(o, "sha256", json_string(ret_digest)) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(o);
    return 0;
}

/* ---- reading ---- */

static int read_side(const json_t *o, JsonAt at, Side *ret, Error *e)
{
    const char *generation;
    int r = json_need_string(o, at, "generation", &generation, e);

    if (r < 0)
        return r;
    if (!digest_valid(generation))
        return error_setf(e, -EINVAL, "%s: %s.generation: is no digest", at.file, at.path);
    memcpy(ret->generation, generation, DIGEST_SIZE);
    return json_need_integer(o, at, "epoch", 0, COUNTER_MAX, &ret->epoch, e);
}

static int side_from_json(const json_t *o, JsonAt at, const char *key, Side *ret, Error *e)
{
    json_t *v = NULL;
    int r = json_want(o, at, key, JSON_OBJECT, &v, e);

    *ret = (Side){.epoch = EPOCH_NONE};
    if (r < 0 || !v)
        return r;
    at.path = key;
    return read_side(v, at, ret, e);
}

static int aside_from_json(const json_t *o, JsonAt at, Head *h, Error *e)
{
    json_t *list = NULL, *item;
    size_t i;
    int r = json_need(o, at, "aside", JSON_ARRAY, &list, e);

    if (r < 0)
        return r;
    at.path = "aside";
    if (json_array_size(list) > ASIDE_MAX)
        return error_setf(e, -EINVAL, "%s: aside: has %zu entries, at most %u are read", at.file, json_array_size(list),
                          ASIDE_MAX);
    json_array_foreach (list, i, item) {
        if (!json_is_object(item))
            return error_setf(e, -EINVAL, "%s: aside[%zu]: must be an object", at.file, i);
        if ((r = read_side(item, at, &h->aside[i].side, e)) < 0 ||
            (r = json_need_integer(item, at, "served_usec", -1, INT64_MAX, &h->aside[i].served_usec, e)) < 0)
            return r;
        h->n_aside++;
    }
    return 0;
}

static int name_to_value(const json_t *o, JsonAt at, const char *key, int n, const char *(*name)(int), int *ret,
                         Error *e)
{
    const char *s;
    int r = json_need_string(o, at, key, &s, e);

    if (r < 0)
        return r;
    for (int i = 0; i < n; i++)
        if (streq(s, name(i))) {
            *ret = i;
            return 0;
        }
    return error_setf(e, -EINVAL, "%s: %s: \"%.40s\" is unknown", at.file, key, s);
}

static const char *state_name(int i)
{
    return swap_state_name((SwapState) i);
}

static const char *outcome_name(int i)
{
    return swap_outcome_name((SwapOutcome) i);
}

static int read_counters(const json_t *o, JsonAt at, Head *h, Error *e)
{
    int64_t restarts, recoveries;
    int r;

    if ((r = json_need_integer(o, at, "seq", 0, COUNTER_MAX, &h->seq, e)) < 0 ||
        (r = json_need_integer(o, at, "txid", 0, COUNTER_MAX, &h->txid, e)) < 0 ||
        (r = json_need_integer(o, at, "next_epoch", 0, COUNTER_MAX, &h->next_epoch, e)) < 0 ||
        (r = json_need_integer(o, at, "restarts", 0, 1 << 30, &restarts, e)) < 0 ||
        (r = json_need_integer(o, at, "recoveries", 0, 1 << 30, &recoveries, e)) < 0 ||
        (r = json_need_integer(o, at, "served_at", 0, INT64_MAX, &h->served_at, e)) < 0)
        return r;
    h->restarts = (unsigned) restarts;
    h->recoveries = (unsigned) recoveries;
    return 0;
}

static int read_words(const json_t *o, JsonAt at, Head *h, Error *e)
{
    const char *reason, *boot_id, *consent = "";
    int state, outcome, r;

    if ((r = name_to_value(o, at, "state", SWAP_STATES, state_name, &state, e)) < 0 ||
        (r = name_to_value(o, at, "outcome", OUTCOMES, outcome_name, &outcome, e)) < 0 ||
        (r = json_need_string(o, at, "reason", &reason, e)) < 0 ||
        (r = json_need_string(o, at, "boot_id", &boot_id, e)) < 0 ||
        (r = json_want_bool(o, at, "served", &h->served, e)) < 0 ||
        (r = json_want_string(o, at, "consent", &consent, e)) < 0 ||
        (r = json_want_bool(o, at, "rehearsed", &h->rehearsed, e)) < 0)
        return r;
    h->state = (SwapState) state;
    h->outcome = (SwapOutcome) outcome;
    snprintf(h->reason, sizeof(h->reason), "%s", reason);
    snprintf(h->boot_id, sizeof(h->boot_id), "%s", boot_id);
    snprintf(h->consent, sizeof(h->consent), "%s", consent);
    return 0;
}

static int head_from_json(json_t *o, Head *ret, Error *e)
{
    JsonAt at = {"head.json", ""};
    Head h = {};
    int r;

    if ((r = read_counters(o, at, &h, e)) < 0 || (r = read_words(o, at, &h, e)) < 0 ||
        (r = side_from_json(o, at, "cur", &h.cur, e)) < 0 || (r = side_from_json(o, at, "cand", &h.cand, e)) < 0 ||
        (r = side_from_json(o, at, "prev", &h.prev, e)) < 0 ||
        (r = side_from_json(o, at, "fallback", &h.fallback, e)) < 0 || (r = aside_from_json(o, at, &h, e)) < 0)
        return r;
    if (!h.cur.generation[0])
        return error_setf(e, -EINVAL, "head.json: no current generation");
    *ret = h;
    return 0;
}

static int head_from_initial(const json_t *o, Head *ret, Error *e)
{
    Head h = {.state = SWAP_STEADY, .cand.epoch = EPOCH_NONE, .prev.epoch = EPOCH_NONE, .fallback.epoch = EPOCH_NONE};
    int r = side_from_json(o, (JsonAt){"initial.json", ""}, "cur", &h.cur, e);

    if (r < 0)
        return r;
    h.next_epoch = h.cur.epoch + 1;
    *ret = h;
    return 0;
}

int head_load(int agent_dir, Head *ret, bool *ret_fresh, Error *e)
{
    _cleanup_json_ json_t *o = NULL;
    int fresh = shim_read_head(agent_dir, &o, e), r;

    if (fresh < 0)
        return fresh;
    r = fresh ? head_from_initial(o, ret, e) : head_from_json(o, ret, e);
    if (r < 0)
        return r;
    *ret_fresh = fresh;
    return 0;
}

/* ---- writing ---- */

static int keep_reserve(int agent_dir)
{
    _cleanup_close_ int fd =
        openat(agent_dir, "head.reserve", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r;

    if (fd < 0)
        return errno == EEXIST ? 0 : -errno;
    r = posix_fallocate(fd, 0, RESERVE_SIZE);
    if (r != 0)
        unlinkat(agent_dir, "head.reserve", 0);
    return -r;
}

static int open_journal(int agent_dir, bool make)
{
    int fd =
        openat(agent_dir, "head.journal", O_WRONLY | (make ? O_CREAT : 0) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

    return fd < 0 ? -errno : fd;
}

/* Its blocks are written here, so that writing them again is no matter of the file system's. Nothing stands in them: a head.json has just been written. */
static bool make_journal(int agent_dir)
{
    static const char empty[HEAD_BLOCKS * HEAD_BLOCK_SIZE];
    _cleanup_close_ int fd = open_journal(agent_dir, true);

    return fd >= 0 && fd_write_all(fd, empty, sizeof(empty)) >= 0 && fsync(fd) >= 0 && fsync(agent_dir) >= 0;
}

static int format_block(const Head *head, const char *base, char ret[static HEAD_BLOCK_SIZE])
{
    _cleanup_json_ json_t *o = NULL;
    _cleanup_free_ char *text = NULL;
    char digest[DIGEST_SIZE];
    int r = head_to_json(head, base, &o, digest);

    if (r < 0)
        return r;
    text = json_canonical(o);
    if (!text || strlen(text) >= HEAD_BLOCK_SIZE)
        return text ? -E2BIG : -ENOMEM;
    memset(ret, ' ', HEAD_BLOCK_SIZE);
    memcpy(ret, text, strlen(text));
    ret[HEAD_BLOCK_SIZE - 1] = '\n';
    return 0;
}

static int write_block(HeadFile *file, const char *block)
{
    _cleanup_close_ int fd = open_journal(file->dir, false);
    ssize_t n;

    if (fd < 0)
        return fd;
    n = pwrite(fd, block, HEAD_BLOCK_SIZE, file->block * (off_t) HEAD_BLOCK_SIZE);
    if (n < 0)
        return -errno;
    if (n != HEAD_BLOCK_SIZE || fdatasync(fd) < 0)
        return -EINPROGRESS;
    file->block = (file->block + 1) % HEAD_BLOCKS;
    return 0;
}

static int replace(HeadFile *file, const Head *head, Error *e)
{
    _cleanup_json_ json_t *o = NULL;
    char digest[DIGEST_SIZE];
    int r = head_to_json(head, NULL, &o, digest);

    if (r < 0)
        return error_errnof(e, r, "head.json");
    r = json_write_at(file->dir, "head.json", o, 0600, FILE_DURABLE, e);
    if ((r == -ENOSPC || r == -EDQUOT) && unlinkat(file->dir, "head.reserve", 0) == 0)
        r = json_write_at(file->dir, "head.json", o, 0600, FILE_DURABLE, e);
    if (r == -EINPROGRESS)
        file->base[0] = '\0';
    if (r < 0)
        return r;
    memcpy(file->base, digest, sizeof(digest));
    (void) keep_reserve(file->dir); /* on a full disk there is none until there is room again */
    if (!file->journal) {
        file->journal = make_journal(file->dir);
        file->block = 0;
    }
    return 0;
}

int head_save(HeadFile *file, const Head *head, bool soon, Error *e)
{
    char block[HEAD_BLOCK_SIZE];
    int r;

    if (!soon || !file->journal || !file->base[0])
        return replace(file, head, e);
    r = format_block(head, file->base, block);
    if (r >= 0)
        r = write_block(file, block);
    if (r == -E2BIG || r == -ENOSPC || r == -EDQUOT) /* where writing over takes space: there is the reserve */
        return replace(file, head, e);
    return r < 0 ? error_errnof(e, r, "head.journal") : 0;
}
