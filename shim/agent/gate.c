/* SPDX-License-Identifier: Apache-2.0 */

/* The gate, the bake and the drain: how long each may take, and whether the times fit together. */

#include <signal.h>
#include <stdio.h>

#include "sections.h"

/* What the probes may need before they have judged. 64 bits: a day times a hundred thousand does not fit into 32. */
typedef struct GateNeeds {
    uint64_t startup, readiness, acceptance;
} GateNeeds;

static GateNeeds gate_needs(const Agent *a)
{
    GateNeeds n = {};

    if (a->startup.kind != PROBE_NONE)
        n.startup =
            a->startup.initial_delay_seconds + (uint64_t) a->startup.period_seconds * a->startup.failure_threshold;
    n.readiness =
        a->readiness.initial_delay_seconds + (uint64_t) a->readiness.period_seconds * a->readiness.success_threshold;
    for (size_t i = 0; i < a->n_acceptance; i++) /* they are made at the same time */
        n.acceptance = MAX(n.acceptance, a->acceptance[i].probe.timeout_seconds);
    return n;
}

static int check_gate(const Agent *a, const Section *s, Error *e)
{
    const GateSpec *g = &a->gate;
    GateNeeds n = gate_needs(a);
    uint64_t all = n.startup + n.readiness + g->min_ready_seconds + n.acceptance;

    if (g->gate_timeout_seconds >= all)
        return 0;
    return section_error(s, "gateTimeoutSeconds", e,
                         "is %u, but the probes may need %llu before they have judged: startupProbe %llu, "
                         "readinessProbe %llu, minReadySeconds %u, acceptance %llu",
                         g->gate_timeout_seconds, (unsigned long long) all, (unsigned long long) n.startup,
                         (unsigned long long) n.readiness, g->min_ready_seconds, (unsigned long long) n.acceptance);
}

static int check_bake(const Agent *a, const Section *s, Error *e)
{
    const ProbeSpec *l = &a->liveness;
    const GateSpec *g = &a->gate;
    uint64_t bake =
        (uint64_t) l->initial_delay_seconds + (uint64_t) l->period_seconds * l->failure_threshold + l->timeout_seconds;

    if (l->kind != PROBE_NONE && g->bake_seconds < bake)
        return section_error(s, "bakeSeconds", e,
                             "is %u, but the livenessProbe needs %llu to see a failure: initialDelaySeconds %u, %u "
                             "times periodSeconds %u, timeoutSeconds %u",
                             g->bake_seconds, (unsigned long long) bake, l->initial_delay_seconds, l->failure_threshold,
                             l->period_seconds, l->timeout_seconds);
    if (g->bake_seconds < a->watchdog_seconds)
        return section_error(s, "bakeSeconds", e, "is %u, but the watchdog needs %u to see a failure", g->bake_seconds,
                             a->watchdog_seconds);
    return 0;
}

static int check_budget(const GateSpec *g, const Section *s, Error *e)
{
    uint64_t budget = (uint64_t) g->drain_timeout_seconds + AGENT_CLONE_SECONDS + g->gate_timeout_seconds;

    if (g->swap_budget_seconds >= budget)
        return 0;
    return section_error(s, "swapBudgetSeconds", e,
                         "is %u, but a swap may take %llu: drainTimeoutSeconds %u, %u for cloning the state, "
                         "gateTimeoutSeconds %u",
                         g->swap_budget_seconds, (unsigned long long) budget, g->drain_timeout_seconds,
                         AGENT_CLONE_SECONDS, g->gate_timeout_seconds);
}

int agent_parse_gate(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"minReadySeconds",
                                        "gateTimeoutSeconds",
                                        "drainTimeoutSeconds",
                                        "swapBudgetSeconds",
                                        "bakeSeconds",
                                        "bakeMaxRestarts",
                                        NULL};
    GateSpec *g = &a->gate;
    int64_t restarts = 0;
    int r = json_only(s->o, s->at, known, e);

    *g = (GateSpec){.min_ready_seconds = 3,
                    .gate_timeout_seconds = 40,
                    .drain_timeout_seconds = 10,
                    .swap_budget_seconds = 70,
                    .bake_seconds = 300};
    if (r >= 0)
        r = section_seconds(s, "minReadySeconds", 0, &g->min_ready_seconds, e);
    if (r >= 0)
        r = section_seconds(s, "gateTimeoutSeconds", 1, &g->gate_timeout_seconds, e);
    if (r >= 0)
        r = section_seconds(s, "drainTimeoutSeconds", 0, &g->drain_timeout_seconds, e);
    if (r >= 0)
        r = section_seconds(s, "swapBudgetSeconds", 1, &g->swap_budget_seconds, e);
    if (r >= 0)
        r = section_seconds(s, "bakeSeconds", 0, &g->bake_seconds, e);
    if (r >= 0)
        r = json_want_integer(s->o, s->at, "bakeMaxRestarts", 0, 1000, &restarts, e);
    g->bake_max_restarts = (unsigned) restarts;
    if (r >= 0)
        r = check_gate(a, s, e);
    if (r >= 0)
        r = check_bake(a, s, e);
    return r < 0 ? r : check_budget(g, s, e);
}

/* ---- drain ---- */

static int parse_signal(DrainSpec *d, const Section *s, Error *e)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {{"SIGTERM", SIGTERM}, {"SIGINT", SIGINT},   {"SIGQUIT", SIGQUIT},
                   {"SIGHUP", SIGHUP},   {"SIGUSR1", SIGUSR1}, {"SIGUSR2", SIGUSR2}};
    const char *name = "SIGTERM";
    int r = json_want_string(s->o, s->at, "signal", &name, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        if (streq(signals[i].name, name)) {
            d->signal = signals[i].number;
            return 0;
        }
    return section_error(s, "signal", e, "\"%.60s\" must be SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1 or SIGUSR2",
                         name);
}

int agent_parse_drain(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"httpPost", "timeoutSeconds", "signal", NULL};
    DrainSpec *d = &a->drain;
    json_t *post = NULL;
    int r = json_only(s->o, s->at, known, e);

    d->message.timeout_seconds = 1;
    if (r >= 0)
        r = parse_signal(d, s, e);
    if (r >= 0)
        r = section_seconds(s, "timeoutSeconds", 1, &d->message.timeout_seconds, e);
    if (r >= 0)
        r = json_want(s->o, s->at, "httpPost", JSON_OBJECT, &post, e);
    if (r < 0)
        return r;
    if (!post)
        return json_object_get(s->o, "timeoutSeconds")
                   ? section_error(s, "timeoutSeconds", e, "is for the answer to httpPost, which is missing")
                   : 0;
    return section_http_post(&(Section){post, {s->at.file, "drain.httpPost"}, s->base}, &d->message, e);
}
