/* SPDX-License-Identifier: Apache-2.0 */
#include "task.h"

#include <stdio.h>

#include "evolve/grade/grade.h"
#include "runtime/base/hash.h"
#include "runtime/base/json.h"

int task_id(const json_t *turns, const json_t *graders, char ret[static TASK_ID_SIZE])
{
    _cleanup_json_ json_t *core = json_pack("{sO sO}", "turns", turns, "graders", graders);
    _cleanup_free_ char *text = core ? json_canonical(core) : NULL;
    char digest[DIGEST_SIZE];

    if (!text)
        return -ENOMEM;
    hash_buffer(text, strlen(text), digest);
    snprintf(ret, TASK_ID_SIZE, "t-%.16s", digest);
    return 0;
}

/* Turns and graders, of a task or of a variant: `o`. */
static int check_history(const json_t *o, JsonAt at, Error *e)
{
    static const char *const members[] = {"user", "session", "text"};
    json_t *turns, *turn;
    const char *value;
    size_t i;
    int r;

    r = json_need(o, at, "turns", JSON_ARRAY, &turns, e);
    if (r < 0)
        return r;
    if (json_array_size(turns) == 0 || json_array_size(turns) > TASK_TURNS_MAX)
        return error_setf(e, -EINVAL, "%s: %sturns: has %zu items, must have from 1 to %d", at.file, at.path,
                          json_array_size(turns), TASK_TURNS_MAX);
    json_array_foreach (turns, i, turn) {
        char path[60];

        snprintf(path, sizeof(path), "%sturns[%zu]", at.path, i);
        for (size_t k = 0; k < ARRAY_SIZE(members); k++) {
            r = json_need_string(turn, (JsonAt){at.file, path}, members[k], &value, e);
            if (r < 0)
                return r;
        }
    }
    r = grade_check_task(o, e);
    return r < 0 ? error_wrapf(e, r, "%s: %s", at.file, at.path) : 0;
}

int task_check(const json_t *task, const char *file, Error *e)
{
    const char *id, *kind, *text;
    json_t *origin, *variants = NULL, *variant;
    JsonAt at = {file, ""};
    char right[TASK_ID_SIZE];
    int64_t version;
    size_t i;
    int r;

    r = json_need_integer(task, at, "version", 1, 1, &version, e);
    if (r >= 0)
        r = json_need_string(task, at, "id", &id, e);
    if (r >= 0)
        r = json_need_string(task, at, "kind", &kind, e);
    if (r >= 0)
        r = json_need_string(task, at, "cluster", &text, e);
    if (r >= 0)
        r = json_need(task, at, "origin", JSON_OBJECT, &origin, e);
    if (r >= 0)
        r = json_want(task, at, "variants", JSON_ARRAY, &variants, e);
    if (r >= 0)
        r = check_history(task, at, e);
    json_array_foreach (variants, i, variant) {
        char path[40];

        snprintf(path, sizeof(path), "variants[%zu].", i);
        r = r < 0 ? r : check_history(variant, (JsonAt){file, path}, e);
    }
    if (r < 0)
        return r;
    if (!streq(kind, "visible") && !streq(kind, "sealed") && !streq(kind, "guard"))
        return error_setf(e, -EINVAL, "%s: kind: no kind \"%.40s\"", file, kind);
    r = task_id(json_object_get(task, "turns"), json_object_get(task, "graders"), right);
    if (r < 0)
        return error_setf(e, r, "out of memory");
    return streq(id, right) ? 0 : error_setf(e, -EINVAL, "%s: id: is %.40s, the content says %s", file, id, right);
}

size_t task_widths(const json_t *task)
{
    return 1 + json_array_size(json_object_get(task, "variants"));
}

json_t *task_at_width(const json_t *task, size_t width)
{
    json_t *t = json_copy((json_t *) task);

    if (t && width > 0) {
        const json_t *variant = json_array_get(json_object_get(task, "variants"), width - 1);

        json_object_update(t, (json_t *) variant);
    }
    if (t)
        json_object_del(t, "variants");
    return t;
}

bool task_failed_alike(const json_t *task, const json_t *transcript)
{
    json_t *recorded = json_object_get(task, "recorded"), *reply = json_object_get(recorded, "reply");
    json_t *turn = json_object_get(json_array_get(json_object_get(task, "graders"), 0), "turn");
    _cleanup_json_ json_t *same = NULL, *grades = NULL;
    bool passed;
    double score;

    if (!recorded)
        return true;
    same = json_is_string(reply) ? json_pack("{sO s[{ss sO sO}]}", "turns", json_object_get(task, "turns"), "graders",
                                             "kind", "same_reply", "turn", turn, "reply", reply)
                                 : json_pack("{sO s[{ss sO}]}", "turns", json_object_get(task, "turns"), "graders",
                                             "kind", "not_error", "turn", turn);
    if (!same || !transcript || grade_transcript(same, transcript, &grades, &score, &passed, NULL) < 0)
        return false;
    return passed == json_is_string(reply);
}
