/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_VERDICT_VERDICT_H
#define MOSS_VERDICT_VERDICT_H

/* The verdict is computed from outcomes, not asked for. Pure: no I/O, no clock, no chance.
 *
 * Incumbent and candidate are tried on the same tasks in pairs: repeat i of one beside repeat i of the other. Only pairs in which they differ say
 * which is better: a win (incumbent failed, candidate passed) or a loss. If the candidate were no better, each such pair would be a win with
 * probability 1/2 at most, whatever came before; then the e-value
 *
 *     E = ∫ from 1/2 to 1 of 2·(2p)^wins·(2(1-p))^losses dp          n wins and no loss: (2^(n+1) - 1) / (n + 1)
 *
 * is at most 1 in expectation and exceeds 1/b with probability b at most, however often one looks (Ville's inequality). So the test may be
 * looked at after every repeat, and repeats may be added until it says something. The budget of one evolution is VERDICT_ERROR_BUDGET;
 * iteration k may spend 1/(k(k+1)) of it, which sums to 1: E has to reach k(k+1)/VERDICT_ERROR_BUDGET: 40 in the first iteration (8 wins), 120
 * in the second (10 wins), 600 in the fifth (12 wins). Trials that chose the candidate are not to be counted: pairs must be fresh.
 *
 * CONVERGED needs all of: at least one visible task whose failure the incumbent reproduced; the candidate passes every visible and every sealed task in
 * every repeat; no task is worse than with the incumbent; E reached its bound. A plateau is never success.
 *
 * A visible or sealed task that the incumbent passes in every repeat was not reproduced: its failure was the environment's or the model's. It is
 * counted out as evidence and kept as a guard. An incumbent's trial that ended in TRIAL_BAD_TRANSCRIPT says nothing about the incumbent: the pair is void;
 * a candidate's is a failure.
 *
 *     do {
 *         …one more pair for every task…
 *         verdict_compute(tasks, n, &position, &v);
 *     } while (v.more_repeats); */

#include <jansson.h>

#include "evolve/trial/trial.h"
#include "runtime/base/error.h"

#define VERDICT_ERROR_BUDGET 0.05

typedef enum TaskKind { TASK_VISIBLE, TASK_SEALED, TASK_GUARD } TaskKind;

typedef struct Outcome {
    bool passed;
    double score;
    TrialEnd end;
} Outcome;

typedef struct VerdictTask {
    const char *id;
    TaskKind kind;
    const Outcome *incumbent; /* by repeat */
    size_t n_incumbent;
    const Outcome *candidate; /* by repeat; none when the iteration has no candidate or the task was set aside */
    size_t n_candidate;
} VerdictTask;

/* How the coding agent's part of the iteration ended. */
typedef enum CoderEnd {
    CODER_DELIVERED, /* with a candidate that was built and tried */
    CODER_FAILED, /* crashed, hung, answered what could not be understood, changed nothing, or nothing it made builds */
    CODER_EXHAUSTED,             /* it has nothing more to propose that was not tried before */
    CODER_PLAN_REJECTED,         /* no plan was approved in all rounds */
    CODER_ARCHITECTURE_REJECTED, /* the same, the last time as REJECT_ARCHITECTURAL */
    CODER_CODE_REJECTED,         /* no change was approved in all retries */
} CoderEnd;

typedef struct VerdictPosition {
    unsigned iteration, max_iterations; /* from 1 */
    unsigned plateau, max_plateau; /* iterations in a row, with this one, that improved nothing; max 0: no such limit */
    unsigned max_repeats;          /* pairs a task at most */
    CoderEnd coder;
} VerdictPosition;

typedef enum VerdictKind {
    VERDICT_CONVERGED,
    VERDICT_NEED_MORE_WORK,
    VERDICT_INCONCLUSIVE,
    VERDICT_FUNDAMENTAL_LIMIT_MODEL,
    VERDICT_FUNDAMENTAL_LIMIT_ARCHITECTURE,
} VerdictKind;

typedef struct Verdict {
    VerdictKind kind;
    bool more_repeats; /* kind is INCONCLUSIVE for want of pairs only: run `repeats_wanted` more a task and ask again */
    unsigned repeats_wanted; /* that decide it if all of them go well, as far as max_repeats allows */
    double e_value, e_needed;
    unsigned wins, losses, ties; /* pairs */
    unsigned reproduced;         /* visible and sealed tasks that the incumbent fails */
    unsigned not_reproduced;     /* that it passes in every repeat */
    unsigned voided;             /* about which no trial of the incumbent says anything */
    unsigned fixed;              /* of the reproduced ones: the candidate passes every repeat */
    unsigned regressed;          /* tasks of any kind that are worse with the candidate */
    json_t *reasons;             /* sentences for people, the most important first */
} Verdict;

/* Always gives a verdict but for lack of memory (-ENOMEM). Task ids go into the reasons. */
int verdict_compute(const VerdictTask *tasks, size_t n, const VerdictPosition *position, Verdict *ret);
void verdict_done(Verdict *v);

const char *verdict_name(VerdictKind kind); /* "CONVERGED", … */

/* {"verdict","e_value","e_needed","wins",…,"reasons":[…]}: for the ledger. */
json_t *verdict_json(const Verdict *v);

/* The e-value by itself. */
double verdict_e_value(unsigned wins, unsigned losses);

#endif
