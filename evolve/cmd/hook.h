/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CMD_HOOK_H
#define MOSS_CMD_HOOK_H

/* Tells the agent's web hook how something ended (control/webhook.h), where agent.json names one. What became of it is a line of the evolution's "webhooks.jsonl" in
 * the ledger, and a failure a line on stderr:
 *
 *   {"at":ISO,"event":"evolution-converged","delivered":true,"status":200}       or "delivered":false,"error":"…"
 *
 * It is tried once, and changes nothing about what it tells of. */

#include "evo.h"

/* An evolution ended: CONVERGED is evolution-converged, STOPPED nothing (it goes on later), every other end evolution-failed. */
void hook_evolution_ended(const EvoContext *c, const char *evolution, const char *end, const char *why);

/* A swap ended: apply-complete. `record`: as it stands in swaps.jsonl, with "outcome" and "reason". */
void hook_applied(const EvoContext *c, const json_t *record);

#endif
