/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SEARCH_ROLES_H
#define MOSS_SEARCH_ROLES_H

/* What the coding agent answers in each role of an evolution.
 *
 * A request is one JSON object:
 *     {"version":1,"role":"implement","iteration":1,"round":1,"worktree":"/work","evidence":"/evidence","out":"/out","limits":{"candidates":4000}}
 * The answer is one as well, {"status":"ok",…}:
 *     locate       places [{"file","line","score","why"}], summary
 *     plan         summary, root_cause, files, tasks {id: how it is covered}
 *     plan-review  decision APPROVE | REJECT_ARCHITECTURAL | REJECT_COMPLETENESS, why
 *     implement    summary; the candidates are in OUT/candidates.jsonl, best first
 *     code-review  decision APPROVE | REJECT_IMPL, why
 * Nothing here understands the agent or its users. The plan says what will be tried and why there; whether any of it helps is found out by the
 * trials, and no answer claims more. */

#include <jansson.h>

#include "runtime/base/error.h"

#define ROLES_CANDIDATES_DEFAULT 4000
#define ROLES_CANDIDATES_MAX 20000

typedef struct Request {
    const char *role, *worktree, *evidence, *out; /* belong to the JSON */
    int64_t iteration, candidates;
} Request;

/* Checks a request. */
int request_read(const json_t *o, Request *ret, Error *e);

/* Does the role's work. The answer is the caller's to free. */
int role_answer(const Request *request, json_t **ret, Error *e);

#endif
