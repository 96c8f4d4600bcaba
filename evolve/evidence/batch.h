/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_EVIDENCE_BATCH_H
#define MOSS_EVIDENCE_BATCH_H

/* Batches: the tasks that one evolution has to fix, sealed before it starts.
 *
 *   batches/b-0001/batch.json
 *     {"version":1,"id":"b-0001","state":"sealed","created":"2026-01-31T12:00:00Z","incumbent":{"generation":"…","commit":"…"},
 *      "tasks":{"t-0123456789abcdef":"<sha256 of its file>",…},"digest":"<sha256 of the canonical JSON of tasks>",
 *      "clusters":[{"name":"c-01","rule":"correction","n":5,"words":"That is wrong. I expected: …"}],
 *      "chunks":["…",…],"evolution":null}
 *   batches/b-0001/tasks/t-0123456789abcdef.json                    see task.h
 *
 * Chunks that no sealed batch holds are the *open* batch. It is no file: its content is computed whenever it is asked for, its id is the next free one, and
 * sealing it writes the tasks (durably), then batch.json, which makes them a batch. All open chunks become part of it: "n" of a
 * cluster counts them all, at most BATCH_VISIBLE_MAX + BATCH_SEALED_MAX of them, evenly over the clusters, become tasks.
 * Every third task, counted through the clusters, is sealed: never shown to the coding agent; guards are sessions that nobody complained about.
 *
 *     batch_seal(store_path, agent, generation, commit, &id, e);   -ENODATA: there is no open chunk
 *     batch_load(dir, id, &batch, e);                       -EUCLEAN: a task was changed, added or taken away since
 *     batch_set_state(dir, id, BATCH_RUNNING, "e-0001", e);
 *
 * `dir` is the agent's directory (agent_open_directory()). */

#include <jansson.h>

#include "evolve/verdict/verdict.h" /* TaskKind */
#include "runtime/base/error.h"
#include "runtime/base/hash.h"
#include "shim/agent/agent.h"

#define BATCH_ID_SIZE 16
#define BATCH_VISIBLE_MAX 24
#define BATCH_SEALED_MAX 8
#define BATCH_GUARDS_MAX 16

typedef enum BatchState {
    BATCH_OPEN,
    BATCH_SEALED,
    BATCH_RUNNING,
    BATCH_READY,
    BATCH_APPLIED,
    BATCH_ROLLED_BACK,
    BATCH_FAILED,
    BATCH_DISCARDED,
} BatchState;

typedef struct Batch {
    char id[BATCH_ID_SIZE];
    BatchState state;
    char digest[DIGEST_SIZE]; /* "" while open */
    json_t *json;             /* batch.json, or what it would be */
    json_t *tasks;            /* array of all tasks: visible, sealed, guards; each by id */
} Batch;

/* Seals the open batch. The incumbent is what runs now: head.json's generation and that generation's commit. */
int batch_seal(const char *store_path, const Agent *agent, const char *generation, const char *commit,
               char ret_id[static BATCH_ID_SIZE], Error *e);

/* Loads a sealed batch and checks every task file against its digest and task_check(). -ENOENT: no such batch (or it is the open one). */
int batch_load(int dir, const char *id, Batch **ret, Error *e);
/* The open batch as it would be sealed now. -ENODATA: nothing is open. */
int batch_load_open(const char *store_path, const Agent *agent, Batch **ret, Error *e);
Batch *batch_free(Batch *b);
static inline void batch_freep(Batch **b)
{
    batch_free(*b);
}

/* An array of batch.json objects, oldest first, without their tasks being read; the open batch, where there is one, is not among them. */
int batch_list(int dir, json_t **ret, Error *e);

/* The batch.json of the newest batch with this id and in this state (NULL: any), as a new reference; NULL where there is none, and for the open batch. */
int batch_find(int dir, const char *id, const char *state, json_t **ret, Error *e);

/* Changes the state, and "evolution" unless that is NULL. -EINVAL: no way leads from the old state to the new one:
 *     sealed → running, discarded      running → sealed, ready, failed, discarded      ready → running, applied, rolled_back, discarded
 *     failed, rolled_back → running, discarded      applied, discarded: final
 * The state that it has already is no change and no error. */
int batch_set_state(int dir, const char *id, BatchState state, const char *evolution, Error *e);

const char *batch_state_name(BatchState state);
/* TASK_VISIBLE, … of a checked task. */
TaskKind task_kind(const json_t *task);

#endif
