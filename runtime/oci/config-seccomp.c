/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "runtime/base/json.h"

/* linux.seccomp is mostly longer than all the rest of config.json, and mostly its program is kept already, under the text of the object (seccomp.h). So that text
 * is found before the document is parsed, by counting brackets, and an empty object is parsed in its place. */

#define BLANK " \t\r\n"

/* Behind a string, whose first quote `p` points to; NULL if it does not end. */
static const char *behind_string(const char *p)
{
    for (p++; *(p += strcspn(p, "\"\\")) == '\\'; p += 2)
        if (!p[1])
            return NULL;
    return *p ? p + 1 : NULL;
}

static const char *behind_value(const char *p)
{
    size_t depth = 0;

    if (*p != '{' && *p != '[')
        return *p == '"' ? behind_string(p) : p + strcspn(p, ",}]" BLANK);
    while (p && *(p += strcspn(p, "\"{}[]"))) {
        if (*p == '"') {
            p = behind_string(p);
            continue;
        }
        depth = *p == '{' || *p == '[' ? depth + 1 : depth - 1;
        p++;
        if (depth == 0)
            return p;
    }
    return NULL;
}

/* The value of a member of the object that `p` points to, if that is an object itself; NULL if it is not, or is not found. */
static const char *object_in(const char *p, const char *key)
{
    size_t n = strlen(key);

    while (p && (*p == '{' || *p == ',')) {
        const char *name = p + 1 + strspn(p + 1, BLANK);

        p = *name == '"' ? behind_string(name) : NULL;
        if (!p)
            return NULL;
        bool found = (size_t) (p - name) == n + 2 && memcmp(name + 1, key, n) == 0;

        p += strspn(p, BLANK);
        if (*p != ':')
            return NULL;
        p++;
        p += strspn(p, BLANK);
        if (found)
            return *p == '{' ? p : NULL;
        p = behind_value(p);
        if (p)
            p += strspn(p, BLANK);
    }
    return NULL;
}

bool config_find_seccomp(const char *text, const char **ret, size_t *ret_len)
{
    const char *p = object_in(object_in(text + strspn(text, BLANK), "linux"), "seccomp"),
               *end = p ? behind_value(p) : NULL;

    if (!end)
        return false;
    *ret = p;
    *ret_len = (size_t) (end - p);
    return true;
}

/* The document with an empty object for linux.seccomp. */
static int parse_around(const char *text, size_t len, const char *object, size_t object_len, json_t **ret)
{
    size_t head = (size_t) (object - text), tail = len - head - object_len;
    _cleanup_free_ char *around = malloc(head + 2 + tail);

    if (!around)
        return -ENOMEM;
    memcpy(around, text, head);
    memcpy(around + head, "{}", 2);
    memcpy(around + head + 2, object + object_len, tail);
    return json_parse(around, head + 2 + tail, CONFIG_FILE, ret, NULL);
}

int config_read_text(char *text, size_t len, Config **ret, Error *e)
{
    _cleanup_free_ char *owned = text;
    const char *object = NULL;
    size_t object_len = 0;
    json_t *doc = NULL;
    bool unread =
        config_find_seccomp(text, &object, &object_len) && parse_around(text, len, object, object_len, &doc) >= 0;
    int r = unread ? 0 : json_parse(text, len, CONFIG_FILE, &doc, e); /* which also says where what is wrong is */

    if (r < 0)
        return r;
    if (!json_is_object(doc)) {
        json_decref(doc);
        return error_setf(e, -EBADMSG, CONFIG_FILE ": must be an object");
    }
    r = config_parse(doc, ret, e);
    if (r < 0)
        return r;
    (*ret)->text = TAKE_PTR(owned);
    if (unread) {
        (*ret)->seccomp_unread = true;
        (*ret)->seccomp_text = object;
        (*ret)->seccomp_len = object_len;
    }
    return 0;
}

int config_seccomp(Config *c, Error *e)
{
    json_t *o = NULL;
    int r;

    if (!c->seccomp_unread)
        return 0;
    r = json_parse(c->seccomp_text, c->seccomp_len, CONFIG_FILE, &o, NULL);
    if (r < 0) { /* where that is in the file is said best by who reads all of it */
        r = json_parse(c->text, strlen(c->text), CONFIG_FILE, &o, e);
        json_decref(o);
        return r < 0 ? r : error_setf(e, -EBADMSG, CONFIG_FILE ": linux.seccomp: cannot be read");
    }
    if (json_object_set_new(json_object_get(c->doc, "linux"), "seccomp", o) < 0)
        return error_errnof(e, -ENOMEM, CONFIG_FILE);
    c->seccomp_unread = false;
    c->seccomp = o;
    return 0;
}
