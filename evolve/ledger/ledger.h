/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_LEDGER_LEDGER_H
#define MOSS_LEDGER_LEDGER_H

/* The ledger of an agent: the bare git repository <store>/agents/NAME/ledger.git that holds everything its evolutions did.
 *
 * One ref an evolution (refs/evolutions/e-0001), one commit a step, artifacts as files in the tree of the commit: `git log
 * refs/evolutions/e-0001` is the history, `git show refs/evolutions/e-0001:position.json` an artifact. What came before is never rewritten: a
 * step adds a commit.
 *
 *     ledger_open(agent_directory, &ledger, e);
 *     ledger_begin(ledger, "why it began", id, e);                        a new evolution with an empty tree
 *     LedgerStep step = {};
 *     ledger_put_json(&step, "iterations/1/plan.json", plan);             …as many as belong together
 *     ledger_commit(ledger, id, &step, "iteration 1: plan", e);           all of them, or none; the step is empty again
 *     ledger_read_json(ledger, id, "position.json", &position, e);        at the head; -ENOENT when it is not there
 *
 * Crash safety: objects are written and synced before the ref is moved, so the ref names a complete step at any time. Writers are serialised by a
 * lock of ours in the repository; a lock file of git's that a killed writer left behind is removed under it.
 *
 * What other parts record: "consents.jsonl" (one object a consent that was used), "swaps.jsonl" (one a swap outcome), through ledger_append(). */

#include <jansson.h>

#include "runtime/base/error.h"

typedef struct Ledger Ledger;

#define LEDGER_ID_SIZE 16 /* "e-0001" with its NUL, and room */
#define LEDGER_ARTIFACT_MAX ((size_t) 64 << 20)

/* Opens <agent_directory>/ledger.git, made where it is missing. */
int ledger_open(const char *agent_directory, Ledger **ret, Error *e);
Ledger *ledger_free(Ledger *ledger);
DEFINE_TRIVIAL_CLEANUP(Ledger *, ledger_free)

bool ledger_id_valid(const char *id);

/* The next free id, with a first commit. */
int ledger_begin(Ledger *ledger, const char *message, char ret_id[static LEDGER_ID_SIZE], Error *e);

/* Array of all ids, oldest first. */
int ledger_evolutions(Ledger *ledger, json_t **ret, Error *e);

typedef struct LedgerFile {
    char *path;
    char *data;
    size_t len;
} LedgerFile;

typedef struct LedgerStep {
    LedgerFile *files;
    size_t n;
    bool failed; /* out of memory, or a path that cannot be: ledger_commit() says so */
} LedgerStep;

/* Adds or replaces a file. Content is copied. Paths are relative: components of [A-Za-z0-9._-], no dots alone, no ".git". */
void ledger_put(LedgerStep *step, const char *path, const void *data, size_t len);
/* Sorted keys, indented, newline at the end: as json_write_at() writes files. */
void ledger_put_json(LedgerStep *step, const char *path, const json_t *value);
void ledger_step_done(LedgerStep *step);

/* One commit with all files of the step. The step is emptied, on failure too. */
int ledger_commit(Ledger *ledger, const char *id, LedgerStep *step, const char *message, Error *e);

/* Adds one line to a JSONL artifact, as a step of its own. */
int ledger_append(Ledger *ledger, const char *id, const char *path, const json_t *line, const char *message, Error *e);

/* Artifacts at the head of an evolution. Data is NUL-terminated and the caller frees it. */
int ledger_read(Ledger *ledger, const char *id, const char *path, char **ret_data, size_t *ret_len, Error *e);
int ledger_read_json(Ledger *ledger, const char *id, const char *path, json_t **ret, Error *e);

/* Writes all artifacts below `path` (a directory in the tree) into the directory `dirfd`: world-readable files and directories. Nothing there is no error. */
int ledger_checkout(Ledger *ledger, const char *id, const char *path, int dirfd, Error *e);

/* The steps, oldest first: [{"commit","message","time"}]. */
int ledger_history(Ledger *ledger, const char *id, json_t **ret, Error *e);

#endif
