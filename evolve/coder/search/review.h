/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SEARCH_REVIEW_H
#define MOSS_SEARCH_REVIEW_H

/* The two reviews. They are not a second opinion (the search has no other one to give) but a check of the plan and the change against
 * what was promised: files that exist, tasks that are all covered, a change within the plan and of the size that the search makes. Both
 * put "decision" and "why" into the answer. */

#include <jansson.h>

#include "runtime/base/error.h"

int review_plan(int worktree_fd, int evidence_fd, json_t *answer, Error *e);
int review_code(int evidence_fd, int64_t iteration, json_t *answer, Error *e);

#endif
