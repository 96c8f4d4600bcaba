/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_STAGE_POSITION_H
#define MOSS_STAGE_POSITION_H

/* Where an evolution is: position.json in the ledger, committed with the artifacts of each stage.
 *
 *   {"version":1,"evolution":"e-0001","batch":"b-0001","depth":"standard","adapter":"search","stage":"plan","iteration":1,"plan_round":1,"code_round":1,
 *    "plateau":0,"failures":0,"coder_end":"delivered","base":{"generation":"…","commit":"…"},"work":"<commit>","candidate":{"generation":"…","commit":"…","id":"c-00017"},
 *    "scores":{"baseline":0.25,"best":0.25},"limits":{"seconds":3600,"trials":…,"candidates":…},
 *    "used":{"wall_usec":…,"trials":…,"candidates":…,"builds":…,"cpu_usec":…},"started":ISO,"ended":ISO|null,"end":null|"CONVERGED","why":"…"} */

#include <jansson.h>

#include "evolve/ledger/ledger.h"
#include "evolve/stage/branch.h"
#include "evolve/stage/table.h"
#include "evolve/verdict/verdict.h"

typedef struct PositionUsed {
    uint64_t wall_usec, trials, candidates, builds, cpu_usec;
} PositionUsed;

typedef struct Position {
    char evolution[LEDGER_ID_SIZE];
    char batch[LEDGER_ID_SIZE];
    const Depth *depth;
    char adapter[32];
    StageId stage; /* that comes next, or is being done */
    unsigned iteration, plan_round, code_round;
    unsigned plateau;   /* iterations in a row that improved nothing */
    unsigned failures;  /* of the coding agent since it last brought a candidate */
    CoderEnd coder_end; /* of this iteration, so far */
    char base_generation[DIGEST_SIZE], base_commit[OID_SIZE];
    char work[OID_SIZE]; /* what the coding agent works on: the base, or the best candidate */
    char generation[DIGEST_SIZE], commit[OID_SIZE]; /* the candidate of this iteration; "" when there is none */
    char candidate[65];                             /* its id */
    double baseline_score, best_score;
    unsigned seconds; /* limits */
    unsigned trials, candidates;
    PositionUsed used;
    char started[24], ended[24];
    char end[40]; /* the verdict or run end, "" while it goes on */
    char why[900];
} Position;

json_t *position_json(const Position *p);
int position_parse(const json_t *o, Position *ret, Error *e);

/* Goes where the answer leads, counting rounds and iterations; ANSWER_REJECT becomes ANSWER_LAST when no round is left. */
int position_advance(Position *p, Answer answer);

/* Does it go on? */
static inline bool position_unfinished(const Position *p)
{
    return p->stage != STAGE_END;
}

#endif
