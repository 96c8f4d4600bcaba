/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/swap/core.h"

#include "tests/unit/test.h"

/* A model of the world that the actions change, and a walk through everything that can happen in it: every event in every state that is reachable,
 * with a crash after each action, followed by recoveries that may crash as well. The invariants are checked after every single action. */

#define EPOCHS_MAX 6
#define TXIDS_MAX 4
#define BOOT "11111111-1111-1111-1111-111111111111"
#define OTHER_BOOT "22222222-2222-2222-2222-222222222222"

typedef struct World {
    Head durable; /* what head.json says */
    Head memory;  /* what the running shim believes */
    bool exists[EPOCHS_MAX];
    char ran[EPOCHS_MAX][4]; /* per epoch: the generations that had it writable, a set of letters */
    bool running;
    Side run;
    unsigned records[TXIDS_MAX + 1]; /* the walk stops at the first world with one more */
} World;

static int64_t swaps_max; /* one after the other */
static SwapPolicy policy = {.bake_max_restarts = 1, .recoveries_max = 2};

static World world_new(void)
{
    World w = {};

    w.durable = (Head){.state = SWAP_STEADY,
                       .next_epoch = 1,
                       .cur = {"a", 0},
                       .cand = {"", EPOCH_NONE},
                       .prev = {"", EPOCH_NONE},
                       .fallback = {"", EPOCH_NONE}};
    w.memory = w.durable;
    w.exists[0] = true;
    return w;
}

static void check(const World *w)
{
    const Head *h = &w->durable;

    assert_true(h->cur.generation[0]); /* exactly one current side, and its epoch is there */
    assert_true(h->cur.epoch >= 0 && h->cur.epoch < h->next_epoch);
    assert_true(w->exists[h->cur.epoch]);
    if (h->fallback.generation[0])
        assert_true(w->exists[h->fallback.epoch]);
    if (h->prev.generation[0])
        assert_true(w->exists[h->prev.epoch]);
    for (unsigned i = 0; i < h->n_aside; i++)
        assert_true(w->exists[h->aside[i].side.epoch]);
    if (h->state == SWAP_TRYING || h->state == SWAP_SERVING) /* the way back is there before it is needed */
        assert_true(w->exists[h->state == SWAP_TRYING ? h->cur.epoch : h->prev.epoch]);
    if (h->state == SWAP_HALTED) /* with the side that is known to have worked */
        assert_string_not_equal(h->cur.generation, h->cand.generation);
    for (size_t t = 0; t <= TXIDS_MAX; t++)
        assert_true(w->records[t] <= 1);
}

/* A candidate never has an epoch that is older than its own clone; nobody else's state is written by it. */
static void check_start(const World *w)
{
    const Side *licensed = swap_licensed(&w->durable);
    const Head *h = &w->durable;

    assert_false(w->running); /* two incarnations at once would share an epoch */
    assert_true(h->state != SWAP_HALTED);
    assert_string_equal(w->memory.cur.generation, h->cur.generation);
    assert_true(w->exists[licensed->epoch]);
    if (h->state == SWAP_TRYING) {
        assert_int_equal(licensed->epoch, h->cand.epoch);
        assert_true(licensed->epoch > h->cur.epoch);
    }
    if (h->state == SWAP_ROLLING_BACK)
        assert_string_not_equal(licensed->generation, h->cand.generation);
}

static void note_run(World *w, const Side *side)
{
    char *ran = w->ran[side->epoch];

    if (!strchr(ran, side->generation[0]))
        ran[strlen(ran)] = side->generation[0];
    w->running = true;
    w->run = *side;
}

static void do_action(World *w, SwapAction action)
{
    switch (action) {
    case ACT_WRITE:
        w->durable = w->memory;
        break;
    case ACT_KILL:
        w->running = false;
        break;
    case ACT_CLONE:
        assert_false(w->running);
        assert_true(w->memory.cand.epoch > w->memory.cur.epoch);
        w->exists[w->memory.cand.epoch] = true;
        break;
    case ACT_START:
        check_start(w);
        note_run(w, swap_licensed(&w->durable));
        break;
    case ACT_RECORD:
        assert_true(w->durable.outcome != OUTCOME_NONE);
        if (!w->records[w->durable.txid])
            w->records[w->durable.txid]++;
        break;
    case ACT_COLLECT:
        for (int64_t e = 0; e < EPOCHS_MAX; e++)
            if (!swap_keeps(&w->durable, e))
                w->exists[e] = false;
        if (w->running)
            assert_true(w->exists[w->run.epoch]);
        break;
    case ACT_REHEARSE:
    case ACT_END_REHEARSAL:
    case ACT_DRAIN:
    case ACT_BAKE:
        break;
    }
    check(w);
}

static size_t apply(World *w, const SwapEvent *event, size_t max_actions)
{
    SwapStep step;

    if (swap_step(&w->memory, &policy, event, &step) < 0)
        return 0;
    assert_true(step.n <= SWAP_ACTIONS_MAX);
    for (size_t i = 1; i < step.n; i++) /* nothing is done before it is licensed */
        assert_true(step.actions[i] != ACT_WRITE);
    w->memory = step.head;
    for (size_t i = 0; i < step.n && i < max_actions; i++)
        do_action(w, step.actions[i]);
    return step.n;
}

/* After a whole step no swap is without its record, and none has it early. */
static void check_settled(const World *w)
{
    const Head *h = &w->durable;
    bool ended = h->state == SWAP_STEADY || h->state == SWAP_HALTED;

    for (int64_t t = 1; t <= TXIDS_MAX; t++)
        assert_int_equal(w->records[t], t < h->txid || (t == h->txid && ended) ? 1 : 0);
}

/* What clients wrote goes only when the operator says so, and only that which they named. */
static void check_aside(const World *before, const World *after, const SwapEvent *event)
{
    for (unsigned i = 0; i < before->memory.n_aside; i++) {
        int64_t epoch = before->memory.aside[i].side.epoch;

        if (event->kind != EVENT_DISCARD || event->epoch != epoch)
            assert_true(after->exists[epoch]);
    }
}

/* ---- the walk ---- */

#define WORLDS_MAX (1U << 17)

typedef struct Walk {
    World *seen;
    uint32_t *slots; /* index + 1 into `seen`, by hash */
    size_t n, next;
    size_t steps, crashes;
    size_t by_state[SWAP_STATES][SWAP_EVENTS];
} Walk;

/* What grows without bound, and what decides nothing, is left out: worlds that differ only there are one. */
static void world_normalise(World *w)
{
    w->durable.seq = w->memory.seq = 0;
    memset(w->durable.reason, 0, sizeof(w->durable.reason));
    memset(w->memory.reason, 0, sizeof(w->memory.reason));
    memset(w->ran, 0, sizeof(w->ran));
    for (unsigned i = 0; i < ASIDE_MAX; i++)
        w->durable.aside[i].served_usec = w->memory.aside[i].served_usec = 0;
}

static uint32_t world_hash(const World *w)
{
    const unsigned char *p = (const unsigned char *) w;
    uint32_t h = 2166136261U;

    for (size_t i = 0; i < sizeof(*w); i++)
        h = (h ^ p[i]) * 16777619U;
    return h;
}

static void walk_add(Walk *walk, const World *from)
{
    World w = *from;
    uint32_t i;

    if (w.memory.txid > swaps_max)
        return;
    world_normalise(&w);
    for (i = world_hash(&w) % (2 * WORLDS_MAX); walk->slots[i]; i = (i + 1) % (2 * WORLDS_MAX))
        if (memcmp(&walk->seen[walk->slots[i] - 1], &w, sizeof(w)) == 0)
            return;
    assert_true(walk->n < WORLDS_MAX);
    walk->seen[walk->n++] = w;
    walk->slots[i] = (uint32_t) walk->n;
}

#define EVENTS_MAX (SWAP_EVENTS * 8 + 2 * EPOCHS_MAX)

/* Every event, with each value of what it carries that can matter to it. */
static size_t events_make(SwapEvent ret[static EVENTS_MAX])
{
    size_t n = 0;

    for (SwapEventKind k = 0; k < SWAP_EVENTS; k++)
        for (unsigned variant = 0; variant < 4; variant++) {
            bool boot = k == EVENT_RECOVER, keep = boot || k == EVENT_DIED || k == EVENT_ABORT;

            if (((variant & 2) && !boot) || ((variant & 1) && !keep))
                continue;
            ret[n++] = (SwapEvent){.kind = k,
                                   .generation = k == EVENT_REQUEST ? "b" : NULL,
                                   .epoch = EPOCH_NONE,
                                   .reason = "why",
                                   .boot_id = variant & 2 ? OTHER_BOOT : BOOT,
                                   .keep_state = variant & 1};
        }
    for (int64_t epoch = 0; epoch < EPOCHS_MAX; epoch++) {
        ret[n++] = (SwapEvent){.kind = EVENT_RESUME, .generation = "b", .epoch = epoch};
        ret[n++] = (SwapEvent){.kind = EVENT_DISCARD, .epoch = epoch};
    }
    return n;
}

/* Would a new shim find the incarnation that it may take over? */
static bool may_run_on(const World *w)
{
    const Side *licensed = swap_licensed(&w->durable);

    return swap_adopts(&w->durable) && w->running && w->run.epoch == licensed->epoch &&
           streq(w->run.generation, licensed->generation);
}

/* A new shim: with the agent running on where that may be, or dead with its shim (the host was started again, or it just died). */
static size_t recover(World *w, SwapEvent event, bool dead, size_t max_actions)
{
    World before;
    size_t n;

    if (dead)
        w->running = false;
    w->memory = w->durable;
    before = *w;
    event.running = may_run_on(w);
    n = apply(w, &event, max_actions);
    if (event.running) { /* an agent that is taken over notices nothing */
        assert_true(w->running);
        assert_memory_equal(&w->run, &before.run, sizeof(w->run));
        assert_int_equal(w->durable.restarts, w->durable.state == SWAP_SERVING ? before.durable.restarts : 0);
    }
    return n;
}

/* The shim dies after `n` actions, twice over: recovery is cut short at every action too, then it is let through. */
static void crash(Walk *walk, World w)
{
    SwapEvent event = {.kind = EVENT_RECOVER, .boot_id = BOOT};

    for (unsigned variant = 0; variant < 4; variant++)
        for (size_t cut = 0; cut <= SWAP_ACTIONS_MAX; cut++) {
            World again = w, whole = w;
            bool dead = variant & 2;

            event.keep_state = variant & 1;
            recover(&whole, event, dead, SWAP_ACTIONS_MAX);
            check_settled(&whole);
            recover(&again, event, dead, cut);
            recover(&again, event, false, SWAP_ACTIONS_MAX);
            check_settled(&again);
            if (w.durable.state != SWAP_SERVING && again.durable.state == whole.durable.state) {
                assert_int_equal(again.durable.cur.epoch, whole.durable.cur.epoch);
                assert_string_equal(again.durable.cur.generation, whole.durable.cur.generation);
                assert_int_equal(again.running, whole.running);
                assert_memory_equal(again.exists, whole.exists, sizeof(whole.exists));
            }
            walk->crashes += 2;
            walk_add(walk, &again);
            walk_add(walk, &whole);
        }
}

/* Nothing dies or passes that does not run, nothing was cloned that is not there. */
static bool possible(const World *w, const SwapEvent *event)
{
    switch (event->kind) {
    case EVENT_DIED:
    case EVENT_HANDED:
    case EVENT_GATE_PASSED:
    case EVENT_BAKED:
        return w->running;
    case EVENT_CLONED:
        return w->memory.state != SWAP_DRAINING || w->exists[w->memory.cand.epoch];
    case EVENT_RECOVER:
    case EVENT_REQUEST:
    case EVENT_REHEARSED:
    case EVENT_ABORT:
    case EVENT_RESUME:
    case EVENT_DISCARD:
    case SWAP_EVENTS:
        break;
    }
    return true;
}

static void walk_from(Walk *walk, const World *from)
{
    SwapEvent events[EVENTS_MAX];
    size_t n_events = events_make(events);

    for (size_t i = 0; i < n_events; i++) {
        World w = *from;
        size_t n;

        if (events[i].generation)
            events[i].generation = streq(from->memory.cur.generation, "b") ? "a" : "b";
        walk->by_state[from->memory.state][events[i].kind]++;
        if (!possible(from, &events[i]))
            continue;
        if (events[i].kind == EVENT_RECOVER) /* the state it comes from is what crash() is about */
            w.memory = w.durable;
        n = apply(&w, &events[i], SWAP_ACTIONS_MAX);
        if (n == 0)
            continue;
        walk->steps++;
        check_settled(&w);
        check_aside(from, &w, &events[i]);
        walk_add(walk, &w);
        for (size_t cut = 0; cut <= n; cut++) {
            w = *from;
            apply(&w, &events[i], cut);
            crash(walk, w);
        }
    }
}

static void walk_all(void)
{
    Walk walk = {.seen = calloc(WORLDS_MAX, sizeof(World)), .slots = calloc((size_t) 2 * WORLDS_MAX, sizeof(uint32_t))};
    World w = world_new();
    SwapEvent recover = {.kind = EVENT_RECOVER, .boot_id = BOOT};

    assert_non_null(walk.seen);
    assert_non_null(walk.slots);
    apply(&w, &recover, SWAP_ACTIONS_MAX);
    walk_add(&walk, &w);
    while (walk.next < walk.n) {
        World from = walk.seen[walk.next++];

        walk_from(&walk, &from);
    }
    for (size_t s = 0; s < SWAP_STATES; s++)
        for (size_t e = 0; e < SWAP_EVENTS; e++)
            assert_true(walk.by_state[s][e] > 0); /* the walk really came everywhere */
    print_message("# worlds %zu, steps %zu, crashes %zu\n", walk.n, walk.steps, walk.crashes);
    free(walk.seen);
    free(walk.slots);
}

TEST(every_event_in_every_state_with_a_crash_after_each_action_keeps_the_invariants)
{
    swaps_max = getenv("MOSS_FULL") ? 3 : 2;
    for (unsigned halts = 0; halts < 2; halts++) {
        policy.served_halts = halts;
        walk_all();
    }
    policy.served_halts = false;
}

static void feed(World *w, SwapEventKind kind, bool keep)
{
    SwapEvent e = {.kind = kind,
                   .generation = kind == EVENT_REQUEST ? "b" : NULL,
                   .reason = "why",
                   .boot_id = BOOT,
                   .keep_state = keep};

    assert_true(apply(w, &e, SWAP_ACTIONS_MAX) > 0);
}

static World world_trying(void)
{
    World w = world_new();

    feed(&w, EVENT_RECOVER, false);
    feed(&w, EVENT_REQUEST, false);
    feed(&w, EVENT_REHEARSED, false);
    feed(&w, EVENT_DIED, false);
    feed(&w, EVENT_CLONED, false);
    assert_int_equal(w.durable.state, SWAP_TRYING);
    assert_string_equal(w.run.generation, "b");
    return w;
}

TEST(a_good_candidate_is_committed_with_the_way_back_kept)
{
    World w = world_trying();

    feed(&w, EVENT_GATE_PASSED, false);
    feed(&w, EVENT_BAKED, false);
    assert_int_equal(w.durable.state, SWAP_STEADY);
    assert_int_equal(w.durable.outcome, OUTCOME_COMMITTED);
    assert_string_equal(w.durable.cur.generation, "b");
    assert_int_equal(w.durable.cur.epoch, 1);
    assert_string_equal(w.durable.prev.generation, "a");
    assert_true(w.exists[0]);
}

TEST(a_candidate_that_served_nobody_leaves_no_trace)
{
    World w = world_trying();

    feed(&w, EVENT_DIED, true);
    assert_string_equal(w.run.generation, "a");
    assert_int_equal(w.run.epoch, 0);
    feed(&w, EVENT_GATE_PASSED, false);
    assert_int_equal(w.durable.outcome, OUTCOME_ROLLED_BACK);
    assert_false(w.exists[1]);
    assert_string_equal(w.ran[0], "a");
}

TEST(what_clients_wrote_survives_the_way_back_if_it_can_be_read)
{
    World w = world_trying();

    feed(&w, EVENT_GATE_PASSED, false);
    feed(&w, EVENT_ABORT, true);
    assert_string_equal(w.run.generation, "a");
    assert_int_equal(w.run.epoch, 1);
    assert_string_equal(w.ran[0], "a");
}

TEST(an_old_generation_that_fails_on_the_new_state_gets_its_own)
{
    World w = world_trying();

    feed(&w, EVENT_HANDED, false);
    feed(&w, EVENT_ABORT, true);
    assert_int_equal(w.run.epoch, 1);
    feed(&w, EVENT_DIED, false);
    assert_int_equal(w.run.epoch, 1); /* a second try */
    feed(&w, EVENT_DIED, false);
    assert_int_equal(w.run.epoch, 0);
    assert_int_equal(w.durable.n_aside, 1);
    assert_int_equal(w.durable.aside[0].side.epoch, 1);
    feed(&w, EVENT_GATE_PASSED, false);
    assert_int_equal(w.durable.state, SWAP_STEADY);
    assert_true(w.exists[1]); /* set aside, not lost */
}

TEST(a_roll_back_is_never_rolled_back)
{
    World w = world_trying();

    feed(&w, EVENT_ABORT, false);
    feed(&w, EVENT_DIED, false);
    assert_int_equal(w.durable.state, SWAP_ROLLING_BACK); /* a second try */
    assert_string_equal(w.run.generation, "a");
    feed(&w, EVENT_DIED, false);
    assert_int_equal(w.durable.state, SWAP_HALTED);
    assert_false(w.running);
    feed(&w, EVENT_RECOVER, false);
    assert_false(w.running);
    feed(&w, EVENT_RESUME, false);
    assert_string_equal(w.run.generation, "a");
}

TEST(where_the_policy_says_so_a_candidate_that_served_leaves_the_choice_to_the_operator)
{
    World w = world_trying();

    policy.served_halts = true;
    feed(&w, EVENT_GATE_PASSED, false);
    feed(&w, EVENT_ABORT, true);
    policy.served_halts = false;
    assert_int_equal(w.durable.state, SWAP_HALTED);
    assert_false(w.running);
    assert_string_equal(w.durable.cur.generation, "a");
    assert_int_equal(w.durable.cur.epoch, 0);
    assert_int_equal(w.durable.n_aside, 1);
    assert_int_equal(w.durable.aside[0].side.epoch, 1);
}

TEST(the_operator_resumes_on_what_was_set_aside_and_loses_nothing_by_it)
{
    World w = world_trying();
    SwapEvent to = {.kind = EVENT_RESUME, .generation = "b", .epoch = 1}, nowhere = {EVENT_RESUME, "b", 3};
    SwapStep step;

    policy.served_halts = true;
    feed(&w, EVENT_HANDED, false);
    feed(&w, EVENT_DIED, false);
    policy.served_halts = false;
    assert_int_equal(swap_step(&w.memory, &policy, &nowhere, &step), -ENOENT);
    assert_true(apply(&w, &to, SWAP_ACTIONS_MAX) > 0);
    assert_int_equal(w.durable.state, SWAP_STEADY);
    assert_string_equal(w.run.generation, "b");
    assert_int_equal(w.run.epoch, 1);
    assert_int_equal(w.durable.n_aside, 0);
    assert_int_equal(w.durable.prev.epoch, 0);
    assert_true(w.exists[0]);
}

TEST(what_was_set_aside_stays_through_later_swaps_until_it_is_discarded)
{
    World w = world_trying();
    SwapEvent discard = {.kind = EVENT_DISCARD, .epoch = 1};
    SwapStep step;

    feed(&w, EVENT_HANDED, false);
    feed(&w, EVENT_DIED, false); /* set aside */
    feed(&w, EVENT_GATE_PASSED, false);
    feed(&w, EVENT_REQUEST, false);
    assert_int_equal(swap_step(&w.memory, &policy, &discard, &step), -EINVAL);
    feed(&w, EVENT_REHEARSED, false);
    feed(&w, EVENT_DIED, false);
    feed(&w, EVENT_CLONED, false);
    feed(&w, EVENT_GATE_PASSED, false);
    feed(&w, EVENT_BAKED, false);
    assert_true(w.exists[1]);
    assert_true(apply(&w, &discard, SWAP_ACTIONS_MAX) > 0);
    assert_false(w.exists[1]);
    assert_int_equal(swap_step(&w.memory, &policy, &discard, &step), -ENOENT);
}

TEST(no_swap_begins_while_as_much_is_set_aside_as_can_be)
{
    World w = world_new();
    SwapEvent e = {.kind = EVENT_REQUEST, .generation = "b"};
    SwapStep step;

    w.memory.n_aside = ASIDE_MAX;
    assert_int_equal(swap_step(&w.memory, &policy, &e, &step), -EDQUOT);
}

TEST(how_long_clients_wrote_is_known_unless_the_host_was_started_again)
{
    World w = world_trying();
    SwapEvent handed = {.kind = EVENT_HANDED, .now = 1000},
              died = {.kind = EVENT_DIED, .reason = "why", .boot_id = BOOT, .now = 61000};
    SwapStep step;

    assert_true(apply(&w, &handed, SWAP_ACTIONS_MAX) > 0);
    assert_int_equal(swap_step(&w.memory, &policy, &died, &step), 0);
    assert_int_equal(step.head.aside[0].served_usec, 60000);
    assert_string_equal(step.head.aside[0].side.generation, "b");
    died.boot_id = OTHER_BOOT;
    assert_int_equal(swap_step(&w.memory, &policy, &died, &step), 0);
    assert_int_equal(step.head.aside[0].served_usec, -1);
}

TEST(a_candidate_that_has_its_sockets_from_the_start_has_served_before_it_starts)
{
    const SwapPolicy fds = {.bake_max_restarts = 1, .recoveries_max = 2, .served_at_start = true};
    World w = world_trying();
    SwapEvent cloned = {.kind = EVENT_CLONED, .boot_id = BOOT, .now = 1000};
    SwapStep step;

    w.memory.state = SWAP_DRAINING;
    assert_int_equal(swap_step(&w.memory, &fds, &cloned, &step), 0);
    assert_int_equal(step.head.state, SWAP_TRYING);
    assert_int_equal(step.actions[0], ACT_WRITE);
    assert_true(step.head.served);
    assert_int_equal(step.head.served_at, 1000);
    assert_int_equal(swap_step(&w.memory, &policy, &cloned, &step), 0);
    assert_false(step.head.served);
}

TEST(what_is_interrupted_too_often_halts_on_the_old_side_with_what_clients_wrote_set_aside)
{
    World w = world_trying();

    feed(&w, EVENT_GATE_PASSED, false);
    w.memory.recoveries = policy.recoveries_max;
    feed(&w, EVENT_RECOVER, true);
    assert_int_equal(w.durable.state, SWAP_HALTED);
    assert_string_equal(w.durable.cur.generation, "a");
    assert_int_equal(w.durable.cur.epoch, 0);
    assert_int_equal(w.durable.n_aside, 1);
    assert_int_equal(w.durable.aside[0].side.epoch, 1);
}

TEST(what_the_agent_said_is_written_as_plain_text)
{
    World w = world_trying();
    SwapEvent e = {.kind = EVENT_ABORT, .reason = "\xff\x1b[2J\xc3", .boot_id = BOOT};

    assert_true(apply(&w, &e, SWAP_ACTIONS_MAX) > 0);
    assert_string_equal(w.durable.reason, "??[2J?");
}

TEST(a_second_swap_is_refused_while_one_goes_on)
{
    World w = world_trying();
    SwapEvent e = {.kind = EVENT_REQUEST, .generation = "c"};
    SwapStep step;

    assert_int_equal(swap_step(&w.memory, &policy, &e, &step), -EBUSY);
    w = world_new();
    e.generation = "a";
    assert_int_equal(swap_step(&w.memory, &policy, &e, &step), -EALREADY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(every_event_in_every_state_with_a_crash_after_each_action_keeps_the_invariants),
        UNIT(a_good_candidate_is_committed_with_the_way_back_kept),
        UNIT(a_candidate_that_served_nobody_leaves_no_trace),
        UNIT(what_clients_wrote_survives_the_way_back_if_it_can_be_read),
        UNIT(an_old_generation_that_fails_on_the_new_state_gets_its_own),
        UNIT(a_roll_back_is_never_rolled_back),
        UNIT(where_the_policy_says_so_a_candidate_that_served_leaves_the_choice_to_the_operator),
        UNIT(the_operator_resumes_on_what_was_set_aside_and_loses_nothing_by_it),
        UNIT(what_was_set_aside_stays_through_later_swaps_until_it_is_discarded),
        UNIT(no_swap_begins_while_as_much_is_set_aside_as_can_be),
        UNIT(how_long_clients_wrote_is_known_unless_the_host_was_started_again),
        UNIT(a_candidate_that_has_its_sockets_from_the_start_has_served_before_it_starts),
        UNIT(what_is_interrupted_too_often_halts_on_the_old_side_with_what_clients_wrote_set_aside),
        UNIT(what_the_agent_said_is_written_as_plain_text),
        UNIT(a_second_swap_is_refused_while_one_goes_on),
    };

    return RUN_TESTS(tests);
}
