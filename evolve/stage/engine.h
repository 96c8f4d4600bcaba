/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_STAGE_ENGINE_H
#define MOSS_STAGE_ENGINE_H

/* The engine that walks one evolution of one agent through the table of stages (table.h).
 *
 *     engine_open(&options, &engine, e);      takes the lock; -EBUSY names the process that holds it. Kills and removes what a killed walk left
 *     engine_start(engine, e);                resumes the unfinished evolution, else seals the batch and begins a new one
 *     engine_walk(engine, &end, e);           until it ends, or stop is asked for, or the host fails
 *     engine_free(engine);                    kills what still runs, removes worktrees and cgroup, drops the lock
 *
 * After every stage its artifacts and the position behind it go to the ledger in one commit. A walk that was killed at any time resumes with the stage it was
 * in; a finished stage is never repeated. The stop flag (a signal handler sets it) is looked at all the time; the walk then ends at once with
 * END_STOPPED and its position kept. A host failure (-errno) keeps the position too. */

#include <signal.h>

#include "evolve/report/progress.h"
#include "runtime/base/error.h"
#include "shim/agent/agent.h"

typedef struct Engine Engine;

typedef struct EngineOptions {
    const char *store_path;
    const Agent *agent;
    const char *batch; /* NULL: the ready-to-run one: open with tasks, else sealed; NULL also when resuming */
    const char *depth; /* "shallow", "standard", "deep"; NULL: standard, or the one it began with */
    const char *coder; /* adapter instead of agent.json's, or NULL */
    unsigned jobs;     /* boxes at once; 0: two a core */
    unsigned seconds;  /* wall clock of the whole evolution; 0: the depth's */
    bool fresh;        /* do not resume: end an unfinished evolution as STOPPED and begin anew */
    volatile sig_atomic_t *stop;
    ProgressCallback progress;
    void *userdata;
} EngineOptions;

int engine_open(const EngineOptions *options, Engine **ret, Error *e);
int engine_start(Engine *engine, Error *e);
bool engine_resumed(const Engine *engine);
const char *engine_evolution(const Engine *engine);

/* How it ended: the five verdicts, or "STOPPED", "BUDGET_EXHAUSTED", "FAILED", with the words for it. Strings belong to the engine. */
int engine_walk(Engine *engine, const char **ret_end, const char **ret_why, Error *e);
Engine *engine_free(Engine *engine);
DEFINE_TRIVIAL_CLEANUP(Engine *, engine_free)

/* The process that walks an evolution of this agent now, 0 when there is none. `agent_directory`: <store>/agents/NAME. */
int engine_running(const char *agent_directory, pid_t *ret_pid, Error *e);

/* To be called when the candidate of the evolution was swapped in and committed: branch moss/current of the source repository then names its commit, and the tasks of its
 * batch are copied to regression/, where they guard all evolutions to come. Idempotent. */
int stage_after_apply(const char *store_path, const Agent *agent, const char *evolution, Error *e);

#endif
