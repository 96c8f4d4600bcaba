/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_STAGE_TABLE_H
#define MOSS_STAGE_TABLE_H

/* The stages as data: what each is called, who does it, what it is shown, how long it may take, and where each answer leads. The engine only walks this table;
 * stage_next() is the whole of its control flow and has no side effect.
 *
 *   baseline ─► locate ─► plan ⇄ plan-review ─► implement ⇄ code-review ─► task-evaluate ─► verdict ─► end
 *                  ▲                                                                          │
 *                  └───────────────────────── NEED_MORE_WORK ─────────────────────────────────┘
 *
 * What goes wrong on the way leads to the verdict, which counts it. */

#include "runtime/base/macro.h"

typedef enum StageId {
    STAGE_BASELINE,
    STAGE_LOCATE,
    STAGE_PLAN,
    STAGE_PLAN_REVIEW,
    STAGE_IMPLEMENT,
    STAGE_CODE_REVIEW,
    STAGE_TASK_EVALUATE,
    STAGE_VERDICT,
    STAGE_END,
    _STAGE_MAX,
} StageId;

typedef enum Answer {
    ANSWER_OK,     /* done */
    ANSWER_REJECT, /* a review says no, and a round is left… */
    ANSWER_LAST,   /* …or none is left */
    ANSWER_FAILED, /* nothing usable came out of it */
    ANSWER_OVER,   /* nothing is left to do */
    _ANSWER_MAX,
} Answer;

typedef enum StageWorker {
    WORKER_MOSS,  /* trials and arithmetic */
    WORKER_CODER, /* the coding agent, in its box */
} StageWorker;

typedef struct Stage {
    const char *name;
    StageWorker worker;
    unsigned seconds;          /* of the coding agent at most; agent.json may say less */
    const char *output;        /* artifact below iterations/N/ */
    const char *latest;        /* the same for the coding agent to see: below evidence/, or NULL */
    StageId next[_ANSWER_MAX]; /* STAGE_BASELINE: this answer is impossible here */
} Stage;

extern const Stage stage_table[_STAGE_MAX];

/* -EINVAL for an answer that the stage cannot give. */
int stage_next(StageId stage, Answer answer, StageId *ret);
int stage_by_name(const char *name, StageId *ret);

/* How deep an evolution goes. */
typedef struct Depth {
    const char *name;
    unsigned iterations;  /* at most */
    unsigned plan_rounds; /* that a rejected plan is made anew, in one iteration */
    unsigned code_retries;
    unsigned repeats; /* pairs a task to begin with */
    unsigned plateau; /* iterations in a row without improvement */
    unsigned seconds; /* budgets of the whole evolution */
    unsigned trials;
    unsigned candidates;
} Depth;

/* NULL: there is none of this name. */
const Depth *depth_find(const char *name);

#define REPEATS_MAX 16 /* pairs a task at most: what a single task needs to reach the bound of its last iteration */

#endif
