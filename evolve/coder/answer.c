/* SPDX-License-Identifier: Apache-2.0 */
/* What a coding agent said, checked: nothing of it is taken that is not what the protocol asks for. */
#include <stdio.h>

#include "evolve/coder/change.h"
#include "evolve/coder/coder.h"
#include "runtime/base/json.h"

#define PLACES_MAX 10000
#define FILES_MAX 512
#define WORDS_MAX ((size_t) 64 << 10)

static const JsonAt at = {"the answer", ""};

static int words_check(const json_t *o, const char *key, bool needed, Error *e)
{
    const char *text = NULL;
    int r = needed ? json_need_string(o, at, key, &text, e) : json_want_string(o, at, key, &text, e);

    if (r < 0)
        return -EBADMSG;
    if (text && strlen(text) > WORDS_MAX)
        return error_setf(e, -EBADMSG, "the answer: %s is longer than %zu bytes", key, WORDS_MAX);
    return 0;
}

static int places_check(const json_t *o, Error *e)
{
    const json_t *place;
    json_t *places;
    size_t i;

    if (json_need(o, at, "places", JSON_ARRAY, &places, e) < 0)
        return -EBADMSG;
    if (json_array_size(places) > PLACES_MAX)
        return error_setf(e, -EBADMSG, "the answer: %zu places, at most %d are taken", json_array_size(places),
                          PLACES_MAX);
    json_array_foreach (places, i, place) {
        const char *file;
        int64_t line;

        if (!json_is_object(place))
            return error_setf(e, -EBADMSG, "the answer: place %zu is no object", i + 1);
        if (json_need_string(place, at, "file", &file, e) < 0 ||
            json_need_integer(place, at, "line", 0, INT32_MAX, &line, e) < 0)
            return -EBADMSG;
        if (!change_path_valid(file))
            return error_setf(e, -EBADMSG, "the answer: \"%.200s\" is no path inside the source", file);
    }
    return words_check(o, "summary", false, e);
}

static int plan_check(const json_t *o, Error *e)
{
    const json_t *value;
    json_t *files, *tasks;
    const char *id;
    size_t i;

    if (words_check(o, "summary", true, e) < 0 || words_check(o, "root_cause", false, e) < 0 ||
        json_need(o, at, "files", JSON_ARRAY, &files, e) < 0 || json_need(o, at, "tasks", JSON_OBJECT, &tasks, e) < 0)
        return -EBADMSG;
    if (json_array_size(files) > FILES_MAX)
        return error_setf(e, -EBADMSG, "the answer: %zu files, at most %d are taken", json_array_size(files),
                          FILES_MAX);
    json_array_foreach (files, i, value) {
        if (!json_is_string(value) || !change_path_valid(json_string_value(value)))
            return error_setf(e, -EBADMSG, "the answer: file %zu is no path inside the source", i + 1);
    }
    json_object_foreach (tasks, id, value) {
        if (!json_is_string(value))
            return error_setf(e, -EBADMSG, "the answer: tasks: \"%.40s\" is not described by a string", id);
    }
    return 0;
}

static int review_check(const json_t *o, const char *const *decisions, Error *e)
{
    const char *decision;

    if (json_need_string(o, at, "decision", &decision, e) < 0 || words_check(o, "why", false, e) < 0)
        return -EBADMSG;
    for (; *decisions; decisions++)
        if (streq(decision, *decisions))
            return 0;
    return error_setf(e, -EBADMSG, "the answer: \"%.60s\" is no decision", decision);
}

static int role_check(CoderRole role, const json_t *o, Error *e)
{
    static const char *const plan[] = {"APPROVE", "REJECT_ARCHITECTURAL", "REJECT_COMPLETENESS", NULL};
    static const char *const code[] = {"APPROVE", "REJECT_IMPL", NULL};

    switch (role) {
    case ROLE_LOCATE:
        return places_check(o, e);
    case ROLE_PLAN:
        return plan_check(o, e);
    case ROLE_PLAN_REVIEW:
        return review_check(o, plan, e);
    case ROLE_IMPLEMENT:
        return words_check(o, "summary", false, e);
    case ROLE_CODE_REVIEW:
        return review_check(o, code, e);
    }
    return -EINVAL;
}

/* The last line that is not blank. */
static const char *last_line(const char *text, size_t len, size_t *ret_len)
{
    const char *start;

    while (len > 0 && strchr(" \t\r\n", text[len - 1]) && text[len - 1])
        len--;
    start = memrchr(text, '\n', len);
    start = start ? start + 1 : text;
    *ret_len = len - (size_t) (start - text);
    return start;
}

int coder_parse_result(CoderRole role, const char *output, size_t len, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *o = NULL;
    const char *line, *status, *why = "it gives no reason";
    size_t n;

    line = last_line(output, len, &n);
    if (n == 0)
        return error_setf(e, -EBADMSG, "it printed no answer");
    if (json_parse(line, n, "its last line", &o, e) < 0)
        return -EBADMSG;
    if (!json_is_object(o))
        return error_setf(e, -EBADMSG, "its last line is no JSON object");
    if (json_need_string(o, at, "status", &status, e) < 0 || json_want_string(o, at, "why", &why, e) < 0)
        return -EBADMSG;
    if (streq(status, "failed"))
        return error_setf(e, -EBADMSG, "it gave up: %.300s", why);
    if (!streq(status, "ok"))
        return error_setf(e, -EBADMSG, "the answer: \"%.60s\" is no status", status);
    if (role_check(role, o, e) < 0)
        return -EBADMSG;
    *ret = TAKE_PTR(o);
    return 0;
}

static int candidate_check(const json_t *o, size_t line, Error *e)
{
    JsonAt here = {"candidates.jsonl", ""};
    const char *id, *why = NULL;
    json_t *edits;

    if (!json_is_object(o))
        return error_setf(e, -EBADMSG, "candidates.jsonl: line %zu is no object", line);
    if (json_need_string(o, here, "id", &id, e) < 0 || json_want_string(o, here, "why", &why, e) < 0 ||
        json_need(o, here, "edits", JSON_ARRAY, &edits, e) < 0)
        return error_wrapf(e, -EBADMSG, "line %zu", line);
    if (strlen(id) == 0 || strlen(id) > 64)
        return error_setf(e, -EBADMSG, "candidates.jsonl: line %zu: the id must have 1 to 64 bytes", line);
    return 0;
}

int coder_parse_candidates(const char *text, size_t len, unsigned max, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *list = json_array();
    size_t pos = 0, number = 0;

    while (pos < len && json_array_size(list) < max) {
        const char *line = text + pos, *nl = memchr(line, '\n', len - pos);
        size_t n = nl ? (size_t) (nl - line) : len - pos;
        json_t *o = NULL;
        char what[48];

        pos += n + 1;
        number++;
        if (number > CODER_CANDIDATES_MAX)
            return error_setf(e, -EBADMSG, "candidates.jsonl has more than %d lines", CODER_CANDIDATES_MAX);
        if (n > CODER_CANDIDATE_LINE_MAX)
            return error_setf(e, -EBADMSG, "candidates.jsonl: line %zu has %zu bytes, at most %zu are taken", number, n,
                              CODER_CANDIDATE_LINE_MAX);
        if (n == 0)
            continue;
        snprintf(what, sizeof(what), "candidates.jsonl: line %zu", number);
        if (json_parse(line, n, what, &o, e) < 0)
            return -EBADMSG;
        if (json_array_append_new(list, o) < 0)
            return -ENOMEM;
        if (candidate_check(o, number, e) < 0)
            return -EBADMSG;
    }
    *ret = TAKE_PTR(list);
    return 0;
}
