/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_EVIDENCE_TASK_H
#define MOSS_EVIDENCE_TASK_H

/* Tasks: what is replayed, and how its answers are graded.
 *
 *   {"version":1,"id":"t-0123456789abcdef","kind":"visible","cluster":"c-01",
 *    "origin":{"session":"s-7","user":"ann","chunk":"…","rule":"correction"},
 *    "words":["That is wrong. I expected: 12.50 EUR"],             the user's own words, secrets replaced
 *    "turns":[{"user":"ann","session":"s-7","text":"What do I owe?"}],
 *    "graders":[{"kind":"expect","turn":0,"contains":"12.50 EUR"}],
 *    "recorded":{"reply":"Nothing."},                              what the agent answered then to the graded turn; null: nothing; not in guards
 *    "variants":[{"turns":[…],"graders":[…]},…]}                   the same with more of what came before; the narrowest first
 *
 * The id is "t-" and the first 16 hex digits of the sha256 of the canonical JSON of {"graders","turns"}. "variants" may be missing: when a task does not
 * reproduce, what failed may hang on earlier sessions of the same user, or on what other users did meanwhile; a variant replays these too. */

#include <jansson.h>

#include "runtime/base/error.h"

#define TASK_ID_SIZE 19     /* with the NUL */
#define TASK_TURNS_MAX 2000 /* of a task or variant */

/* The id that a task with these turns and graders has. */
int task_id(const json_t *turns, const json_t *graders, char ret[static TASK_ID_SIZE]);

/* Everything about a task that its file can get wrong: members, turns, graders of it and of its variants, id. */
int task_check(const json_t *task, const char *file, Error *e);

/* How many ways there are to replay it: 1 + its variants. */
size_t task_widths(const json_t *task);

/* The task as it is replayed at this width: 0 is the task's own turns, then its variants. It has the id, kind and origin of the task, turns and graders of
 * the variant, no variants. A new reference. */
json_t *task_at_width(const json_t *task, size_t width);

/* Did a replay go wrong as it did then: the same answer again, or none again? A replay that goes wrong otherwise may lack something that came before,
 * which no change to the agent mends: it counts only at the widest. `task`: as it was replayed. True for a task that does not say what was recorded. */
bool task_failed_alike(const json_t *task, const json_t *transcript);

#endif
