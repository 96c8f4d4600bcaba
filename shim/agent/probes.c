/* SPDX-License-Identifier: Apache-2.0 */

/* Probes. Names and defaults are those of Kubernetes but for what a gate needs to be quick: the startup and readiness probes
 * ask every second, and readiness wants three answers in a row. */

#include <stdio.h>

#include "sections.h"

#define SETTLED_PERIOD 10U
#define ACCEPTANCE_TIMEOUT 10U
#define WATCHDOG_TIMEOUT 30U

static int parse_probe(ProbeSpec *p, const Section *s, bool may_want_several, Error *e)
{
    static const char *const known[] = {SECTION_HANDLERS,
                                        "initialDelaySeconds",
                                        "periodSeconds",
                                        "timeoutSeconds",
                                        "successThreshold",
                                        "failureThreshold",
                                        NULL};
    int64_t success = p->success_threshold, failure = p->failure_threshold;
    int r = json_only(s->o, s->at, known, e);

    if (r >= 0)
        r = section_handler(s, false, p, e);
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
    p->settled_period_seconds = json_object_get(s->o, "periodSeconds") ? p->period_seconds : SETTLED_PERIOD;
    return r;
}

/* ---- acceptance ---- */

static int parse_acceptance(AcceptanceSpec *a, const Section *s, Error *e)
{
    static const char *const known[] = {SECTION_HANDLERS, "httpPost", "name", "level", "timeoutSeconds", NULL};
    const char *level = "required";
    int r = json_only(s->o, s->at, known, e);

    a->probe.timeout_seconds = ACCEPTANCE_TIMEOUT;
    a->probe.success_threshold = a->probe.failure_threshold = 1;
    if (r >= 0)
        r = json_need_string(s->o, s->at, "name", &a->name, e);
    if (r >= 0 && !agent_name_valid(a->name))
        return section_error(s, "name", e, "\"%.100s\" must be of a-z, 0-9 and -, at most 32", a->name);
    if (r >= 0)
        r = json_want_string(s->o, s->at, "level", &level, e);
    if (r >= 0 && !streq(level, "required") && !streq(level, "wanted"))
        return section_error(s, "level", e, "\"%.60s\" must be required or wanted", level);
    if (r >= 0)
        r = section_seconds(s, "timeoutSeconds", 1, &a->probe.timeout_seconds, e);
    a->required = streq(level, "required");
    return r < 0 ? r : section_handler(s, true, &a->probe, e);
}

static int parse_all_acceptance(Agent *a, const Section *s, Error *e)
{
    json_t *list = NULL;
    int r = json_want(s->o, s->at, "acceptance", JSON_ARRAY, &list, e);

    if (r < 0 || !list)
        return r;
    if (json_array_size(list) > AGENT_ACCEPTANCE_MAX)
        return section_error(s, "acceptance", e, "has %zu checks, at most %u are made", json_array_size(list),
                             AGENT_ACCEPTANCE_MAX);
    a->acceptance = calloc(json_array_size(list) + 1, sizeof(*a->acceptance));
    if (!a->acceptance)
        return error_errnof(e, -ENOMEM, "%s", s->at.file);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        char path[60];

        snprintf(path, sizeof(path), "probes.acceptance[%zu]", i);
        if (!json_is_object(o))
            return error_setf(e, -EINVAL, "%s: %s: must be an object", s->at.file, path);
        a->n_acceptance++; /* also when it fails: what it holds is freed */
        r = parse_acceptance(&a->acceptance[i], &(Section){o, {s->at.file, path}, s->base}, e);
        if (r < 0)
            return r;
        for (size_t k = 0; k < i; k++)
            if (streq(a->acceptance[k].name, a->acceptance[i].name))
                return error_setf(e, -EINVAL, "%s: %s.name: \"%s\" is there twice", s->at.file, path,
                                  a->acceptance[i].name);
    }
    return 0;
}

/* ---- what the agent says of itself ---- */

static int parse_watchdog(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"timeoutSeconds", NULL};
    json_t *o = NULL;
    Section watchdog;
    int r = json_want(s->o, s->at, "watchdog", JSON_OBJECT, &o, e);

    if (r < 0 || !o)
        return r;
    watchdog = (Section){o, {s->at.file, "probes.watchdog"}, s->base};
    r = json_only(o, watchdog.at, known, e);
    a->watchdog_seconds = WATCHDOG_TIMEOUT;
    return r < 0 ? r : section_seconds(&watchdog, "timeoutSeconds", 1, &a->watchdog_seconds, e);
}

static bool is_external(const ProbeSpec *p)
{
    return p->kind != PROBE_NONE && p->kind != PROBE_EXEC;
}

static int parse_roles(Agent *a, const Section *s, Error *e)
{
    static const char *const names[] = {"startupProbe", "readinessProbe", "livenessProbe"};
    ProbeSpec *const specs[] = {&a->startup, &a->readiness, &a->liveness};
    int r = 0;

    a->startup =
        (ProbeSpec){.period_seconds = 1, .timeout_seconds = 1, .success_threshold = 1, .failure_threshold = 20};
    a->readiness =
        (ProbeSpec){.period_seconds = 1, .timeout_seconds = 1, .success_threshold = 3, .failure_threshold = 3};
    a->liveness =
        (ProbeSpec){.period_seconds = 10, .timeout_seconds = 1, .success_threshold = 1, .failure_threshold = 3};
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(specs); i++) {
        char path[40];
        json_t *o = NULL;

        r = json_want(s->o, s->at, names[i], JSON_OBJECT, &o, e);
        if (r < 0 || !o)
            continue;
        snprintf(path, sizeof(path), "probes.%s", names[i]);
        r = parse_probe(specs[i], &(Section){o, {s->at.file, path}, s->base}, specs[i] == &a->readiness, e);
    }
    return r;
}

int agent_parse_probes(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {
        "startupProbe", "readinessProbe", "livenessProbe", "acceptance", "notify", "watchdog", NULL};
    int r = json_only(s->o, s->at, known, e);

    if (r >= 0)
        r = parse_roles(a, s, e);
    if (r >= 0)
        r = parse_all_acceptance(a, s, e);
    if (r >= 0)
        r = json_want_bool(s->o, s->at, "notify", &a->notify, e);
    if (r >= 0)
        r = parse_watchdog(a, s, e);
    if (r < 0)
        return r;
    if (a->readiness.kind == PROBE_NONE)
        return section_error(s, "readinessProbe", e, "is missing: without it no swap could be judged");
    if (!is_external(&a->startup) && !is_external(&a->readiness) && !is_external(&a->liveness))
        return error_setf(e, -EINVAL,
                          "%s: probes: one must be httpGet, tcpSocket or grpc: an exec probe runs the candidate's own "
                          "code",
                          s->at.file);
    return 0;
}

static void probe_done(ProbeSpec *p)
{
    free(p->argv);
    free(p->send);
}

void agent_free_probes(Agent *a)
{
    probe_done(&a->startup);
    probe_done(&a->readiness);
    probe_done(&a->liveness);
    for (size_t i = 0; i < a->n_acceptance; i++)
        probe_done(&a->acceptance[i].probe);
    free(a->acceptance);
    probe_done(&a->drain.message);
}
