/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_CORE_H
#define MOSS_SWAP_CORE_H

/* The swap protocol as a pure function: a head and an event give the next head and a list of actions. No I/O, no clock, no allocation.
 *
 *     r = swap_step(&head, &policy, &event, &step);     refused: nothing changes
 *     for each step.actions[i]: do it; ACT_WRITE, if there is one, is the first: it makes step.head durable, which licenses the others
 *
 * The driver (drive.h) does the actions in order. When it is killed between two of them, the next shim loads the head that was written last and
 * feeds EVENT_RECOVER: every state has one recovery, which may itself be killed and repeated. Where swap_adopts(), an incarnation of the licensed side that
 * still runs is left as it is, and is no recovery that counts.
 *
 *     STEADY        cur runs (or is being restarted)
 *     PREPARED      cand is named and may be rehearsed; cur runs untouched
 *     DRAINING      cur was told to end; then its epoch is cloned
 *     TRYING        cand runs on its own epoch and has to pass the gate; `served`: it may have answered clients
 *     SERVING       cand has become cur, the old side is prev; it has to live through the bake
 *     ROLLING_BACK  the old generation is cur again and has to pass the gate
 *     HALTED        it did not: nothing is started until the operator resumes
 *
 * A roll-back is never rolled back: the old generation is started a second time where it does not come up, then given up. Which state it starts on is decided once: if the candidate may have served clients and keep_state says that
 * the old generation can read what it wrote, its epoch is kept, with the old epoch as `fallback` for an old generation that does not come up on it;
 * else the old epoch, and what the candidate wrote is set aside until the operator discards it (or, from HALTED, resumes on it). Where the policy leaves
 * that choice to the operator, nothing is started: HALTED, with the old side as cur. */

#include "runtime/base/hash.h"

typedef enum SwapState {
    SWAP_STEADY,
    SWAP_PREPARED,
    SWAP_DRAINING,
    SWAP_TRYING,
    SWAP_SERVING,
    SWAP_ROLLING_BACK,
    SWAP_HALTED,
    SWAP_STATES, /* how many there are */
} SwapState;

typedef enum SwapOutcome { OUTCOME_NONE, OUTCOME_COMMITTED, OUTCOME_ROLLED_BACK, OUTCOME_HALTED, OUTCOMES } SwapOutcome;

#define EPOCH_NONE (-1)
#define ASIDE_MAX 8U

typedef struct Side {
    char generation[DIGEST_SIZE]; /* "": no side */
    int64_t epoch;
} Side;

/* An epoch that clients have written to and nobody runs on. */
typedef struct Aside {
    Side side;           /* the generation that they wrote through */
    int64_t served_usec; /* for how long; -1: not known, the host was started again meanwhile */
} Aside;

typedef struct Head {
    int64_t seq; /* counts the writes */
    SwapState state;
    int64_t txid;       /* of the swap that goes on, or of the last one; 0 before the first */
    int64_t next_epoch; /* never used before */
    Side cur;
    Side cand; /* in STEADY and HALTED: the candidate that was refused last */
    Side prev;
    Side fallback;          /* ROLLING_BACK only */
    Aside aside[ASIDE_MAX]; /* the oldest first */
    unsigned n_aside;       /* there is no new swap while it is ASIDE_MAX */
    bool served;
    int64_t served_at;         /* CLOCK_BOOTTIME of kernel `boot_id`, in microseconds */
    unsigned restarts;         /* of cur, while it bakes or is rolled back to */
    unsigned recoveries;       /* since the last STEADY */
    SwapOutcome outcome;       /* of swap `txid` once it has ended */
    char boot_id[37];          /* of the kernel that ran when the candidate was started */
    char reason[200];          /* why the swap was rolled back, or "" */
    char consent[DIGEST_SIZE]; /* with which swap `txid` was asked for, or "" */
    bool rehearsed;            /* it was asked for with a rehearsal */
} Head;

typedef enum SwapEventKind {
    EVENT_RECOVER,     /* a shim has started: boot_id, keep_state, running */
    EVENT_REQUEST,     /* generation, consent, rehearse */
    EVENT_REHEARSED,   /* the candidate passed its rehearsal, or none was asked for */
    EVENT_DIED,        /* the agent's first process has ended: reason, keep_state */
    EVENT_CLONED,      /* the epoch's clone is durable: boot_id */
    EVENT_HANDED,      /* the candidate is about to get a listening socket */
    EVENT_GATE_PASSED, /* what was started is ready */
    EVENT_BAKED,
    EVENT_ABORT, /* whatever else went wrong (rehearsal, clone, gate, liveness), or the operator: reason, keep_state */
    EVENT_RESUME, /* the operator leaves HALTED: with cur, or with generation and epoch, which must be one that swap_keeps() */
    EVENT_DISCARD, /* the operator gives up what was set aside: epoch */
    SWAP_EVENTS,
} SwapEventKind;

typedef struct SwapEvent {
    SwapEventKind kind;
    const char *generation;
    int64_t epoch;
    const char *consent; /* NULL: none */
    bool rehearse;
    const char *reason;
    const char *boot_id;
    int64_t now;     /* CLOCK_BOOTTIME, for what is told of a state that was set aside */
    bool keep_state; /* the old generation can read the state that the new one has written */
    bool running;    /* RECOVER: what is licensed runs, and the driver has taken it over; only where swap_adopts() */
} SwapEvent;

typedef enum SwapAction {
    ACT_WRITE,         /* make the head durable */
    ACT_REHEARSE,      /* start cand on a throw-away clone; gives EVENT_REHEARSED or EVENT_ABORT */
    ACT_END_REHEARSAL, /* if one goes on */
    ACT_DRAIN,         /* tell the agent to end, kill it when it takes too long; gives EVENT_DIED */
    ACT_KILL,          /* everything in the agent's cgroup, until the kernel says that it is empty */
    ACT_CLONE,         /* cur's epoch into cand's; gives EVENT_CLONED or EVENT_ABORT */
    ACT_START,         /* swap_licensed(head); gives EVENT_GATE_PASSED, EVENT_DIED or EVENT_ABORT */
    ACT_BAKE,          /* gives EVENT_BAKED, EVENT_DIED or EVENT_ABORT */
    ACT_RECORD,        /* append the record of `txid` unless it is there, answer who asked for the swap */
    ACT_COLLECT,       /* remove the epochs that swap_keeps() does not keep */
} SwapAction;

#define SWAP_ACTIONS_MAX 6U

typedef struct SwapStep {
    Head head;
    SwapAction actions[SWAP_ACTIONS_MAX];
    size_t n;
} SwapStep;

typedef struct SwapPolicy {
    unsigned bake_max_restarts;
    unsigned recoveries_max; /* more in one swap: HALTED */
    bool served_halts;       /* a candidate that may have served clients is not rolled back: HALTED */
    bool served_at_start;    /* what is started has the listening sockets from its first instruction on */
} SwapPolicy;

/* -EBUSY: a swap is asked for where none can begin. -EALREADY: it is one to the current generation. -EDQUOT: as many states are set aside as can be.
 * -ENOENT: the epoch to resume on or to discard is not there. -EINVAL: the event has no place in this state; see the table in core.c for those that have one. */
int swap_step(const Head *head, const SwapPolicy *policy, const SwapEvent *event, SwapStep *ret);

/* The side that may run in this state. */
const Side *swap_licensed(const Head *head);

/* May an incarnation of that side outlive the shim that started it? */
bool swap_adopts(const Head *head);

/* Must this epoch stay? */
bool swap_keeps(const Head *head, int64_t epoch);

const char *swap_state_name(SwapState state);
const char *swap_outcome_name(SwapOutcome outcome);

#endif
