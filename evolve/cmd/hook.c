/* SPDX-License-Identifier: Apache-2.0 */
#include "hook.h"

#include <stdio.h>

#include "evolve/control/webhook.h"
#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

static void complain(const EvoContext *c, const Error *e)
{
    fprintf(stderr, "moss: %s: %s\n", c->agent_name, e->text);
}

/* Takes the reference to what is told. */
static int deliver(const EvoContext *c, WebhookEvent event, const char *summary, json_t *details, json_t **ret_line,
                   Error *e)
{
    _cleanup_json_ json_t *owned = details, *body = NULL;
    char now[21];
    long status = 0;
    int r;

    body = owned && summary ? webhook_body(event, c->agent_name, summary, owned) : NULL;
    if (!body)
        return error_setf(e, -ENOMEM, "out of memory");
    clock_iso8601(now);
    r = webhook_post(c->agent, body, &status, e);
    *ret_line = json_pack("{s:s, s:s, s:b, s:i, s:s*}", "at", now, "event", webhook_event_name(event), "delivered",
                          r >= 0, "status", (int) status, "error", r < 0 ? e->text : NULL);
    return r;
}

static void tell(const EvoContext *c, Ledger *ledger, const char *evolution, WebhookEvent event, const char *summary,
                 json_t *details)
{
    _cleanup_json_ json_t *line = NULL;
    Error e = {};
    int r = deliver(c, event, summary, details, &line, &e);

    if (r < 0)
        complain(c, &e);
    e = (Error){};
    if (line && ledger_append(ledger, evolution, "webhooks.jsonl", line,
                              r < 0 ? "web hook was not reached" : "web hook was told", &e) < 0)
        complain(c, &e);
}

static const char *text_at(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

void hook_evolution_ended(const EvoContext *c, const char *evolution, const char *end, const char *why)
{
    _cleanup_(ledger_freep) Ledger *ledger = NULL;
    _cleanup_json_ json_t *position = NULL;
    _cleanup_free_ char *summary = NULL;
    bool converged = streq(end, "CONVERGED");
    const char *batch;
    Error e = {};

    if (!c->agent->webhook_url || streq(end, "STOPPED"))
        return;
    if (ledger_open(c->agent_directory, &ledger, &e) < 0 ||
        ledger_read_json(ledger, evolution, "position.json", &position, &e) < 0) {
        complain(c, &e);
        return;
    }
    batch = text_at(position, "batch");
    summary = converged
                  ? xasprintf("Evolution %s of agent %s fixes batch %s and waits for consent: `moss evo apply %s` "
                              "shows the change and swaps it in.",
                              evolution, c->agent_name, batch, batch)
                  : xasprintf("Evolution %s of agent %s for batch %s ended as %s: %s", evolution, c->agent_name, batch,
                              end, why);
    tell(c, ledger, evolution, converged ? WEBHOOK_CONVERGED : WEBHOOK_FAILED, summary,
         json_pack("{s:s, s:s, s:s, s:s, s:O?}", "batch", batch, "evolution", evolution, "end", end, "why", why,
                   "scores", json_object_get(position, "scores")));
}

void hook_applied(const EvoContext *c, const json_t *record)
{
    static const char *const told[] = {"batch", "evolution", "outcome", "reason", "generation", "commit"};
    const char *outcome = text_at(record, "outcome"), *reason = text_at(record, "reason");
    _cleanup_(ledger_freep) Ledger *ledger = NULL;
    _cleanup_free_ char *summary = NULL;
    json_t *details;
    Error e = {};

    if (!c->agent->webhook_url)
        return;
    if (ledger_open(c->agent_directory, &ledger, &e) < 0) {
        complain(c, &e);
        return;
    }
    summary = xasprintf("Batch %s of agent %s: the swap ended as %s%s%s", text_at(record, "batch"), c->agent_name,
                        outcome, *reason ? ": " : "", reason);
    details = json_object();
    for (size_t i = 0; details && i < ARRAY_SIZE(told); i++)
        if (json_object_get(record, told[i]))
            json_object_set(details, told[i], json_object_get(record, told[i]));
    tell(c, ledger, text_at(record, "evolution"), WEBHOOK_APPLIED, summary, details);
}
