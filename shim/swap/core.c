/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

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

bool swap_keeps(const Head *head, int64_t epoch)
{
    bool ended = head->state == SWAP_STEADY || head->state == SWAP_HALTED;

    return epoch == head->cur.epoch || epoch == head->prev.epoch || epoch == head->fallback.epoch ||
           epoch == head->salvage || (!ended && epoch == head->cand.epoch);
}

static void act(SwapStep *step, SwapAction action)
{
    step->actions[step->n++] = action;
}

static void set_reason(Head *h, const char *reason)
{
    snprintf(h->reason, sizeof(h->reason), "%s", reason ? reason : "");
}

static void set_boot_id(Head *h, const char *boot_id)
{
    snprintf(h->boot_id, sizeof(h->boot_id), "%s", boot_id ? boot_id : "");
}

/* The write that every change of state begins with. */
static void write_state(SwapStep *step, SwapState state)
{
    step->head.state = state;
    step->head.seq++;
    act(step, ACT_WRITE);
}

static void restart(SwapStep *step)
{
    act(step, ACT_KILL);
    act(step, ACT_START);
}

static void finish(SwapStep *step, SwapState state, SwapOutcome outcome)
{
    step->head.outcome = outcome;
    step->head.recoveries = 0;
    step->head.restarts = 0;
    step->head.served = false;
    step->head.fallback = NO_SIDE;
    write_state(step, state);
}

/* The swap ends before the candidate had any state: cur was never touched, or has to be started again. */
static void give_up(SwapStep *step, const char *reason, bool stopped)
{
    set_reason(&step->head, reason);
    finish(step, SWAP_STEADY, OUTCOME_ROLLED_BACK);
    if (stopped)
        restart(step);
    else
        act(step, ACT_END_REHEARSAL);
    act(step, ACT_RECORD);
    act(step, ACT_COLLECT);
}

static void halt(SwapStep *step, const char *reason)
{
    set_reason(&step->head, reason);
    finish(step, SWAP_HALTED, OUTCOME_HALTED);
    act(step, ACT_KILL);
    act(step, ACT_RECORD);
}

static void roll_back(SwapStep *step, const char *reason, bool keep_state)
{
    Head *h = &step->head;
    Side old = h->cur;

    if (h->state == SWAP_SERVING) {
        old = h->prev;
        h->cand = h->cur;
        h->prev = NO_SIDE;
    }
    set_reason(h, reason);
    h->cur = old;
    h->fallback = NO_SIDE;
    if (h->served && keep_state) {
        h->cur.epoch = h->cand.epoch;
        h->fallback = old;
    } else if (h->served)
        h->salvage = h->cand.epoch;
    write_state(step, SWAP_ROLLING_BACK);
    restart(step);
}

/* The old generation did not come up. */
static void roll_back_failed(SwapStep *step, const SwapEvent *event)
{
    Head *h = &step->head;
    char reason[sizeof(h->reason)];

    if (h->fallback.generation[0]) {
        h->cur = h->fallback;
        h->fallback = NO_SIDE;
        h->salvage = h->cand.epoch;
        write_state(step, SWAP_ROLLING_BACK);
        restart(step);
        return;
    }
    snprintf(reason, sizeof(reason), "%.100s; then the old generation failed: %.60s", h->reason,
             event->reason ? event->reason : "it ended");
    halt(step, reason);
}

static int step_steady(SwapStep *step, const SwapEvent *event)
{
    Head *h = &step->head;

    switch (event->kind) {
    case EVENT_RECOVER:
        restart(step);
        if (h->txid > 0)
            act(step, ACT_RECORD);
        act(step, ACT_COLLECT);
        return 0;
    case EVENT_DIED:
    case EVENT_ABORT:
        restart(step);
        return 0;
    case EVENT_GATE_PASSED:
        return 0;
    case EVENT_REQUEST:
        if (streq(event->generation, h->cur.generation))
            return -EALREADY;
        snprintf(h->cand.generation, sizeof(h->cand.generation), "%s", event->generation);
        h->cand.epoch = h->next_epoch++;
        h->txid++;
        h->outcome = OUTCOME_NONE;
        h->salvage = EPOCH_NONE;
        set_reason(h, NULL);
        write_state(step, SWAP_PREPARED);
        act(step, ACT_REHEARSE);
        return 0;
    case EVENT_REHEARSED:
    case EVENT_CLONED:
    case EVENT_HANDED:
    case EVENT_BAKED:
    case EVENT_RESUME:
    case SWAP_EVENTS:
        break;
    }
    return -EINVAL;
}

static int step_prepared(SwapStep *step, const SwapEvent *event)
{
    switch (event->kind) {
    case EVENT_RECOVER:
        give_up(step, "interrupted before the drain", true);
        return 0;
    case EVENT_ABORT:
        give_up(step, event->reason, false);
        return 0;
    case EVENT_DIED:
        restart(step);
        return 0;
    case EVENT_GATE_PASSED:
        return 0;
    case EVENT_REHEARSED:
        write_state(step, SWAP_DRAINING);
        act(step, ACT_END_REHEARSAL);
        act(step, ACT_DRAIN);
        return 0;
    case EVENT_REQUEST:
        return -EBUSY;
    case EVENT_CLONED:
    case EVENT_HANDED:
    case EVENT_BAKED:
    case EVENT_RESUME:
    case SWAP_EVENTS:
        break;
    }
    return -EINVAL;
}

static int step_draining(SwapStep *step, const SwapEvent *event)
{
    switch (event->kind) {
    case EVENT_RECOVER:
        give_up(step, "interrupted during the drain", true);
        return 0;
    case EVENT_ABORT:
        give_up(step, event->reason, true);
        return 0;
    case EVENT_DIED: /* as it was told; the rest of its tree goes with it */
        act(step, ACT_KILL);
        act(step, ACT_CLONE);
        return 0;
    case EVENT_CLONED:
        set_boot_id(&step->head, event->boot_id);
        step->head.restarts = 0;
        step->head.served = false;
        write_state(step, SWAP_TRYING);
        act(step, ACT_START);
        return 0;
    case EVENT_REQUEST:
        return -EBUSY;
    case EVENT_GATE_PASSED:
        return 0; /* of cur, which was still on its way up */
    case EVENT_REHEARSED:
    case EVENT_HANDED:
    case EVENT_BAKED:
    case EVENT_RESUME:
    case SWAP_EVENTS:
        break;
    }
    return -EINVAL;
}

static int step_trying(SwapStep *step, const SwapEvent *event)
{
    Head *h = &step->head;

    switch (event->kind) {
    case EVENT_RECOVER:
        roll_back(step, "interrupted while it was tried", event->keep_state);
        return 0;
    case EVENT_ABORT:
    case EVENT_DIED:
        roll_back(step, event->reason, event->keep_state);
        return 0;
    case EVENT_HANDED:
        if (!h->served) {
            h->served = true;
            write_state(step, SWAP_TRYING);
        }
        return 0;
    case EVENT_GATE_PASSED:
        h->prev = h->cur;
        h->cur = h->cand;
        h->served = true;
        write_state(step, SWAP_SERVING);
        act(step, ACT_BAKE);
        return 0;
    case EVENT_REQUEST:
        return -EBUSY;
    case EVENT_REHEARSED:
    case EVENT_CLONED:
    case EVENT_BAKED:
    case EVENT_RESUME:
    case SWAP_EVENTS:
        break;
    }
    return -EINVAL;
}

static void restart_or_roll_back(SwapStep *step, const SwapPolicy *policy, const char *reason, bool keep_state)
{
    if (step->head.restarts >= policy->bake_max_restarts) {
        roll_back(step, reason, keep_state);
        return;
    }
    step->head.restarts++;
    write_state(step, SWAP_SERVING);
    restart(step);
}

static int step_serving(SwapStep *step, const SwapPolicy *policy, const SwapEvent *event)
{
    Head *h = &step->head;

    switch (event->kind) {
    case EVENT_RECOVER:
        if (event->boot_id && streq(event->boot_id, h->boot_id)) {
            restart_or_roll_back(step, policy, "interrupted in its bake", event->keep_state);
            return 0;
        }
        set_boot_id(h, event->boot_id); /* the host was started again: not the candidate's fault */
        write_state(step, SWAP_SERVING);
        restart(step);
        return 0;
    case EVENT_DIED:
        restart_or_roll_back(step, policy, event->reason, event->keep_state);
        return 0;
    case EVENT_ABORT:
        roll_back(step, event->reason, event->keep_state);
        return 0;
    case EVENT_GATE_PASSED: /* after a restart: the bake begins again, in full */
        act(step, ACT_BAKE);
        return 0;
    case EVENT_HANDED:
        return 0;
    case EVENT_BAKED:
        finish(step, SWAP_STEADY, OUTCOME_COMMITTED);
        h->cand = NO_SIDE;
        act(step, ACT_RECORD);
        act(step, ACT_COLLECT);
        return 0;
    case EVENT_REQUEST:
        return -EBUSY;
    case EVENT_REHEARSED:
    case EVENT_CLONED:
    case EVENT_RESUME:
    case SWAP_EVENTS:
        break;
    }
    return -EINVAL;
}

static int step_rolling_back(SwapStep *step, const SwapEvent *event)
{
    switch (event->kind) {
    case EVENT_RECOVER:
        write_state(step, SWAP_ROLLING_BACK);
        restart(step);
        return 0;
    case EVENT_DIED:
    case EVENT_ABORT:
        roll_back_failed(step, event);
        return 0;
    case EVENT_GATE_PASSED:
        finish(step, SWAP_STEADY, OUTCOME_ROLLED_BACK);
        act(step, ACT_RECORD);
        act(step, ACT_COLLECT);
        return 0;
    case EVENT_HANDED:
        return 0;
    case EVENT_REQUEST:
        return -EBUSY;
    case EVENT_REHEARSED:
    case EVENT_CLONED:
    case EVENT_BAKED:
    case EVENT_RESUME:
    case SWAP_EVENTS:
        break;
    }
    return -EINVAL;
}

static int step_halted(SwapStep *step, const SwapEvent *event)
{
    switch (event->kind) {
    case EVENT_RECOVER:
        act(step, ACT_KILL);
        act(step, ACT_RECORD);
        return 0;
    case EVENT_RESUME:
        write_state(step, SWAP_STEADY);
        restart(step);
        act(step, ACT_COLLECT);
        return 0;
    case EVENT_REQUEST:
        return -EBUSY;
    case EVENT_DIED:
    case EVENT_ABORT:
        return 0;
    case EVENT_REHEARSED:
    case EVENT_CLONED:
    case EVENT_HANDED:
    case EVENT_GATE_PASSED:
    case EVENT_BAKED:
    case SWAP_EVENTS:
        break;
    }
    return -EINVAL;
}

static int dispatch(SwapStep *step, const SwapPolicy *policy, const SwapEvent *event)
{
    switch (step->head.state) {
    case SWAP_STEADY:
        return step_steady(step, event);
    case SWAP_PREPARED:
        return step_prepared(step, event);
    case SWAP_DRAINING:
        return step_draining(step, event);
    case SWAP_TRYING:
        return step_trying(step, event);
    case SWAP_SERVING:
        return step_serving(step, policy, event);
    case SWAP_ROLLING_BACK:
        return step_rolling_back(step, event);
    case SWAP_HALTED:
        return step_halted(step, event);
    case SWAP_STATES:
        break;
    }
    return -EINVAL;
}

int swap_step(const Head *head, const SwapPolicy *policy, const SwapEvent *event, SwapStep *ret)
{
    SwapStep step = {.head = *head};
    int r;

    if (event->kind == EVENT_RECOVER && head->state != SWAP_STEADY && head->state != SWAP_HALTED &&
        ++step.head.recoveries > policy->recoveries_max) {
        halt(&step, "interrupted too often");
        *ret = step;
        return 0;
    }
    r = dispatch(&step, policy, event);
    if (r < 0)
        return r;
    *ret = step;
    return 0;
}
