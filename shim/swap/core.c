/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <assert.h>
#include <stdio.h>

static const Side NO_SIDE = {"", EPOCH_NONE};

const char *swap_state_name(SwapState state)
{
    static const char *const names[] = {
        [SWAP_STEADY] = "STEADY", [SWAP_PREPARED] = "PREPARED", [SWAP_DRAINING] = "DRAINING",
        [SWAP_TRYING] = "TRYING", [SWAP_SERVING] = "SERVING",   [SWAP_ROLLING_BACK] = "ROLLING_BACK",
        [SWAP_HALTED] = "HALTED",
    };

    return names[state];
}

const char *swap_outcome_name(SwapOutcome outcome)
{
    static const char *const names[] = {
        [OUTCOME_NONE] = "none",
        [OUTCOME_COMMITTED] = "committed",
        [OUTCOME_ROLLED_BACK] = "rolled_back",
        [OUTCOME_HALTED] = "halted",
    };

    return names[outcome];
}

const Side *swap_licensed(const Head *head)
{
    return head->state == SWAP_TRYING ? &head->cand : &head->cur;
}

bool swap_adopts(const Head *head)
{
    return head->state == SWAP_STEADY || head->state == SWAP_PREPARED || head->state == SWAP_SERVING;
}

static bool swap_goes_on(const Head *head)
{
    return head->state != SWAP_STEADY && head->state != SWAP_HALTED;
}

static unsigned find_aside(const Head *head, int64_t epoch)
{
    unsigned i = 0;

    while (i < head->n_aside && head->aside[i].side.epoch != epoch)
        i++;
    return i;
}

bool swap_keeps(const Head *head, int64_t epoch)
{
    return epoch == head->cur.epoch || epoch == head->prev.epoch || epoch == head->fallback.epoch ||
           find_aside(head, epoch) < head->n_aside || (swap_goes_on(head) && epoch == head->cand.epoch);
}

/* One call of swap_step() while it is worked out. */
typedef struct Turn {
    SwapStep step;
    const SwapPolicy *policy;
    const SwapEvent *event;
} Turn;

static void act(Turn *t, SwapAction action)
{
    t->step.actions[t->step.n++] = action;
}

/* Some of it may come from the agent: what is no plain text could not be written to the head. */
static void set_reason(Head *h, const char *reason)
{
    snprintf(h->reason, sizeof(h->reason), "%s", reason ? reason : "");
    for (char *p = h->reason; *p; p++)
        if (*p < ' ' || *p > '~')
            *p = '?';
}

static void set_boot_id(Head *h, const char *boot_id)
{
    snprintf(h->boot_id, sizeof(h->boot_id), "%s", boot_id ? boot_id : "");
}

static bool same_boot(const Turn *t)
{
    return t->event->boot_id && streq(t->event->boot_id, t->step.head.boot_id);
}

/* Why the swap is given up. */
static const char *why(const Turn *t)
{
    static const char *const interrupted[SWAP_STATES] = {
        [SWAP_PREPARED] = "interrupted before the drain",
        [SWAP_DRAINING] = "interrupted during the drain",
        [SWAP_TRYING] = "interrupted while it was tried",
        [SWAP_SERVING] = "interrupted in its bake",
    };

    if (t->event->kind != EVENT_RECOVER)
        return t->event->reason;
    if (t->step.head.state == SWAP_TRYING && !same_boot(t)) /* nobody's fault; but consent is for one trial */
        return "the host was started again while it was tried";
    return interrupted[t->step.head.state];
}

/* The write that every change of state begins with. */
static void write_state(Turn *t, SwapState state)
{
    t->step.head.state = state;
    t->step.head.seq++;
    act(t, ACT_WRITE);
}

static void finish(Turn *t, SwapState state, SwapOutcome outcome)
{
    Head *h = &t->step.head;

    h->outcome = outcome;
    h->recoveries = 0;
    h->restarts = 0;
    h->served = false;
    h->served_at = 0;
    h->fallback = NO_SIDE;
    write_state(t, state);
}

static void halt(Turn *t, const char *reason)
{
    set_reason(&t->step.head, reason);
    finish(t, SWAP_HALTED, OUTCOME_HALTED);
    act(t, ACT_KILL);
    act(t, ACT_RECORD);
}

static void note_served(Turn *t)
{
    Head *h = &t->step.head;

    if (!h->served)
        h->served_at = t->event->now;
    h->served = true;
}

/* What clients have written through the candidate. */
static void set_aside(Turn *t)
{
    Head *h = &t->step.head;

    h->aside[h->n_aside++] = (Aside){h->cand, same_boot(t) ? t->event->now - h->served_at : -1};
}

static void take_back(Head *h, int64_t epoch)
{
    unsigned i = find_aside(h, epoch);

    if (i == h->n_aside)
        return;
    h->n_aside--;
    memmove(h->aside + i, h->aside + i + 1, (h->n_aside - i) * sizeof(*h->aside));
    h->aside[h->n_aside] = (Aside){};
}

/* ---- what an event does: one function each, named in the table below ---- */

static void stay(Turn *t)
{
    (void) t;
}

static void restart(Turn *t)
{
    act(t, ACT_KILL);
    act(t, ACT_START);
}

static void recover_steady(Turn *t)
{
    if (!t->event->running)
        restart(t);
    if (t->step.head.txid > 0)
        act(t, ACT_RECORD);
    act(t, ACT_COLLECT);
}

static void prepare(Turn *t)
{
    Head *h = &t->step.head;

    snprintf(h->cand.generation, sizeof(h->cand.generation), "%s", t->event->generation);
    h->cand.epoch = h->next_epoch++;
    h->txid++;
    h->outcome = OUTCOME_NONE;
    snprintf(h->consent, sizeof(h->consent), "%s", t->event->consent ? t->event->consent : "");
    h->rehearsed = t->event->rehearse;
    set_reason(h, NULL);
    write_state(t, SWAP_PREPARED);
    act(t, ACT_REHEARSE);
}

/* The swap has ended: its record, and what it needs no longer. */
static void clean_up(Turn *t)
{
    act(t, ACT_RECORD);
    act(t, ACT_COLLECT);
}

/* The candidate never had any state, and cur runs on. */
static void give_up(Turn *t)
{
    set_reason(&t->step.head, why(t));
    finish(t, SWAP_STEADY, OUTCOME_ROLLED_BACK);
    act(t, ACT_END_REHEARSAL);
    clean_up(t);
}

/* The candidate never had any state; cur has to be started again. */
static void give_up_and_restart(Turn *t)
{
    set_reason(&t->step.head, why(t));
    finish(t, SWAP_STEADY, OUTCOME_ROLLED_BACK);
    restart(t);
    clean_up(t);
}

static void recover_prepared(Turn *t)
{
    if (t->event->running)
        give_up(t);
    else
        give_up_and_restart(t);
}

static void drain(Turn *t)
{
    write_state(t, SWAP_DRAINING);
    act(t, ACT_END_REHEARSAL);
    act(t, ACT_DRAIN);
}

/* The agent has ended as it was told; the rest of its tree goes with it. */
static void clone_state(Turn *t)
{
    act(t, ACT_KILL);
    act(t, ACT_CLONE);
}

static void try_candidate(Turn *t)
{
    Head *h = &t->step.head;

    set_boot_id(h, t->event->boot_id);
    h->restarts = 0;
    h->served = t->policy->served_at_start;
    h->served_at = h->served ? t->event->now : 0;
    write_state(t, SWAP_TRYING);
    act(t, ACT_START);
}

static void hand_over(Turn *t)
{
    if (t->step.head.served)
        return;
    note_served(t);
    write_state(t, SWAP_TRYING);
}

static void promote(Turn *t)
{
    Head *h = &t->step.head;

    h->prev = h->cur;
    h->cur = h->cand;
    note_served(t);
    write_state(t, SWAP_SERVING);
    act(t, ACT_BAKE);
}

static void bake(Turn *t)
{
    act(t, ACT_BAKE);
}

static void commit(Turn *t)
{
    finish(t, SWAP_STEADY, OUTCOME_COMMITTED);
    t->step.head.cand = NO_SIDE;
    clean_up(t);
}

/* The old side is current again, on its own state. */
static void turn_back(Head *h)
{
    if (h->state == SWAP_SERVING) {
        h->cand = h->cur;
        h->cur = h->prev;
        h->prev = NO_SIDE;
    } else if (h->state == SWAP_ROLLING_BACK && h->fallback.generation[0])
        h->cur = h->fallback;
    h->fallback = NO_SIDE;
}

static void halt_unfinished(Turn *t)
{
    Head *h = &t->step.head;
    bool wrote = h->state == SWAP_ROLLING_BACK ? h->fallback.generation[0] != '\0' : h->served;

    turn_back(h);
    if (wrote)
        set_aside(t);
    halt(t, "interrupted too often");
}

static void roll_back(Turn *t)
{
    Head *h = &t->step.head;

    set_reason(h, why(t));
    turn_back(h);
    h->restarts = 0;
    if (h->served && t->policy->served_halts) {
        set_aside(t);
        halt(t, h->reason);
        return;
    }
    if (h->served && t->event->keep_state) {
        h->fallback = h->cur;
        h->cur.epoch = h->cand.epoch;
    } else if (h->served)
        set_aside(t);
    write_state(t, SWAP_ROLLING_BACK);
    restart(t);
}

static void restart_or_roll_back(Turn *t)
{
    if (t->step.head.restarts >= t->policy->bake_max_restarts) {
        roll_back(t);
        return;
    }
    t->step.head.restarts++;
    write_state(t, SWAP_SERVING);
    restart(t);
}

static void recover_serving(Turn *t)
{
    Head *h = &t->step.head;

    if (t->event->running)
        return; /* its bake begins again when it has shown itself ready */
    if (same_boot(t)) {
        restart_or_roll_back(t);
        return;
    }
    set_boot_id(h, t->event->boot_id); /* the host was started again: not the candidate's fault */
    write_state(t, SWAP_SERVING);
    restart(t);
}

static void recover_rolling_back(Turn *t)
{
    write_state(t, SWAP_ROLLING_BACK);
    restart(t);
}

/* The old generation did not come up. */
static void fall_back_or_halt(Turn *t)
{
    Head *h = &t->step.head;
    const char *cause = t->event->reason ? t->event->reason : "it ended";
    char reason[sizeof(h->reason)];

    if (h->restarts++ ==
        0) { /* what kept it from coming up may be over, and what follows costs clients' writes or the service */
        write_state(t, SWAP_ROLLING_BACK);
        restart(t);
        return;
    }
    if (h->fallback.generation[0]) {
        turn_back(h);
        h->restarts = 0;
        set_aside(t);
        write_state(t, SWAP_ROLLING_BACK);
        restart(t);
        return;
    }
    snprintf(reason, sizeof(reason), "%.100s; then the old generation failed: %.60s", h->reason, cause);
    halt(t, reason);
}

static void end_roll_back(Turn *t)
{
    finish(t, SWAP_STEADY, OUTCOME_ROLLED_BACK);
    clean_up(t);
}

static void recover_halted(Turn *t)
{
    act(t, ACT_KILL);
    act(t, ACT_RECORD);
}

static void resume(Turn *t)
{
    Head *h = &t->step.head;

    if (t->event->generation) {
        if (t->event->epoch != h->cur.epoch)
            h->prev = h->cur; /* the state that is left behind stays, too */
        take_back(h, t->event->epoch);
        snprintf(h->cur.generation, sizeof(h->cur.generation), "%s", t->event->generation);
        h->cur.epoch = t->event->epoch;
    }
    write_state(t, SWAP_STEADY);
    restart(t);
    act(t, ACT_COLLECT);
}

static void discard(Turn *t)
{
    take_back(&t->step.head, t->event->epoch);
    write_state(t, t->step.head.state);
    act(t, ACT_COLLECT);
}

/* ---- the protocol ---- */

typedef void Reaction(Turn *t);

/* What is not here has no place in that state: -EINVAL, but for a request, see refuse(). */
static Reaction *const reactions[SWAP_STATES][SWAP_EVENTS] = {
    [SWAP_STEADY] =
        {
            [EVENT_RECOVER] = recover_steady,
            [EVENT_REQUEST] = prepare,
            [EVENT_DISCARD] = discard,
            [EVENT_DIED] = restart,
            [EVENT_ABORT] = restart,
            [EVENT_GATE_PASSED] = stay,
        },
    [SWAP_PREPARED] =
        {
            [EVENT_RECOVER] = recover_prepared,
            [EVENT_REHEARSED] = drain,
            [EVENT_DIED] = restart, /* cur, which the rehearsal does not touch */
            [EVENT_ABORT] = give_up,
            [EVENT_GATE_PASSED] = stay,
        },
    [SWAP_DRAINING] =
        {
            [EVENT_RECOVER] = give_up_and_restart,
            [EVENT_DIED] = clone_state,
            [EVENT_CLONED] = try_candidate,
            [EVENT_ABORT] = give_up_and_restart,
            [EVENT_GATE_PASSED] = stay, /* of cur, which was still on its way up */
        },
    [SWAP_TRYING] =
        {
            [EVENT_RECOVER] = roll_back,
            [EVENT_DIED] = roll_back,
            [EVENT_ABORT] = roll_back,
            [EVENT_HANDED] = hand_over,
            [EVENT_GATE_PASSED] = promote,
        },
    [SWAP_SERVING] =
        {
            [EVENT_RECOVER] = recover_serving,
            [EVENT_DIED] = restart_or_roll_back,
            [EVENT_ABORT] = roll_back,
            [EVENT_HANDED] = stay,
            [EVENT_GATE_PASSED] = bake, /* after a restart: it begins again, in full */
            [EVENT_BAKED] = commit,
        },
    [SWAP_ROLLING_BACK] =
        {
            [EVENT_RECOVER] = recover_rolling_back,
            [EVENT_DIED] = fall_back_or_halt,
            [EVENT_ABORT] = fall_back_or_halt,
            [EVENT_HANDED] = stay,
            [EVENT_GATE_PASSED] = end_roll_back,
        },
    [SWAP_HALTED] =
        {
            [EVENT_RECOVER] = recover_halted,
            [EVENT_DIED] = stay,
            [EVENT_ABORT] = stay,
            [EVENT_RESUME] = resume,
            [EVENT_DISCARD] = discard,
        },
};

static int refuse(const Head *h, const SwapEvent *event)
{
    if (event->kind == EVENT_REQUEST)
        return h->state != SWAP_STEADY                       ? -EBUSY
               : streq(event->generation, h->cur.generation) ? -EALREADY
               : h->n_aside == ASIDE_MAX                     ? -EDQUOT
                                                             : 0;
    if (event->kind == EVENT_DISCARD && find_aside(h, event->epoch) == h->n_aside)
        return -ENOENT;
    if (event->kind == EVENT_RESUME && event->generation && !swap_keeps(h, event->epoch))
        return -ENOENT;
    return 0;
}

int swap_step(const Head *head, const SwapPolicy *policy, const SwapEvent *event, SwapStep *ret)
{
    Turn t = {.step.head = *head, .policy = policy, .event = event};
    Reaction *reaction = reactions[head->state][event->kind];
    int r = refuse(head, event);

    if (r < 0)
        return r;
    if (!reaction)
        return -EINVAL;
    assert(!event->running || swap_adopts(head));
    if (event->kind == EVENT_RECOVER && !event->running && swap_goes_on(head) &&
        ++t.step.head.recoveries > policy->recoveries_max)
        halt_unfinished(&t);
    else
        reaction(&t);
    *ret = t.step;
    return 0;
}
