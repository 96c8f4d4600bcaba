/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <inttypes.h>

#include "fd.h"

static const char *type_name(json_type type)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
        [JSON_STRING] = "a string",  [JSON_INTEGER] = "a whole number",
        [JSON_REAL] = "a fraction",  [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };

    return names[type];
}

int json_parse(const char *data, size_t len, const char *what, json_t **ret, Error *e)
{
    json_error_t je;
    json_t *v = json_loadb(data, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);

    if (!v)
        return error_setf(e, -EBADMSG, "%s: line %d, column %d: %s", what, je.line, je.column, je.text);
    *ret = v;
    return 0;
}

int json_read_at(int dirfd, const char *path, size_t max, json_t **ret, Error *e)
{
    _cleanup_free_ char *data = NULL;
    _cleanup_json_ json_t *v = NULL;
    size_t len;
    int r;

    r = file_read_at(dirfd, path, max, &data, &len);
    if (r == -E2BIG)
        return error_setf(e, r, "%s: larger than %zu bytes", path, max);
    if (r < 0)
        return error_errnof(e, r, "%s", path);
    r = json_parse(data, len, path, &v, e);
    if (r < 0)
        return r;
    if (!json_is_object(v))
        return error_setf(e, -EBADMSG, "%s: is %s, must be an object", path, type_name(json_typeof(v)));
    *ret = TAKE_PTR(v);
    return 0;
}

int json_write_at(int dirfd, const char *name, const json_t *value, mode_t mode, FileFlags flags, Error *e)
{
    _cleanup_free_ char *text = json_dumps(value, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    size_t len;
    int r;

    if (!text)
        return error_setf(e, -ENOMEM, "%s: cannot be put into JSON", name);
    len = strlen(text);
    text[len] = '\n'; /* in place of the NUL: the length says where it ends */
    r = file_write_at(dirfd, name, text, len + 1, mode, flags);
    return r < 0 ? error_errnof(e, r, "cannot write %s", name) : 0;
}

char *json_canonical(const json_t *value)
{
    return json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

static int complain(JsonAt at, const char *key, Error *e, const char *what)
{
    return error_setf(e, -EINVAL, "%s: %s%s%s: %s", at.file, at.path, *at.path ? "." : "", key, what);
}

int json_want(const json_t *o, JsonAt at, const char *key, json_type type, json_t **ret, Error *e)
{
    json_t *v = json_object_get(o, key);
    char what[80];

    if (!v || json_is_null(v))
        return 0;
    if (json_typeof(v) != type) {
        snprintf(what, sizeof(what), "is %s, must be %s", type_name(json_typeof(v)), type_name(type));
        return complain(at, key, e, what);
    }
    *ret = v;
    return 0;
}

int json_need(const json_t *o, JsonAt at, const char *key, json_type type, json_t **ret, Error *e)
{
    json_t *v = NULL;
    int r = json_want(o, at, key, type, &v, e);

    if (r < 0)
        return r;
    if (!v)
        return complain(at, key, e, "is missing");
    *ret = v;
    return 0;
}

int json_want_string(const json_t *o, JsonAt at, const char *key, const char **ret, Error *e)
{
    json_t *v = NULL;
    int r = json_want(o, at, key, JSON_STRING, &v, e);

    if (r >= 0 && v)
        *ret = json_string_value(v);
    return r;
}

int json_need_string(const json_t *o, JsonAt at, const char *key, const char **ret, Error *e)
{
    json_t *v = NULL;
    int r = json_need(o, at, key, JSON_STRING, &v, e);

    if (r >= 0)
        *ret = json_string_value(v);
    return r;
}

int json_want_bool(const json_t *o, JsonAt at, const char *key, bool *ret, Error *e)
{
    json_t *v = json_object_get(o, key);

    if (!v || json_is_null(v))
        return 0;
    if (!json_is_boolean(v))
        return complain(at, key, e, "must be true or false");
    *ret = json_is_true(v);
    return 0;
}

int json_want_integer(const json_t *o, JsonAt at, const char *key, int64_t min, int64_t max, int64_t *ret, Error *e)
{
    json_t *v = NULL;
    int r = json_want(o, at, key, JSON_INTEGER, &v, e);
    char what[120];

    if (r < 0 || !v)
        return r;
    if (json_integer_value(v) < min || json_integer_value(v) > max) {
        snprintf(what, sizeof(what), "is %" JSON_INTEGER_FORMAT ", must be from %" PRIi64 " to %" PRIi64,
                 json_integer_value(v), min, max);
        return complain(at, key, e, what);
    }
    *ret = json_integer_value(v);
    return 0;
}

int json_need_integer(const json_t *o, JsonAt at, const char *key, int64_t min, int64_t max, int64_t *ret, Error *e)
{
    json_t *v = NULL;
    int r = json_need(o, at, key, JSON_INTEGER, &v, e);

    return r < 0 ? r : json_want_integer(o, at, key, min, max, ret, e);
}

int json_want_strings(const json_t *o, JsonAt at, const char *key, const char ***ret, Error *e)
{
    _cleanup_free_ const char **list = NULL;
    json_t *array = NULL, *item;
    size_t i;
    int r = json_want(o, at, key, JSON_ARRAY, &array, e);

    if (r < 0 || !array)
        return r;
    list = calloc(json_array_size(array) + 1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    json_array_foreach (array, i, item) {
        if (!json_is_string(item))
            return complain(at, key, e, "must hold strings only");
        list[i] = json_string_value(item);
    }
    *ret = TAKE_PTR(list);
    return 0;
}

int json_only(const json_t *o, JsonAt at, const char *const *keys, Error *e)
{
    const char *key;
    json_t *v;

    json_object_foreach ((json_t *) o, key, v) {
        const char *const *k = keys;

        while (*k && !streq(*k, key))
            k++;
        if (!*k)
            return complain(at, key, e, "no such setting");
    }
    return 0;
}
