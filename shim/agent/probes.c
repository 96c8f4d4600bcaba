/* SPDX-License-Identifier: Apache-2.0 */

/* Probes and the gate. Names and defaults are those of Kubernetes but for what a gate needs to be quick: the startup and readiness probes
 * ask every second, and readiness wants three answers in a row. */

#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>

#include "sections.h"

/* What cloning the state volume may take before it counts against the swap's budget. */
#define CLONE_SECONDS 15U

static int parse_host(ProbeSpec *p, const Section *s, Error *e)
{
    struct in6_addr in6;
    struct in_addr in4;
    int r = json_want_string(s->o, s->at, "host", &p->host, e);

    if (r < 0 || !p->host)
        return r;
    /* A name would make the gate depend on a resolver outside the sandbox. */
    if (inet_pton(AF_INET, p->host, &in4) != 1 && inet_pton(AF_INET6, p->host, &in6) != 1)
        return section_error(s, "host", e, "\"%.100s\" must be an address, not a name", p->host);
    return 0;
}

static int parse_port(ProbeSpec *p, const Section *s, Error *e)
{
    int64_t port = 0;
    int r = json_need_integer(s->o, s->at, "port", 1, 65535, &port, e);

    p->port = (uint16_t) port;
    return r < 0 ? r : parse_host(p, s, e);
}

static int parse_http(ProbeSpec *p, const Section *s, Error *e)
{
    static const char *const known[] = {"host", "port", "path", "jsonBody", NULL};
    int r = json_only(s->o, s->at, known, e);

    p->kind = PROBE_HTTP;
    p->path = "/";
    if (r >= 0)
        r = parse_port(p, s, e);
    if (r >= 0)
        r = json_want_string(s->o, s->at, "path", &p->path, e);
    if (r >= 0)
        r = json_want(s->o, s->at, "jsonBody", JSON_OBJECT, &p->json_body, e);
    if (r < 0)
        return r;
    for (const char *c = p->path; *c; c++)
        if (*c <= ' ' || *c > '~')
            return section_error(s, "path", e, "must be printable ASCII without spaces");
    if (p->path[0] != '/' || strlen(p->path) > 1024)
        return section_error(s, "path", e, "must start with / and have at most 1024 characters");
    return 0;
}

static int parse_tcp(ProbeSpec *p, const Section *s, Error *e)
{
    static const char *const known[] = {"host", "port", NULL};
    int r = json_only(s->o, s->at, known, e);

    p->kind = PROBE_TCP;
    return r < 0 ? r : parse_port(p, s, e);
}

static int parse_exec(ProbeSpec *p, const Section *s, Error *e)
{
    static const char *const known[] = {"command", NULL};
    int r = json_only(s->o, s->at, known, e);

    p->kind = PROBE_EXEC;
    return r < 0 ? r : section_command(s, "command", true, &p->argv, e);
}

static int parse_handler(ProbeSpec *p, const Section *s, Error *e)
{
    static const struct {
        const char *key;
        int (*parse)(ProbeSpec *p, const Section *s, Error *e);
    } handlers[] = {{"httpGet", parse_http}, {"tcpSocket", parse_tcp}, {"exec", parse_exec}};
    unsigned n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
        char path[100];
        json_t *o = NULL;
        Section handler;
        int r = json_want(s->o, s->at, handlers[i].key, JSON_OBJECT, &o, e);

        if (r < 0)
            return r;
        if (!o)
            continue;
        if (n++)
            return section_error(s, handlers[i].key, e, "a probe has one of httpGet, tcpSocket and exec");
        snprintf(path, sizeof(path), "%s.%s", s->at.path, handlers[i].key);
        handler = (Section){o, {s->at.file, path}, s->base};
        r = handlers[i].parse(p, &handler, e);
        if (r < 0)
            return r;
    }
    if (n == 0)
        return error_setf(e, -EINVAL, "%s: %s: needs one of httpGet, tcpSocket and exec", s->at.file, s->at.path);
    return 0;
}

static int parse_probe(ProbeSpec *p, const Section *s, bool may_want_several, Error *e)
{
    static const char *const known[] = {
        "httpGet",          "tcpSocket",        "exec", "initialDelaySeconds", "periodSeconds", "timeoutSeconds",
        "successThreshold", "failureThreshold", NULL};
    int64_t success = p->success_threshold, failure = p->failure_threshold;
    int r = json_only(s->o, s->at, known, e);

    if (r >= 0)
        r = parse_handler(p, s, e);
    if (r >= 0)
        r = section_seconds(s, "initialDelaySeconds", 0, &p->initial_delay_seconds, e);
    if (r >= 0)
        r = section_seconds(s, "periodSeconds", 1, &p->period_seconds, e);
    if (r >= 0)
        r = section_seconds(s, "timeoutSeconds", 1, &p->timeout_seconds, e);
    if (r >= 0)
        r = json_want_integer(s->o, s->at, "successThreshold", 1, may_want_several ? 1000 : 1, &success, e);
    if (r >= 0)
        r = json_want_integer(s->o, s->at, "failureThreshold", 1, 100000, &failure, e);
    p->success_threshold = (unsigned) success;
    p->failure_threshold = (unsigned) failure;
    return r;
}

static bool is_external(const ProbeSpec *p)
{
    return p->kind == PROBE_HTTP || p->kind == PROBE_TCP;
}

int agent_parse_probes(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"startupProbe", "readinessProbe", "livenessProbe", NULL};
    ProbeSpec *const specs[] = {&a->startup, &a->readiness, &a->liveness};
    int r = json_only(s->o, s->at, known, e);

    a->startup =
        (ProbeSpec){.period_seconds = 1, .timeout_seconds = 1, .success_threshold = 1, .failure_threshold = 20};
    a->readiness =
        (ProbeSpec){.period_seconds = 1, .timeout_seconds = 1, .success_threshold = 3, .failure_threshold = 3};
    a->liveness =
        (ProbeSpec){.period_seconds = 10, .timeout_seconds = 1, .success_threshold = 1, .failure_threshold = 3};
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(specs); i++) {
        char path[40];
        json_t *o = NULL;

        r = json_want(s->o, s->at, known[i], JSON_OBJECT, &o, e);
        if (r < 0 || !o)
            continue;
        snprintf(path, sizeof(path), "probes.%s", known[i]);
        r = parse_probe(specs[i], &(Section){o, {s->at.file, path}, s->base}, specs[i] == &a->readiness, e);
    }
    if (r < 0)
        return r;
    if (a->readiness.kind == PROBE_NONE)
        return section_error(s, "readinessProbe", e, "is missing: without it no swap could be judged");
    if (!is_external(&a->startup) && !is_external(&a->readiness) && !is_external(&a->liveness))
        return error_setf(e, -EINVAL,
                          "%s: probes: one must be httpGet or tcpSocket: an exec probe runs the candidate's own code",
                          s->at.file);
    return 0;
}

/* ---- the gate ---- */

/* 64 bits: a day times a hundred thousand does not fit into 32. */
static int check_timings(const Agent *a, const Section *s, Error *e)
{
    const ProbeSpec *startup = &a->startup, *readiness = &a->readiness, *liveness = &a->liveness;
    const GateSpec *g = &a->gate;
    uint64_t gate = (uint64_t) readiness->initial_delay_seconds +
                    (uint64_t) readiness->period_seconds * readiness->success_threshold + g->min_ready_seconds;
    uint64_t bake = (uint64_t) liveness->initial_delay_seconds +
                    (uint64_t) liveness->period_seconds * liveness->failure_threshold + liveness->timeout_seconds;
    uint64_t budget = (uint64_t) g->drain_timeout_seconds + CLONE_SECONDS + g->gate_timeout_seconds;

    if (startup->kind != PROBE_NONE)
        gate += startup->initial_delay_seconds + (uint64_t) startup->period_seconds * startup->failure_threshold;
    if (g->gate_timeout_seconds < gate)
        return section_error(s, "gateTimeoutSeconds", e, "is %u, but the probes may need %llu before they have judged",
                             g->gate_timeout_seconds, (unsigned long long) gate);
    if (liveness->kind != PROBE_NONE && g->bake_seconds < bake)
        return section_error(s, "bakeSeconds", e, "is %u, but the livenessProbe needs %llu to see a failure",
                             g->bake_seconds, (unsigned long long) bake);
    if (g->swap_budget_seconds < budget)
        return section_error(s, "swapBudgetSeconds", e,
                             "is %u, but draining, cloning the state (%u) and the gate may take %llu",
                             g->swap_budget_seconds, CLONE_SECONDS, (unsigned long long) budget);
    return 0;
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
    if (r < 0)
        return r;
    g->bake_max_restarts = (unsigned) restarts;
    return check_timings(a, s, e);
}
