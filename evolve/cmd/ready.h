/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CMD_READY_H
#define MOSS_CMD_READY_H

/* What is ready to be applied: read from the ledger, and checked again against the batch, the source repository and the head. */

#include "evo.h"
#include "evolve/consent/consent.h"
#include "evolve/evidence/batch.h"
#include "evolve/stage/branch.h"

typedef struct Ready {
    Ledger *ledger;
    Batch *batch;
    json_t *json, *scores; /* ready.json, scores.json */
    BranchDiff diff;
    char *head; /* the generation that runs */
    char scores_digest[DIGEST_SIZE];
    ConsentFacts facts;   /* as they are now; strings belong to the above */
    double before, after; /* mean score over visible and sealed tasks */
    bool applied;         /* the head is the candidate already: only the records are behind */
} Ready;

/* `batch`: its id, or NULL for the newest that is ready. -ENODATA: nothing is ready. -ESTALE: the head moved, or an artifact is not what ready.json says. */
int ready_load(const EvoContext *c, const char *batch, Ready *ret, Error *e);
void ready_done(Ready *r);

/* The record of an outcome: {"batch","evolution","generation","commit","base_generation","files","insertions","deletions","before","after"}. */
json_t *ready_summary(const Ready *r);

#endif
