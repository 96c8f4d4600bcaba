/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CONTROL_CONTROL_H
#define MOSS_CONTROL_CONTROL_H

/* What may be asked over an agent's control socket: one JSON object a packet, one answer each.
 *
 *   {"op":"status"}                                      → {"ok":true,"agent","generation","epoch","running",
 *                                                           "evolution":{"id","batch","stage","iteration","end","why"}|null,
 *                                                           "waiting":n,            batches that are sealed or ready
 *                                                           "wish":{…}|null,        wish.h
 *                                                           "catch_up":{"at","new_chunks"}|{"at","error"}|null}
 *   {"op":"batches"}                                     → {"ok":true,"batches":[{"id","state","created","chunks":n,"tasks":n,"evolution"}],"left_out":n}
 *                                                           the newest BATCHES_SHOWN, oldest first, the open one last
 *   {"op":"flag","session":S[,"turn":N][,"expect":T]}    → {"ok":true,"chunk":…}    as `moss evo flag`
 *   {"op":"request"[,"batch":B]}                         → {"ok":true,"wish":{…}}   a note for the operator; starts nothing
 *   anything else                                        → {"ok":false,"error":"…"}
 *
 * That is all, for the operator and the agent alike: nothing here starts an evolution, consents to one or applies one, and no answer holds the content of a
 * task, so that an agent that was turned against its operator gains nothing but the operator's attention. */

#include <jansson.h>

#include "runtime/base/error.h"
#include "shim/agent/agent.h"

#define CONTROL_PACKET_MAX ((size_t) 64 << 10)
#define BATCHES_SHOWN 100U

typedef enum ControlPeer { CONTROL_OPERATOR, CONTROL_AGENT } ControlPeer;

typedef struct ControlPlace {
    const char *store_path;
    const Agent *agent;
    json_t *catch_up; /* of the last time, or NULL */
} ControlPlace;

/* The answer to one packet, a new reference; NULL when out of memory. */
json_t *control_answer(const ControlPlace *place, ControlPeer peer, const char *packet, size_t len);

/* {"ok":false,"error":TEXT} */
json_t *control_error(const char *text);

#endif
