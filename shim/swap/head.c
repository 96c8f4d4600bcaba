/* SPDX-License-Identifier: Apache-2.0 */
#include "head.h"

#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/json.h"

#define HEAD_SIZE_MAX 16384U
#define RESERVE_SIZE 65536U
#define COUNTER_MAX INT64_C(1000000000000)

static json_t *side_to_json(const Side *side)
{
    return side->generation[0]
               ? json_pack("{s:s,s:I}", "generation", side->generation, "epoch", (json_int_t) side->epoch)
               : json_null();
}

static int head_digest(json_t *o, char ret[static DIGEST_SIZE])
{
    _cleanup_free_ char *text = NULL;

    json_object_del(o, "sha256");
    text = json_canonical(o);
    if (!text)
        return -ENOMEM;
    hash_buffer(text, strlen(text), ret);
    return 0;
}

static int head_to_json(const Head *h, json_t **ret)
{
    _cleanup_json_ json_t *o = NULL;
    char digest[DIGEST_SIZE];
    int r;

    o = json_pack("{s:i,s:I,s:s,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:b,s:i,s:i,s:s,s:s,s:s}", "version", 1, "seq",
                  (json_int_t) h->seq, "state", swap_state_name(h->state), "txid", (json_int_t) h->txid, "next_epoch",
                  (json_int_t) h->next_epoch, "cur", side_to_json(&h->cur), "cand", side_to_json(&h->cand), "prev",
                  side_to_json(&h->prev), "fallback", side_to_json(&h->fallback), "salvage",
                  h->salvage == EPOCH_NONE ? json_null() : json_integer(h->salvage), "served", h->served, "restarts",
                  (int) h->restarts, "recoveries", (int) h->recoveries, "outcome", swap_outcome_name(h->outcome),
                  "boot_id", h->boot_id, "reason", h->reason);
    if (!o)
        return -EINVAL; /* a reason that is no UTF-8 */
    r = head_digest(o, digest);
    if (r < 0)
        return r;
    if (json_object_set_new(o, "sha256", json_string(digest)) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(o);
    return 0;
}

/* ---- reading ---- */

static int side_from_json(const json_t *o, JsonAt at, const char *key, Side *ret, Error *e)
{
    const char *generation;
    json_t *v = NULL;
    int r = json_want(o, at, key, JSON_OBJECT, &v, e);

    *ret = (Side){.epoch = EPOCH_NONE};
    if (r < 0 || !v)
        return r;
    at.path = key;
    r = json_need_string(v, at, "generation", &generation, e);
    if (r < 0)
        return r;
    if (!digest_valid(generation))
        return error_setf(e, -EINVAL, "%s: %s.generation: is no digest", at.file, key);
    memcpy(ret->generation, generation, DIGEST_SIZE);
    return json_need_integer(v, at, "epoch", 0, COUNTER_MAX, &ret->epoch, e);
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
    int64_t restarts, recoveries, epoch = EPOCH_NONE;
    int r;

    if ((r = json_need_integer(o, at, "seq", 0, COUNTER_MAX, &h->seq, e)) < 0 ||
        (r = json_need_integer(o, at, "txid", 0, COUNTER_MAX, &h->txid, e)) < 0 ||
        (r = json_need_integer(o, at, "next_epoch", 0, COUNTER_MAX, &h->next_epoch, e)) < 0 ||
        (r = json_need_integer(o, at, "restarts", 0, 1 << 30, &restarts, e)) < 0 ||
        (r = json_need_integer(o, at, "recoveries", 0, 1 << 30, &recoveries, e)) < 0 ||
        (r = json_want_integer(o, at, "salvage", 0, COUNTER_MAX, &epoch, e)) < 0)
        return r;
    h->restarts = (unsigned) restarts;
    h->recoveries = (unsigned) recoveries;
    h->salvage = epoch;
    return 0;
}

static int read_words(const json_t *o, JsonAt at, Head *h, Error *e)
{
    const char *reason, *boot_id;
    int state, outcome, r;

    if ((r = name_to_value(o, at, "state", SWAP_STATES, state_name, &state, e)) < 0 ||
        (r = name_to_value(o, at, "outcome", OUTCOMES, outcome_name, &outcome, e)) < 0 ||
        (r = json_need_string(o, at, "reason", &reason, e)) < 0 ||
        (r = json_need_string(o, at, "boot_id", &boot_id, e)) < 0 ||
        (r = json_want_bool(o, at, "served", &h->served, e)) < 0)
        return r;
    h->state = (SwapState) state;
    h->outcome = (SwapOutcome) outcome;
    snprintf(h->reason, sizeof(h->reason), "%s", reason);
    snprintf(h->boot_id, sizeof(h->boot_id), "%s", boot_id);
    return 0;
}

static int head_from_json(json_t *o, Head *ret, Error *e)
{
    JsonAt at = {"head.json", ""};
    _cleanup_free_ char *claimed = NULL;
    char digest[DIGEST_SIZE];
    const char *s;
    Head h = {};
    int r;

    r = json_need_string(o, at, "sha256", &s, e);
    if (r < 0)
        return r;
    claimed = strdup(s);
    if (!claimed || head_digest(o, digest) < 0)
        return -ENOMEM;
    if (!streq(claimed, digest))
        return error_setf(e, -EUCLEAN, "head.json: its sha256 is not that of its content");
    if ((r = read_counters(o, at, &h, e)) < 0 || (r = read_words(o, at, &h, e)) < 0 ||
        (r = side_from_json(o, at, "cur", &h.cur, e)) < 0 || (r = side_from_json(o, at, "cand", &h.cand, e)) < 0 ||
        (r = side_from_json(o, at, "prev", &h.prev, e)) < 0 ||
        (r = side_from_json(o, at, "fallback", &h.fallback, e)) < 0)
        return r;
    if (!h.cur.generation[0])
        return error_setf(e, -EINVAL, "head.json: no current generation");
    *ret = h;
    return 0;
}

static int from_initial(int agent_dir, Head *ret, Error *e)
{
    _cleanup_json_ json_t *initial = NULL;
    Head h = {.state = SWAP_STEADY,
              .cand.epoch = EPOCH_NONE,
              .prev.epoch = EPOCH_NONE,
              .fallback.epoch = EPOCH_NONE,
              .salvage = EPOCH_NONE};
    _cleanup_json_ json_t *wrapped = NULL;
    JsonAt at = {"initial.json", ""};
    int r;

    r = json_read_at(agent_dir, "initial.json", HEAD_SIZE_MAX, &initial, e);
    if (r < 0)
        return r;
    wrapped = json_pack("{s:O}", "cur", initial);
    if (!wrapped)
        return -ENOMEM;
    r = side_from_json(wrapped, at, "cur", &h.cur, e);
    if (r < 0)
        return r;
    h.next_epoch = h.cur.epoch + 1;
    *ret = h;
    return 0;
}

int head_load(int agent_dir, Head *ret, bool *ret_fresh, Error *e)
{
    _cleanup_json_ json_t *o = NULL;
    int r = json_read_at(agent_dir, "head.json", HEAD_SIZE_MAX, &o, e);
    bool fresh = r == -ENOENT;

    if (fresh)
        r = from_initial(agent_dir, ret, e);
    else if (r >= 0)
        r = head_from_json(o, ret, e);
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

int head_save(int agent_dir, const Head *head, Error *e)
{
    _cleanup_json_ json_t *o = NULL;
    int r;

    r = head_to_json(head, &o);
    if (r < 0)
        return error_errnof(e, r, "head.json");
    r = json_write_at(agent_dir, "head.json", o, 0600, FILE_DURABLE, e);
    if ((r == -ENOSPC || r == -EDQUOT) && unlinkat(agent_dir, "head.reserve", 0) == 0)
        r = json_write_at(agent_dir, "head.json", o, 0600, FILE_DURABLE, e);
    if (r >= 0)
        (void) keep_reserve(agent_dir); /* on a full disk there is none until there is room again */
    return r;
}

int head_boot_id(char ret[static 37], Error *e)
{
    _cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char buf[40];
    ssize_t n;

    if (fd < 0)
        return error_errnof(e, -errno, "boot id");
    n = fd_read_full(fd, buf, sizeof(buf));
    if (n < 36)
        return error_setf(e, -EIO, "boot id: too short");
    memcpy(ret, buf, 36);
    ret[36] = '\0';
    return 0;
}
