/* SPDX-License-Identifier: Apache-2.0 */
#include "grade.h"

#include <ctype.h>
#include <inttypes.h>
#include <regex.h>

#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

/* What the transcript says about one turn. */
typedef struct Answer {
    const char *reply; /* NULL: the turn was not answered; then `why` */
    char why[200];
} Answer;

typedef struct GraderKind {
    const char *name;
    const char *text; /* the member that holds its text, or NULL */
    bool (*pass)(const char *reply, const char *text);
    const char *why; /* when it does not pass */
} GraderKind;

/* ---- texts ---- */

static char *fold(const char *s)
{
    _cleanup_(strbuf_done) StrBuf b = {};

    while (*s) {
        size_t space = strspn(s, " \t\r\n\v\f"), word;

        s += space;
        word = strcspn(s, " \t\r\n\v\f");
        if (space > 0 && word > 0 && b.len > 0)
            strbuf_adds(&b, " ");
        strbuf_add(&b, s, word);
        s += word;
    }
    return strbuf_take(&b);
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "5" is neither in "52" nor in "5.3", "0.5", "1,5": the number goes on. A full stop or comma with no digit behind it ends a sentence. */
static bool number_goes_on(const char *hay, const char *at, size_t len)
{
    const char *end = at + len;

    if (digit(end[-1]) && (digit(end[0]) || ((end[0] == '.' || end[0] == ',') && digit(end[1]))))
        return true;
    if (!digit(at[0]) || at == hay)
        return false;
    return digit(at[-1]) || (at - hay >= 2 && (at[-1] == '.' || at[-1] == ',') && digit(at[-2]));
}

static bool pass_contains(const char *reply, const char *text)
{
    for (const char *at = reply; (at = strstr(at, text)); at++)
        if (!number_goes_on(reply, at, strlen(text)))
            return true;
    return false;
}

static bool pass_any(const char *reply _unused_, const char *text _unused_)
{
    return true;
}

static bool pass_same(const char *reply, const char *text)
{
    return streq(reply, text);
}

static bool pass_other(const char *reply, const char *text)
{
    return !streq(reply, text);
}

static bool pass_not_matching(const char *reply, const char *pattern)
{
    regex_t re;
    int r;

    if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    r = regexec(&re, reply, 0, NULL, 0);
    regfree(&re);
    return r == REG_NOMATCH;
}

/* ---- graders ---- */

static const GraderKind kinds[] = {
    {"expect", "contains", pass_contains, "the reply does not hold the expected text"},
    {"not_error", NULL, pass_any, ""},
    {"same_reply", "reply", pass_same, "the reply is another one"},
    {"other_reply", "reply", pass_other, "the reply is still the one that was refused"},
    {"not_matching", "pattern", pass_not_matching, "the reply matches the pattern that marks bad ones"},
};

typedef struct Grader {
    const GraderKind *kind;
    size_t turn;
    const char *text;
} Grader;

static int pattern_check(const char *pattern, JsonAt at, Error *e)
{
    regex_t re;
    int r = regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB);

    if (r != 0) {
        char why[120];

        regerror(r, &re, why, sizeof(why));
        return error_setf(e, -EINVAL, "%s: %s.pattern: %s", at.file, at.path, why);
    }
    regfree(&re);
    return 0;
}

static int grader_read(const json_t *task, size_t index, Grader *ret, Error *e)
{
    const json_t *json = json_array_get(json_object_get(task, "graders"), index);
    const char *id = json_string_value(json_object_get(task, "id")), *name;
    size_t turns = json_array_size(json_object_get(task, "turns"));
    Grader g = {};
    int64_t turn;
    char path[40];
    JsonAt at = {id ? id : "task", path};
    int r;

    snprintf(path, sizeof(path), "graders[%zu]", index);
    r = json_need_string(json, at, "kind", &name, e);
    if (r >= 0)
        r = json_need_integer(json, at, "turn", 0, (int64_t) turns - 1, &turn, e);
    if (r < 0)
        return r;
    g.turn = (size_t) turn;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (streq(kinds[i].name, name))
            g.kind = &kinds[i];
    if (!g.kind)
        return error_setf(e, -EINVAL, "%s: %s.kind: no grader \"%.40s\"", at.file, at.path, name);
    if (g.kind->text) {
        r = json_need_string(json, at, g.kind->text, &g.text, e);
        if (r < 0)
            return r;
        /* Every reply holds the empty text: such a grader would pass whatever the agent says. */
        if (g.text[strspn(g.text, " \t\r\n\v\f")] == '\0' && !streq(name, "other_reply") && !streq(name, "same_reply"))
            return error_setf(e, -EINVAL, "%s: %s.%s: is empty", at.file, at.path, g.kind->text);
        if (g.kind->pass == pass_not_matching) {
            r = pattern_check(g.text, at, e);
            if (r < 0)
                return r;
        }
    }
    *ret = g;
    return 0;
}

int grade_check_task(const json_t *task, Error *e)
{
    JsonAt at = {"task", ""};
    json_t *graders, *turns;
    Grader g;
    int r;

    r = json_need(task, at, "turns", JSON_ARRAY, &turns, e);
    if (r >= 0)
        r = json_need(task, at, "graders", JSON_ARRAY, &graders, e);
    if (r < 0)
        return r;
    /* A task without graders would pass whatever happens. */
    if (json_array_size(graders) == 0)
        return error_setf(e, -EINVAL, "task: has no graders");
    for (size_t i = 0; i < json_array_size(graders); i++) {
        r = grader_read(task, i, &g, e);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- the transcript ---- */

static int transcript_check(const json_t *transcript, size_t n_turns, json_t **ret_turns, Error *e)
{
    JsonAt at = {"transcript", ""};
    json_t *turns, *turn;
    int64_t version;
    size_t i;
    int r;

    if (!json_is_object(transcript))
        return error_setf(e, -EBADMSG, "transcript: is no object");
    r = json_need_integer(transcript, at, "version", 1, 1, &version, e);
    if (r >= 0)
        r = json_need(transcript, at, "turns", JSON_ARRAY, &turns, e);
    if (r < 0)
        return error_wrapf(e, -EBADMSG, "not a transcript");
    if (json_array_size(turns) > n_turns)
        return error_setf(e, -EBADMSG, "transcript: has %zu turns, the task has %zu", json_array_size(turns), n_turns);
    json_array_foreach (turns, i, turn) {
        const json_t *reply = json_object_get(turn, "reply"), *error = json_object_get(turn, "error"),
                     *status = json_object_get(turn, "status");

        if (!json_is_object(turn) || (reply && !json_is_null(reply) && !json_is_string(reply)) ||
            (error && !json_is_null(error) && !json_is_string(error)) ||
            (status && !json_is_null(status) && !json_is_integer(status)))
            return error_setf(e, -EBADMSG, "transcript: turns[%zu]: is no turn", i);
    }
    *ret_turns = turns;
    return 0;
}

static Answer answer_of(const json_t *turns, size_t index)
{
    const json_t *turn = json_array_get(turns, index), *status = json_object_get(turn, "status");
    const char *error = json_string_value(json_object_get(turn, "error"));
    const char *reply = json_string_value(json_object_get(turn, "reply"));
    json_int_t code = json_integer_value(status);
    Answer a = {};

    if (!turn)
        snprintf(a.why, sizeof(a.why), "the turn was not reached");
    else if (error)
        snprintf(a.why, sizeof(a.why), "error: %.150s", error);
    else if (json_is_integer(status) && (code < 200 || code > 299))
        snprintf(a.why, sizeof(a.why), "status %" JSON_INTEGER_FORMAT, code);
    else if (!reply)
        snprintf(a.why, sizeof(a.why), "no reply");
    else
        a.reply = reply;
    return a;
}

static int grade_one(const Grader *g, const json_t *turns, bool *ret_passed, char why[static 200])
{
    Answer a = answer_of(turns, g->turn);
    _cleanup_free_ char *reply = NULL, *text = NULL;

    *ret_passed = false;
    if (!a.reply) {
        memcpy(why, a.why, sizeof(a.why));
        return 0;
    }
    reply = fold(a.reply);
    /* A pattern is taken as the operator wrote it. */
    text = !g->text ? NULL : g->kind->pass == pass_not_matching ? strdup(g->text) : fold(g->text);
    if (!reply || (g->text && !text))
        return -ENOMEM;
    *ret_passed = g->kind->pass(reply, text);
    snprintf(why, 200, "%s", *ret_passed ? "" : g->kind->why);
    return 0;
}

/* Bytes that were cut at 200 may end within a character, which jansson would refuse. */
static json_t *clipped_string(const char *s)
{
    size_t n = strlen(s);
    json_t *v;

    for (size_t cut = 0; cut < 4 && cut <= n; cut++) {
        v = json_stringn(s, n - cut);
        if (v)
            return v;
    }
    return json_string("");
}

int grade_transcript(const json_t *task, const json_t *transcript, json_t **ret_grades, double *ret_score,
                     bool *ret_passed, Error *e)
{
    _cleanup_json_ json_t *grades = json_array();
    size_t n, n_passed = 0;
    json_t *turns;
    int r;

    r = grade_check_task(task, e);
    if (r >= 0)
        r = transcript_check(transcript, json_array_size(json_object_get(task, "turns")), &turns, e);
    if (r < 0)
        return r;
    n = json_array_size(json_object_get(task, "graders"));
    for (size_t i = 0; i < n; i++) {
        char why[200] = "";
        bool passed;
        Grader g;

        r = grader_read(task, i, &g, e);
        if (r >= 0)
            r = grade_one(&g, turns, &passed, why);
        if (r < 0)
            return r;
        n_passed += passed;
        if (json_array_append_new(grades,
                                  json_pack("{sI ss sI sb so}", "grader", (json_int_t) i, "kind", g.kind->name, "turn",
                                            (json_int_t) g.turn, "passed", passed, "why", clipped_string(why))) < 0)
            return error_setf(e, -ENOMEM, "out of memory");
    }
    *ret_score = (double) n_passed / (double) n;
    *ret_passed = n_passed == n;
    *ret_grades = TAKE_PTR(grades);
    return 0;
}
