/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_STAGE_SCREEN_H
#define MOSS_STAGE_SCREEN_H

/* Screening: thousands of small candidates through a cascade, the cheapest test first, in worker processes.
 *
 *     build ─► probe (the fastest failing task of one cluster) ─► the other visible tasks ─► guards
 *
 * A candidate is dropped where it fails. What is asked here is only whether a candidate is worth an evaluation: trials have a short time limit, and none
 * of them counts as evidence later.
 *
 * Workers are forked and inherit the plan; a request is the number of a candidate, a reply is a ScreenReply, both one packet. Each works in a tree of its own,
 * to which it writes a candidate's changes before the build and from which it takes them back afterwards. A worker dies with its parent. */

#include "evolve/coder/change.h"
#include "evolve/stage/internal.h"

#define SCREEN_TASKS_MAX 256

typedef enum ScreenOutcome {
    SCREEN_REJECTED, /* not what a candidate must be */
    SCREEN_BUILD_FAILED,
    SCREEN_FAILED,    /* no better */
    SCREEN_REGRESSED, /* something that worked is worse */
    SCREEN_IMPROVED,  /* better, and nothing worse */
    SCREEN_PASSED,    /* passes everything */
} ScreenOutcome;
const char *screen_outcome_name(ScreenOutcome o);

typedef struct ScreenTask {
    const EngineTask *task;
    uint64_t timeout_usec;
} ScreenTask;

typedef struct ScreenPlan {
    const Agent *agent;
    const char *store_path;
    int base_layer;
    int base;                             /* the tree that the changes are relative to */
    int scratch;                          /* directory for the workers' trees */
    int cgroup;                           /* 0: none */
    const json_t *candidates;             /* array of {"id","edits"}… */
    const ChangeSet *changes;             /* …or, if not NULL, the one candidate as whole files */
    ScreenTask visible[SCREEN_TASKS_MAX]; /* the probe first */
    size_t n_visible;
    ScreenTask guards[SCREEN_TASKS_MAX];
    size_t n_guards;
    double reference; /* mean score of the visible tasks before */
} ScreenPlan;

/* Chooses the probe and the time limits from the engine's tasks. */
void screen_plan_tasks(const Engine *g, ScreenPlan *plan);
/* In how many clusters something fails: so many probes there are to go round. */
size_t screen_clusters(const Engine *g);
size_t screen_plan_size(const ScreenPlan *plan);

typedef struct ScreenReply {
    uint32_t index;
    int32_t error; /* the host failed: why is an error text */
    ScreenOutcome outcome;
    double score; /* mean over the visible tasks; those that were not reached count as before */
    uint32_t trials, builds;
    uint64_t cpu_usec;
    char why[400];
} ScreenReply;

/* What a worker process does until its socket is closed (screen_worker.c). */
int screen_work(const ScreenPlan *plan, int socket, unsigned number);
/* One candidate's changes, checked. */
int screen_changes(const ScreenPlan *plan, size_t index, ChangeSet *ret, Error *e);

/* Tries all candidates in their order until one passes everything. `tried` is called for each. The winner: the first that passed, else the one that improved most, in
 * *ret_best (index -1: none). -ECANCELED and -EDQUOT as engine_go_on(). */
typedef struct ScreenBest {
    ssize_t index;
    ScreenOutcome outcome;
    double score;
} ScreenBest;
int screen_run(Engine *g, const ScreenPlan *plan, int (*tried)(const ScreenReply *reply, void *userdata, Error *e),
               void *userdata, ScreenBest *ret_best, Error *e);

#endif
