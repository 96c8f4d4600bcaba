/* SPDX-License-Identifier: Apache-2.0 */
#include "drive_internal.h"
#include "record.h"
#include "runtime/base/clock.h"
#include "runtime/box/cgroup.h"
#include "runtime/box/egress.h"

static json_t *since(uint64_t from, uint64_t to)
{
    return from && to ? json_integer((json_int_t) (to - from)) : json_null();
}

static json_t *pause_to_json(const SwapPause *p)
{
    if (!p->ended)
        return NULL;
    return json_pack("{s:o,s:o,s:o,s:o,s:I}", "drain", since(p->begun, p->drained), "clone",
                     since(p->drained, p->cloned), "start", since(p->cloned, p->started), "gate",
                     since(p->started, p->ended), "hand", (json_int_t) p->hand);
}

json_t *drive_make_record(const Drive *d)
{
    const Head *h = &d->head;
    bool committed = h->outcome == OUTCOME_COMMITTED;
    const Aside *aside = h->n_aside > 0 ? &h->aside[h->n_aside - 1] : NULL;
    json_t *set_aside = NULL;
    char when[21];

    clock_iso8601(when);
    if (aside && !committed && aside->side.epoch == h->cand.epoch)
        set_aside = json_pack("{s:I,s:o}", "epoch", (json_int_t) aside->side.epoch, "served_usec",
                              aside->served_usec < 0 ? json_null() : json_integer(aside->served_usec));
    return json_pack("{s:i,s:I,s:s,s:s,s:s,s:s,s:s?,s:s,s:o,s:o?,s:b,s:I,s:o?,s:O?,s:O?}", "version", 1, "txid",
                     (json_int_t) h->txid, "time", when, "outcome", swap_outcome_name(h->outcome), "from",
                     committed ? h->prev.generation : h->cur.generation, "to",
                     committed ? h->cur.generation : h->cand.generation, "consent", h->consent[0] ? h->consent : NULL,
                     "reason", h->reason, "pause_usec", since(d->memory->pause.begun, d->memory->pause.ended),
                     "pause_parts_usec", pause_to_json(&d->memory->pause), "rehearsed", (int) h->rehearsed, "epoch",
                     (json_int_t) h->cur.epoch, "set_aside", set_aside, "probe", committed ? NULL : d->blame, "unmet",
                     d->unmet);
}

json_t *drive_status(const Drive *d)
{
    const Head *h = &d->head;
    const Side *side = swap_licensed(h);
    json_t *last = NULL, *listeners = hold_to_json(d->hold);
    uint64_t refused = 0;
    const char *trouble = d->trouble[0] ? d->trouble : hold_trouble(d->hold);

    if (record_last(d->spec.agent_dir, &last, NULL) < 0)
        last = json_null();
    if (d->spec.agent->network == NETWORK_VETH && d->container)
        (void) egress_refused(d->container->netns, &refused, NULL);
    return json_pack("{s:b,s:s,s:s,s:I,s:s?,s:i,s:i,s:I,s:b,s:o,s:o,s:s,s:s,s:b,s:I,s:i,s:o,s:s}", "ok", 1, "state",
                     swap_state_name(h->state), "generation", side->generation, "epoch", (json_int_t) side->epoch,
                     "previous", h->prev.generation[0] ? h->prev.generation : NULL, "pid",
                     d->incarnation ? (int) incarnation_pid(d->incarnation) : 0, "restarts", (int) d->memory->restarts,
                     "uptime_usec", (json_int_t) (d->memory->since ? clock_now() - d->memory->since : 0), "ready",
                     (int) (d->incarnation && incarnation_pid(d->incarnation) && incarnation_ready(d->incarnation)),
                     "listeners", listeners, "last_swap", last, "reason", h->reason, "trouble", trouble,
                     "memory_limited", (int) cgroup_has(d->container ? d->container->cgroup_agent : -1, "memory"),
                     "egress_refused", (json_int_t) refused, "set_aside", (int) h->n_aside, "probes",
                     d->incarnation ? incarnation_probes(d->incarnation) : json_array(), "says",
                     d->incarnation ? incarnation_says(d->incarnation) : "");
}

json_t *drive_probe(const Drive *d, const char *name)
{
    return d->incarnation ? incarnation_probe(d->incarnation, name) : NULL;
}
