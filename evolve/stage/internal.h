/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_STAGE_INTERNAL_H
#define MOSS_STAGE_INTERNAL_H

/* What the files of the engine share. */

#include "evolve/coder/coder.h"
#include "evolve/evidence/batch.h"
#include "evolve/ledger/ledger.h"
#include "evolve/stage/engine.h"
#include "evolve/stage/position.h"
#include "evolve/trial/trial.h"
#include "runtime/base/strbuf.h"
#include "runtime/store/store.h"

/* One task as it is replayed in this evolution: at the width at which it reproduced. */
typedef struct EngineTask {
    json_t *task;
    TaskKind kind;
    uint64_t wall_usec; /* of its slowest replay with the incumbent */
    double score;       /* with the code that is worked on (the incumbent, later the best candidate)… */
    bool passed;        /* …and whether it passes there */
} EngineTask;

struct Engine {
    EngineOptions o;
    const Agent *agent;
    char *directory; /* <store>/agents/NAME */
    int dir, lock;
    Store *store;
    Ledger *ledger;
    int cgroup_base, cgroup; /* 0: this host has none */
    char cgroup_name[48];
    int worktrees; /* scratch directory of this walk, below the agent's */
    int evidence;  /* what the coding agent sees, below it */
    Batch *batch;
    Generation *incumbent;
    int *layers; /* of the incumbent, topmost first */
    EngineTask *tasks;
    size_t n_tasks;
    Position p;
    uint64_t began;         /* of this walk */
    uint64_t used_before;   /* wall_usec of the walks before it */
    char tree_of[OID_SIZE]; /* the commit that lies in worktrees/base */
    bool resumed;
};

/* The agent's base root filesystem: the undermost layer of every generation. */
static inline int engine_base_layer(const Engine *g)
{
    return g->layers[g->incumbent->n_layers - 1];
}

/* ---- engine.c ---- */

/* One that holds nothing; engine_free() takes it back. */
Engine *engine_new(void);
/* -ECANCELED when stop was asked for, -EDQUOT when a budget is used up; *e says which. */
int engine_go_on(Engine *g, Error *e);
void engine_say(Engine *g, EvolutionProgress *numbers, const char *fmt, ...) _printf_(3, 4);
/* iterations/N/NAME-R.json for stages with rounds, iterations/N/NAME.json for the others. */
void engine_artifact(const Engine *g, const char *name, unsigned round, char ret[static 64]);
/* Puts the artifacts and the position into the ledger. */
int engine_commit(Engine *g, LedgerStep *step, const char *message, Error *e);
/* Tells the batch how the evolution ended, if it does not know yet: the ledger comes first, so a killed walk leaves this to the next. */
int engine_end_batch(Engine *g, Error *e);
/* An empty directory below the scratch one. Returns an fd. */
int engine_scratch(Engine *g, const char *name, Error *e);
/* Lays out evidence/ of the ledger in the directory that the coding agent sees. */
int engine_lay_out_evidence(Engine *g, Error *e);
/* Checks out the commit that is worked on; an O_PATH fd of its tree. */
int engine_tree(Engine *g, Error *e);
/* Replays, in any order; `done` is called for each result, which it may take from. */
int engine_trials(Engine *g, const TrialSpec *specs, size_t n, int (*done)(TrialResult *r, void *userdata),
                  void *userdata, Error *e);

/* ---- tasks.c ---- */
int tasks_load(Engine *g, Error *e);
void tasks_free(Engine *g);
int tasks_put(Engine *g, LedgerStep *step);
const char *task_kind_name(TaskKind kind);
/* Mean over the visible tasks. */
double tasks_score(const Engine *g);
/* Text of a hostile program as a JSON string; what is no UTF-8 becomes "?". */
json_t *text_json(const char *text);

/* ---- the stages ---- */
typedef int (*StageRun)(Engine *g, LedgerStep *step, Answer *ret, Error *e);
int stage_baseline(Engine *g, LedgerStep *step, Answer *ret, Error *e);
int stage_locate(Engine *g, LedgerStep *step, Answer *ret, Error *e);
int stage_plan(Engine *g, LedgerStep *step, Answer *ret, Error *e);
int stage_plan_review(Engine *g, LedgerStep *step, Answer *ret, Error *e);
int stage_implement(Engine *g, LedgerStep *step, Answer *ret, Error *e);
int stage_code_review(Engine *g, LedgerStep *step, Answer *ret, Error *e);
int stage_task_evaluate(Engine *g, LedgerStep *step, Answer *ret, Error *e);
int stage_verdict(Engine *g, LedgerStep *step, Answer *ret, Error *e);

/* Asks the coding agent in a stage; the answer also becomes the artifact of the stage. `tree` is mounted at /work. */
int engine_ask(Engine *g, CoderRole role, unsigned round, int tree, CoderAnswer *ret, LedgerStep *step, Error *e);

/* The coding agent's part of this iteration failed, and why. */
void engine_coder_failed(Engine *g, const char *why);

/* Candidates that were tried (tried.c): what evidence/tried.jsonl tells the coding agent. */
typedef struct TriedRecord {
    const char *candidate;
    const json_t *edits; /* or NULL */
    const char *outcome; /* build_failed failed improved passed regressed rejected */
    double score, incumbent;
    const char *why;
} TriedRecord;
int tried_add(Engine *g, StrBuf *lines, const TriedRecord *r);
/* The lines about the code that is worked on now, "" when there are none. */
int tried_load(Engine *g, StrBuf *ret, Error *e);
/* Candidates that only did not help with one probe: with the next probe they may be proposed again. */
int tried_forget_failed(StrBuf *lines);
void tried_put(LedgerStep *step, const StrBuf *lines);

#endif
