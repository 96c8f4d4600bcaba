/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CONTROL_WEBHOOK_H
#define MOSS_CONTROL_WEBHOOK_H

/* Tells the web hook of agent.json ("webhooks") what happened: one POST, tried once.
 *
 *   POST <url>
 *   Content-Type: application/json
 *   Authorization: Bearer <content of tokenFile>
 *
 *   {"source":"moss","payload":{"event":"evolution-converged","agent":"clerk","batch":"b-0001","evolution":"e-0001","human_summary":"…", and what belongs to the event}}
 *
 * Events: evolution-converged, evolution-failed, apply-complete. Delivered is what the receiver answers with 2xx within the time limit; a redirect is no
 * delivery, and proxies of the environment are not used: nobody but the named host gets the token. The answer's body is not looked at. */

#include <jansson.h>

#include "runtime/base/error.h"
#include "shim/agent/agent.h"

typedef enum WebhookEvent { WEBHOOK_CONVERGED, WEBHOOK_FAILED, WEBHOOK_APPLIED } WebhookEvent;

const char *webhook_event_name(WebhookEvent event);

/* The body; `details` goes into the payload beside "event", "agent" and "human_summary". A new reference, or NULL. */
json_t *webhook_body(WebhookEvent event, const char *agent, const char *summary, const json_t *details);

/* Posts it. The agent has a webhook_url. *ret_status: the HTTP status, 0 if there was no answer; set on failure too. */
int webhook_post(const Agent *agent, const json_t *body, long *ret_status, Error *e);

/* The token in a file: printable ASCII without spaces, at most 4 KiB, a newline at the end is no part of it. A file that others may read, or
 * that is a symlink, is refused. */
int webhook_token(const char *path, char **ret, Error *e);

#endif
