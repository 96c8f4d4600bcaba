/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"

#include "runtime/base/json.h"

#define HEAD_SIZE_MAX 16384U
#define HISTORY_SIZE_MAX ((size_t) 64 << 20)
#define HISTORY_READ 10000U
#define PREFIX_MIN 6U

int shim_head_digest(json_t *head, char ret[static DIGEST_SIZE])
{
    _cleanup_free_ char *text = NULL;

    json_object_del(head, "sha256");
    text = json_canonical(head);
    if (!text)
        return -ENOMEM;
    hash_buffer(text, strlen(text), ret);
    return 0;
}

/* Removes the member. */
static int check_digest(json_t *head, char ret[static DIGEST_SIZE], Error *e)
{
    _cleanup_json_ json_t *claimed = json_incref(json_object_get(head, "sha256"));
    char digest[DIGEST_SIZE];

    if (!json_is_string(claimed))
        return error_setf(e, -EINVAL, "head.json: sha256: is missing");
    if (shim_head_digest(head, digest) < 0)
        return error_errnof(e, -ENOMEM, "head.json");
    if (!streq(json_string_value(claimed), digest))
        return error_setf(e, -EUCLEAN, "head.json: its sha256 is not that of its content");
    memcpy(ret, digest, sizeof(digest));
    return 0;
}

/* A block of head.journal that is whole and goes beyond `base`, or NULL. */
static json_t *read_block(const char *text, const char *base)
{
    _cleanup_json_ json_t *o = NULL;
    char digest[DIGEST_SIZE];
    const char *after;

    if (json_parse(text, HEAD_BLOCK_SIZE, "head.journal", &o, NULL) < 0 || !json_is_object(o) ||
        check_digest(o, digest, NULL) < 0)
        return NULL;
    after = json_string_value(json_object_get(o, "after"));
    return after && streq(after, base) ? TAKE_PTR(o) : NULL;
}

static json_int_t seq_of(const json_t *head)
{
    return json_integer_value(json_object_get(head, "seq"));
}

/* *head is head.json, whose sha256 is `base`, and becomes what goes beyond it. */
static int read_journal(int agent_dir, const char *base, json_t **head, Error *e)
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    int r = file_read_at(agent_dir, "head.journal", HEAD_BLOCKS * HEAD_BLOCK_SIZE, &text, &len);

    if (r < 0)
        return r == -ENOENT ? 0 : error_errnof(e, r, "head.journal");
    for (unsigned i = 0; (i + 1) * HEAD_BLOCK_SIZE <= len; i++) {
        json_t *o = read_block(text + i * HEAD_BLOCK_SIZE, base);

        if (!o || seq_of(o) <= seq_of(*head)) {
            json_decref(o);
            continue;
        }
        json_decref(*head);
        *head = o;
    }
    return 0;
}

int shim_read_head(int agent_dir, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *o = NULL, *initial = NULL;
    int r = json_read_at(agent_dir, "head.json", HEAD_SIZE_MAX, &o, e);
    bool fresh = r == -ENOENT;
    char base[DIGEST_SIZE];

    if (fresh) {
        r = json_read_at(agent_dir, "initial.json", HEAD_SIZE_MAX, &initial, e);
        if (r >= 0 && !(o = json_pack("{s:O}", "cur", initial)))
            r = error_errnof(e, -ENOMEM, "initial.json");
    } else if (r >= 0 && (r = check_digest(o, base, e)) >= 0)
        r = read_journal(agent_dir, base, &o, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(o);
    return fresh;
}

int shim_read_history(int agent_dir, size_t max, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *list = json_array();
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    int r = file_read_at(agent_dir, "swaps.jsonl", HISTORY_SIZE_MAX, &text, &len);

    if (!list)
        return error_errnof(e, -ENOMEM, "swaps.jsonl");
    if (r < 0 && r != -ENOENT)
        return error_errnof(e, r, "swaps.jsonl");
    for (char *line = text, *end; line && (end = memchr(line, '\n', (size_t) (text + len - line))); line = end + 1) {
        json_t *record;

        r = json_parse(line, (size_t) (end - line), "swaps.jsonl", &record, e);
        if (r < 0)
            return r;
        if (json_array_append_new(list, record) < 0 || (json_array_size(list) > max && json_array_remove(list, 0) < 0))
            return error_errnof(e, -ENOMEM, "swaps.jsonl");
    }
    *ret = TAKE_PTR(list);
    return 0;
}

/* ---- generations ---- */

static bool has_generation(const json_t *list, const char *generation)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        const char *s = json_string_value(json_object_get(item, "generation"));

        if (s && streq(s, generation))
            return true;
    }
    return false;
}

/* `side`: {generation, epoch}, or null. */
static int add_side(json_t *list, const char *role, const json_t *side)
{
    json_t *item;

    if (!json_is_object(side))
        return 0;
    item = json_pack("{s:s,s:O,s:O}", "role", role, "generation", json_object_get(side, "generation"), "epoch",
                     json_object_get(side, "epoch"));
    return json_array_append_new(list, item) < 0 ? -EINVAL : 0;
}

static int add_aside(json_t *list, const json_t *head)
{
    const json_t *side;
    size_t i;

    json_array_foreach (json_object_get(head, "aside"), i, side) {
        json_int_t usec = json_integer_value(json_object_get(side, "served_usec"));

        if (add_side(list, "set aside", side) < 0 ||
            json_object_set_new(json_array_get(list, json_array_size(list) - 1), "served_usec",
                                usec < 0 ? json_null() : json_integer(usec)) < 0)
            return -EINVAL;
    }
    return 0;
}

/* What ran before the newest swaps: the last one first, up to `room` of them. */
static int add_served(json_t *list, const json_t *history, size_t room)
{
    for (size_t i = json_array_size(history); i-- > 0 && room > 0;) {
        const json_t *record = json_array_get(history, i);
        const char *from = json_string_value(json_object_get(record, "from"));

        if (!from || !digest_valid(from) || has_generation(list, from))
            continue;
        if (json_array_append_new(list, json_pack("{s:s,s:s,s:n,s:O}", "role", "served", "generation", from, "epoch",
                                                  "time", json_object_get(record, "time"))) < 0)
            return -EINVAL;
        room--;
    }
    return 0;
}

int shim_generations(int agent_dir, unsigned keep, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *head = NULL, *history = NULL, *list = json_array();
    const char *state;
    bool swapping;
    int r;

    if (!list)
        return error_errnof(e, -ENOMEM, "generations");
    if ((r = shim_read_head(agent_dir, &head, e)) < 0 ||
        (r = shim_read_history(agent_dir, HISTORY_READ, &history, e)) < 0)
        return r;
    state = json_string_value(json_object_get(head, "state"));
    swapping = state && !streq(state, "STEADY") && !streq(state, "HALTED");
    if (add_side(list, "current", json_object_get(head, "cur")) < 0 ||
        (swapping && add_side(list, "candidate", json_object_get(head, "cand")) < 0) ||
        add_side(list, "previous", json_object_get(head, "prev")) < 0 ||
        add_side(list, "previous", json_object_get(head, "fallback")) < 0 || add_aside(list, head) < 0 ||
        add_served(list, history, keep > 2 ? keep - 2 : 0) < 0)
        return error_setf(e, -EINVAL, "head.json: is not understood");
    *ret = TAKE_PTR(list);
    return 0;
}

int shim_find_generation(const json_t *list, const char *name, char ret[static DIGEST_SIZE], Error *e)
{
    const char *found = NULL;
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        const char *s = json_string_value(json_object_get(item, "generation"));

        if (!s || !digest_valid(s) || !startswith(s, name) || strlen(name) < PREFIX_MIN)
            continue;
        if (found && !streq(found, s))
            return error_setf(e, -ENOTUNIQ, "%.64s: several generations begin so", name);
        found = s;
    }
    if (!found)
        return error_setf(e, -ENOENT, "%.64s is no generation that is kept, nor the beginning of one's name", name);
    memcpy(ret, found, DIGEST_SIZE);
    return 0;
}
