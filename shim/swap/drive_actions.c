/* SPDX-License-Identifier: Apache-2.0 */
#include "drive_internal.h"
#include "epoch.h"
#include "record.h"
#include "runtime/base/clock.h"
#include "runtime/base/json.h"

static void on_rehearsed(bool passed, const char *why, json_t *blame, void *userdata)
{
    Drive *d = userdata;

    drive_set_blame(d, blame);
    if (passed)
        precopy_finish(d->precopy);
    else
        drive_feed(d, EVENT_ABORT, why);
}

static void start_rehearsal(Drive *d)
{
    RehearsalSpec spec = {
        .incarnation = {.loop = d->spec.loop,
                        .store = d->spec.store,
                        .agent = d->spec.agent,
                        .filter = &d->filter,
                        .generation = d->head.cand.generation,
                        .output = log_writer(d->log)},
        .agent_dir = d->spec.agent_dir,
        .run_dir = d->spec.run_dir,
        .done = on_rehearsed,
        .userdata = d,
    };
    Error e = {};

    if (rehearsal_start(&spec, &d->rehearsal, &e) < 0)
        drive_feed(d, EVENT_ABORT, e.text);
}

static void on_precopy(PrecopyEvent event, const char *why, void *userdata)
{
    Drive *d = userdata;

    switch (event) {
    case PRECOPY_REHEARSAL:
        start_rehearsal(d);
        break;
    case PRECOPY_DONE:
        drive_feed(d, EVENT_REHEARSED, NULL);
        break;
    case PRECOPY_FAILED:
        drive_feed(d, EVENT_ABORT, why);
        break;
    }
}

static void rehearse(Drive *d)
{
    const PrecopySpec spec = {.loop = d->spec.loop,
                              .agent_dir = d->spec.agent_dir,
                              .from = d->head.cur.epoch,
                              .to = d->head.cand.epoch,
                              .rehearsal = d->head.rehearsed,
                              .event = on_precopy,
                              .userdata = d};
    Error e = {};

    if (epoch_reserve(d->spec.agent_dir, &e) < 0 || precopy_start(&spec, &d->precopy, &e) < 0)
        drive_feed(d, EVENT_ABORT, e.text);
    else if (!d->head.rehearsed)
        precopy_finish(d->precopy);
}

static void clone_epoch(Drive *d)
{
    Error e = {};
    int r;

    d->memory->pause.drained = clock_now();
    r = epoch_clone(d->spec.agent_dir, d->head.cur.epoch, d->head.cand.epoch, precopy_index(d->precopy), &e);
    d->precopy = precopy_free(d->precopy);
    if (r < 0)
        drive_feed(d, EVENT_ABORT, e.text);
    else {
        d->memory->pause.cloned = clock_now();
        drive_feed(d, EVENT_CLONED, NULL);
    }
}

static void on_baked(uint32_t events, void *userdata)
{
    Drive *d = userdata;

    (void) events;
    loop_cancel(&d->bake_timer);
    if (d->again_timer) /* what has happened before comes first: it may have been a crash too many */
        (void) loop_timer(d->spec.loop, clock_now() + d->again_delay, on_baked, d, &d->bake_timer);
    else
        drive_feed(d, EVENT_BAKED, NULL);
}

static void bake(Drive *d)
{
    Error e = {};

    if (drive_set_egress(d, &e) < 0) {
        drive_feed(d, EVENT_ABORT, e.text);
        return;
    }
    if (d->memory->pause.begun && !d->memory->pause.ended)
        d->memory->pause.ended = clock_now();
    loop_cancel(&d->bake_timer);
    (void) loop_timer(d->spec.loop, clock_now() + d->spec.agent->gate.bake_seconds * USEC_PER_SEC, on_baked, d,
                      &d->bake_timer);
}

int drive_record(Drive *d, Error *e)
{
    _cleanup_json_ json_t *line = NULL;
    int r;

    if (d->head.outcome == OUTCOME_NONE)
        return 0;
    line = drive_make_record(d);
    r = line ? record_append(d->spec.agent_dir, d->head.txid, line, e) : error_errnof(e, -ENOMEM, "record");
    if (r < 0)
        snprintf(d->trouble, sizeof(d->trouble), "the swap is not recorded: %.180s", e->text);
    else if (d->unrecorded)
        d->trouble[0] = '\0';
    d->unrecorded = r < 0;
    return r;
}

static void record(Drive *d)
{
    _cleanup_json_ json_t *line = NULL;
    Error e = {};

    if (d->head.outcome == OUTCOME_NONE)
        return;
    if (d->memory->pause.begun && !d->memory->pause.ended && d->head.state == SWAP_STEADY)
        d->memory->pause.ended = clock_now();
    (void) drive_record(d, &e);
    line = drive_make_record(d);
    if (line)
        d->spec.ended(line, d->spec.userdata);
    /* One that is only just being started again has asked for nothing yet. */
    if (d->incarnation && incarnation_ready(d->incarnation))
        hold_prune(d->hold, d->head.outcome == OUTCOME_COMMITTED);
}

static void on_budget(uint32_t events, void *userdata)
{
    Drive *d = userdata;
    char why[80];

    (void) events;
    snprintf(why, sizeof(why), "the swap takes longer than its budget of %u s",
             d->spec.agent->gate.swap_budget_seconds);
    drive_feed(d, EVENT_ABORT, why);
}

/* From here on clients wait. */
static void begin_pause(Drive *d)
{
    uint64_t now = clock_now();

    d->memory->pause = (SwapPause){.begun = now};
    loop_cancel(&d->budget_timer);
    (void) loop_timer(d->spec.loop, now + d->spec.agent->gate.swap_budget_seconds * USEC_PER_SEC, on_budget, d,
                      &d->budget_timer);
}

static void collect(Drive *d)
{
    Error e = {};

    d->precopy = precopy_free(d->precopy); /* what it has made goes */
    if (epoch_collect(d->spec.agent_dir, &d->head, &e) < 0)
        drive_set_trouble(d, e.text);
    else if (d->unrecorded)
        (void) drive_record(d, &e); /* on a disk that was full there may be room for it now */
}

void drive_act(Drive *d, SwapAction action)
{
    switch (action) {
    case ACT_WRITE:
        break; /* done before the step was taken on */
    case ACT_REHEARSE:
        d->memory->pause = (SwapPause){};
        rehearse(d);
        break;
    case ACT_END_REHEARSAL:
        d->rehearsal = rehearsal_free(d->rehearsal);
        break;
    case ACT_DRAIN:
        drive_make_root(d);
        begin_pause(d);
        drive_drain_agent(d);
        break;
    case ACT_KILL:
        if (d->head.state != SWAP_PREPARED) /* there cur has died, and the rehearsal has nothing to do with it */
            d->rehearsal = rehearsal_free(d->rehearsal);
        drive_kill_agent(d);
        break;
    case ACT_CLONE:
        clone_epoch(d);
        break;
    case ACT_START:
        if (d->head.state == SWAP_ROLLING_BACK)
            epoch_give_up_reserve(d->spec.agent_dir);
        drive_start_agent(d);
        if (d->head.state == SWAP_TRYING)
            d->memory->pause.started = clock_now();
        break;
    case ACT_BAKE:
        bake(d);
        break;
    case ACT_RECORD:
        record(d);
        break;
    case ACT_COLLECT:
        collect(d);
        break;
    }
}
