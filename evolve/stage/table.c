/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/stage/table.h"

#define NO STAGE_BASELINE

/* clang-format off */
const Stage stage_table[_STAGE_MAX] = {
    /* stage                  name             worker        s     output            latest                ok                   reject           last           failed         over */
    [STAGE_BASELINE] =      {"baseline",      WORKER_MOSS,  0,    NULL,             NULL,                {STAGE_LOCATE,        NO,              NO,            NO,            STAGE_END}},
    [STAGE_LOCATE] =        {"locate",        WORKER_CODER, 1800, "locate",         "stage/locate.json", {STAGE_PLAN,          NO,              NO,            STAGE_VERDICT, NO}},
    [STAGE_PLAN] =          {"plan",          WORKER_CODER, 1800, "plan",           "stage/plan.json",   {STAGE_PLAN_REVIEW,   STAGE_PLAN,      STAGE_VERDICT, STAGE_VERDICT, NO}},
    [STAGE_PLAN_REVIEW] =   {"plan-review",   WORKER_CODER, 1500, "plan-review",    NULL,                {STAGE_IMPLEMENT,     STAGE_PLAN,      STAGE_VERDICT, STAGE_VERDICT, NO}},
    [STAGE_IMPLEMENT] =     {"implement",     WORKER_CODER, 3600, "implement",      NULL,                {STAGE_CODE_REVIEW,   NO,              NO,            STAGE_VERDICT, NO}},
    [STAGE_CODE_REVIEW] =   {"code-review",   WORKER_CODER, 1800, "code-review",    NULL,                {STAGE_TASK_EVALUATE, STAGE_IMPLEMENT, STAGE_VERDICT, STAGE_VERDICT, NO}},
    [STAGE_TASK_EVALUATE] = {"task-evaluate", WORKER_MOSS,  0,    "evaluation",     NULL,                {STAGE_VERDICT,       NO,              NO,            NO,            NO}},
    [STAGE_VERDICT] =       {"verdict",       WORKER_MOSS,  0,    "verdict",        NULL,                {STAGE_LOCATE,        NO,              NO,            NO,            STAGE_END}},
    [STAGE_END] =           {"end",           WORKER_MOSS,  0,    NULL,             NULL,                {NO,                  NO,              NO,            NO,            NO}},
};

static const Depth depths[] = {
    /* name      iterations plan code repeats plateau seconds trials   candidates */
    {"shallow",  3,         1,   0,   2,      1,      900,    40000,   6000},
    {"standard", 5,         2,   1,   3,      2,      3600,   200000,  30000},
    {"deep",     8,         3,   2,   5,      3,      14400,  1000000, 150000},
};
/* clang-format on */

int stage_next(StageId stage, Answer answer, StageId *ret)
{
    if (stage >= _STAGE_MAX || answer >= _ANSWER_MAX || stage_table[stage].next[answer] == NO)
        return -EINVAL;
    *ret = stage_table[stage].next[answer];
    return 0;
}

int stage_by_name(const char *name, StageId *ret)
{
    for (StageId i = 0; i < _STAGE_MAX; i++) {
        if (streq(stage_table[i].name, name)) {
            *ret = i;
            return 0;
        }
    }
    return -EINVAL;
}

const Depth *depth_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(depths); i++)
        if (streq(depths[i].name, name))
            return &depths[i];
    return NULL;
}
