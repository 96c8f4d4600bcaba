/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>

#include "drive_internal.h"
#include "epoch.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/box/cgroup.h"
#include "runtime/box/egress.h"
#include "shim/init/protocol.h"

#define LOG_TAG (INIT_TAGS_MAX - 1)
#define BACKOFF_FIRST (200 * USEC_PER_MSEC)
#define BACKOFF_MAX (30 * USEC_PER_SEC)

/* ---- container ---- */

static ContainerSpec container_spec(const Drive *d, const char *name)
{
    const Agent *a = d->spec.agent;

    return (ContainerSpec){.name = name, .hostname = a->name, .network = a->network, .address = a->network_address};
}

typedef struct Taken {
    Drive *drive;
    int log;
} Taken;

static void take_kept(unsigned tag, int fd, void *userdata)
{
    Taken *t = userdata;

    if (tag == LOG_TAG) {
        fd_closep(&t->log);
        t->log = fd;
    } else
        hold_adopt(t->drive->hold, tag, fd);
}

static bool container_lives(const Drive *d)
{
    struct pollfd p = {.fd = d->container ? d->container->pidfd : -EBADF, .events = POLLIN};

    return p.fd >= 0 && poll(&p, 1, 0) == 0;
}

int drive_open_container(Drive *d, Error *e)
{
    char name[64];
    ContainerSpec spec = container_spec(d, name);
    Taken taken = {d, -EBADF};
    int r;

    if (container_lives(d))
        return 0;
    r = container_name("kept", d->spec.agent->name, d->spec.agent_dir, name, e);
    if (r < 0)
        return r;
    if (d->container) {
        d->container = container_free(d->container);
        if (d->spec.agent->network != NETWORK_HOST)
            hold_clear(d->hold);
    } else if (container_adopt(&spec, d->spec.run_dir, &d->container, NULL) >= 0) {
        r = container_kept(d->container, take_kept, &taken);
        if (r < 0)
            d->container = container_free(d->container);
    }
    if (!d->container && (r = container_create(&spec, d->spec.run_dir, &d->container, e)) < 0)
        return r;
    if (!d->log && (r = log_new(d->spec.loop, d->spec.agent_dir, taken.log, &d->log)) < 0)
        return error_errnof(e, r, "log");
    return container_keep(d->container, LOG_TAG, log_reader(d->log));
}

/* A candidate that is being tried reaches nobody: what it did out there no roll-back could undo. */
int drive_set_egress(const Drive *d, Error *e)
{
    static const char *const nobody[] = {NULL};
    const Agent *a = d->spec.agent;

    if (a->network != NETWORK_VETH)
        return 0;
    return egress_apply(d->container->netns,
                        d->head.state == SWAP_TRYING ? nobody : (const char *const *) a->network_allow, e);
}

/* ---- the end ---- */

void drive_forget_agent(Drive *d)
{
    loop_cancel(&d->bake_timer);
    loop_cancel(&d->start_timer);
    d->incarnation = incarnation_free(d->incarnation);
}

void drive_kill_agent(Drive *d)
{
    Error e = {};

    drive_forget_agent(d);
    if (d->container && container_clear(d->container, &d->container->cgroup_agent, &e) < 0)
        drive_set_trouble(d, e.text);
}

void drive_drain_agent(Drive *d)
{
    if (!d->incarnation || incarnation_pid(d->incarnation) == 0) {
        drive_feed(d, EVENT_DIED, "it was not running");
        return;
    }
    loop_cancel(&d->bake_timer);
    incarnation_drain(d->incarnation);
    hold_wait(d->hold);
}

/* ---- what happens to it ---- */

/* No swap has touched cur yet: it is kept running, with more and more patience. */
static bool untouched(const Drive *d)
{
    return d->head.state == SWAP_STEADY || d->head.state == SWAP_PREPARED;
}

/* For the record of the swap. */
static void note_probes(Drive *d, IncarnationEvent event)
{
    if (event == INCARNATION_NOT_READY || event == INCARNATION_FAILED)
        drive_set_blame(d, incarnation_blame(d->incarnation));
    if (event == INCARNATION_READY && d->head.state == SWAP_TRYING) {
        json_decref(d->unmet);
        d->unmet = incarnation_unmet(d->incarnation);
    }
}

static void on_event(IncarnationEvent event, const char *why, void *userdata)
{
    Drive *d = userdata;

    if (event == INCARNATION_DIED || event == INCARNATION_FAILED || event == INCARNATION_OVERDUE)
        log_line(d->log, "%s", why);
    if (d->stopping) {
        if (event == INCARNATION_DIED)
            d->spec.stopped(d->spec.userdata);
        return;
    }
    if (d->head.state == SWAP_DRAINING && event != INCARNATION_DIED)
        return; /* one that is told to end may well stop answering */
    note_probes(d, event);
    switch (event) {
    case INCARNATION_OVERDUE:
        break;
    case INCARNATION_READY:
        d->failures = 0;
        hold_ready(d->hold);
        drive_feed(d, EVENT_GATE_PASSED, NULL);
        d->spec.settled(NULL, d->spec.userdata);
        break;
    case INCARNATION_NOT_READY:
        if (d->head.state == SWAP_SERVING)
            drive_feed(d, EVENT_ABORT, why);
        break;
    case INCARNATION_DIED:
    case INCARNATION_FAILED:
        if (untouched(d)) {
            d->failures++;
            d->restarts++;
            d->spec.settled(why, d->spec.userdata);
        }
        if (!d->stopping)
            drive_feed(d, event == INCARNATION_DIED ? EVENT_DIED : EVENT_ABORT, why);
        break;
    }
}

/* ---- the start ---- */

static int start_now(Drive *d, Error *e)
{
    const Side *side = swap_licensed(&d->head);
    _cleanup_close_ int state = epoch_open(d->spec.agent_dir, side->epoch, e);
    IncarnationSpec spec = {.loop = d->spec.loop,
                            .store = d->spec.store,
                            .agent = d->spec.agent,
                            .filter = &d->filter,
                            .hold = d->spec.agent->sockets != SOCKETS_NONE ? d->hold : NULL,
                            .generation = side->generation,
                            .candidate = d->head.state == SWAP_TRYING,
                            .state = state,
                            .event = on_event,
                            .userdata = d};
    int r;

    if (state < 0)
        return state;
    if ((r = drive_open_container(d, e)) < 0 || (r = drive_set_egress(d, e)) < 0)
        return r;
    spec.container = d->container;
    spec.output = log_writer(d->log);
    r = incarnation_start(&spec, &d->incarnation, e);
    if (r >= 0)
        d->since = clock_now();
    return r;
}

static void start(Drive *d)
{
    Error e = {};

    if (start_now(d, &e) >= 0)
        return;
    log_line(d->log, "%s", e.text);
    if (untouched(d)) {
        d->failures++;
        d->spec.settled(e.text, d->spec.userdata);
        if (d->stopping)
            return;
    }
    drive_feed(d, d->head.state == SWAP_PREPARED ? EVENT_DIED : EVENT_ABORT, e.text);
}

static void on_start_time(uint32_t events, void *userdata)
{
    (void) events;
    start(userdata);
}

void drive_start_agent(Drive *d)
{
    uint64_t delay;

    if (!untouched(d) || d->failures == 0) {
        start(d);
        return;
    }
    delay = MIN(BACKOFF_FIRST << MIN(d->failures - 1, 10U), BACKOFF_MAX);
    (void) loop_timer(d->spec.loop, clock_now() + delay, on_start_time, d, &d->start_timer);
}
