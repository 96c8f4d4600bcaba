/* SPDX-License-Identifier: Apache-2.0 */
#include "cursor.h"

#include <unistd.h>

#include "runtime/base/json.h"

#define ANCHOR_BYTES 256
#define CURSORS_MAX ((size_t) 64 << 20)

int cursors_load(int evidence_dir, json_t **ret_cursors, Error *e)
{
    static const char file[] = "cursors.json";
    _cleanup_json_ json_t *json = NULL;
    json_t *files;
    int64_t version;
    Error missing;
    int r;

    r = json_read_at(evidence_dir, file, CURSORS_MAX, &json, &missing);
    if (r == -ENOENT) {
        *ret_cursors = json_object();
        return *ret_cursors ? 0 : -ENOMEM;
    }
    if (r < 0)
        return error_setf(e, r, "evidence/%s", missing.text);
    r = json_need_integer(json, (JsonAt){file, ""}, "version", 1, 1, &version, e);
    if (r >= 0)
        r = json_need(json, (JsonAt){file, ""}, "files", JSON_OBJECT, &files, e);
    if (r < 0)
        return r;
    *ret_cursors = json_incref(files);
    return 0;
}

int cursors_save(int evidence_dir, const json_t *cursors, Error *e)
{
    _cleanup_json_ json_t *json = json_pack("{si sO}", "version", 1, "files", cursors);

    return json ? json_write_at(evidence_dir, "cursors.json", json, 0600, FILE_DURABLE, e) : -ENOMEM;
}

int cursor_get(const json_t *cursors, const char *name, Cursor *ret, Error *e)
{
    const json_t *o = json_object_get(cursors, name);
    JsonAt at = {"cursors.json", name};
    int64_t offset = 0, size = 0;
    const char *anchor = "";
    Cursor c = {};
    int r;

    if (!o) {
        *ret = c;
        return 0;
    }
    r = json_need_integer(o, at, "offset", 0, INT64_MAX, &offset, e);
    if (r >= 0)
        r = json_need_integer(o, at, "size", 0, INT64_MAX, &size, e);
    if (r >= 0)
        r = json_need_string(o, at, "anchor", &anchor, e);
    if (r >= 0)
        r = json_want_bool(o, at, "skipping", &c.skipping, e);
    if (r >= 0)
        r = json_want_bool(o, at, "open", &c.open, e);
    if (r >= 0)
        r = json_want_bool(o, at, "ended", &c.ended, e);
    if (r < 0)
        return r;
    if (!digest_valid(anchor))
        return error_setf(e, -EINVAL, "cursors.json: %s.anchor: is no digest", name);
    c.offset = (uint64_t) offset;
    c.size = (uint64_t) size;
    memcpy(c.anchor, anchor, DIGEST_SIZE);
    *ret = c;
    return 0;
}

int cursor_set(json_t *cursors, const char *name, const Cursor *c)
{
    json_t *o = json_pack("{sI sI ss sb sb sb}", "offset", (json_int_t) c->offset, "size", (json_int_t) c->size,
                          "anchor", c->anchor, "skipping", c->skipping, "open", c->open, "ended", c->ended);

    return json_object_set_new(cursors, name, o) < 0 ? -ENOMEM : 0;
}

int cursor_anchor(int fd, uint64_t offset, char ret[static DIGEST_SIZE])
{
    size_t want = (size_t) MIN(offset, (uint64_t) ANCHOR_BYTES);
    char bytes[ANCHOR_BYTES];
    ssize_t n = pread(fd, bytes, want, (off_t) (offset - want));

    if (n < 0)
        return -errno;
    hash_buffer(bytes, (size_t) n, ret);
    return 0;
}
