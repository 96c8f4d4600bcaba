/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"

#include "runtime/base/fd.h"
#include "runtime/base/json.h"

#define STAMP_SIZE_MAX 4096U
#define SCHEMA_MAX INT64_C(1000000000)

typedef struct Stamp {
    bool there;
    int64_t writer, min_reader;
} Stamp;

static int read_stamp(int state, Stamp *ret)
{
    static const char *const known[] = {"writer", "minReader", NULL};
    _cleanup_close_ int dir = openat(state, ".moss", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_json_ json_t *o = NULL;
    JsonAt at = {"schema", ""};
    Stamp s = {.there = true};
    int r;

    *ret = (Stamp){};
    if (dir < 0)
        return errno == ENOENT ? 0 : -errno;
    r = json_read_at(dir, "schema", STAMP_SIZE_MAX, &o, NULL);
    if (r == -ENOENT)
        return 0;
    if (r < 0 || (r = json_only(o, at, known, NULL)) < 0 ||
        (r = json_need_integer(o, at, "writer", 0, SCHEMA_MAX, &s.writer, NULL)) < 0 ||
        (r = json_need_integer(o, at, "minReader", 0, s.writer, &s.min_reader, NULL)) < 0)
        return r;
    *ret = s;
    return 0;
}

bool schema_readable(int old_state, int new_state)
{
    Stamp before, after;

    if (read_stamp(old_state, &before) < 0 || read_stamp(new_state, &after) < 0)
        return false;
    if (!after.there)
        return !before.there;
    return after.min_reader <= before.writer; /* of one that stamps nothing the schema is 0 */
}
