/* SPDX-License-Identifier: Apache-2.0 */
#include "drain.h"

#include <stdio.h>

#include "runtime/base/clock.h"
#include "runtime/base/process.h"
#include "runtime/box/cgroup.h"

#define KILL_TIMEOUT (10 * USEC_PER_SEC)

struct Drain {
    DrainOrder order;
    LoopSource *timer;
    Probe *message;
    uint64_t began, deadline, limit;
    bool stopping;
};

static const Agent *agent_of(const Drain *d)
{
    return d->order.context->agent;
}

Drain *drain_free(Drain *d)
{
    if (d) {
        loop_cancel(&d->timer);
        probe_cancel(d->message);
    }
    free(d);
    return NULL;
}

static void on_time(uint32_t events, void *userdata)
{
    Drain *d = userdata;
    char why[120];

    (void) events;
    snprintf(why, sizeof(why), "the agent has not ended %.1f s after it was told to",
             (double) (clock_now() - d->began) / (double) USEC_PER_SEC);
    (void) cgroup_kill(d->order.context->container->cgroup_agent, KILL_TIMEOUT); /* its exit is the event */
    d->order.overdue(why, d->order.userdata);
}

static int wait_until(Drain *d, uint64_t deadline)
{
    d->deadline = MIN(deadline, d->limit);
    loop_cancel(&d->timer);
    return loop_timer(d->order.context->loop, d->deadline, on_time, d, &d->timer);
}

void drain_extend(Drain *d, uint64_t usec)
{
    uint64_t deadline = clock_now() + MIN(usec, d->limit); /* which cannot overflow */

    if (deadline > d->deadline)
        (void) wait_until(d, deadline);
}

void drain_stopping(Drain *d)
{
    d->stopping = true;
}

static void send_signal(const Drain *d)
{
    (void) pidfd_signal(d->order.pidfd, agent_of(d)->drain.signal);
}

static void on_answer(const ProbeResult *result, void *userdata)
{
    Drain *d = userdata;

    d->message = NULL;
    if (!result->ok && !d->stopping)
        send_signal(d);
}

int drain_start(const DrainOrder *order, Drain **ret)
{
    const GateSpec *g = &order->context->agent->gate;
    Drain *d = calloc(1, sizeof(*d));
    int r;

    if (!d)
        return -ENOMEM;
    d->order = *order;
    d->began = clock_now();
    d->limit = d->began + agent_drain_seconds_max(agent_of(d)) * USEC_PER_SEC;
    r = wait_until(d, d->began + g->drain_timeout_seconds * USEC_PER_SEC);
    if (r < 0) {
        free(d);
        return r;
    }
    if (agent_of(d)->drain.message.kind == PROBE_NONE ||
        probe_start(order->context, &agent_of(d)->drain.message, "drain", on_answer, d, &d->message) < 0)
        send_signal(d);
    *ret = d;
    return 0;
}
