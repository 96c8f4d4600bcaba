/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SHIM_CLIENT_H
#define MOSS_SHIM_CLIENT_H

/* Talking to a moss-shim: UNIX socket <run>/NAME/shim.sock, SOCK_SEQPACKET, one JSON object a packet (at most 64 KiB), one answer a request,
 * and for "swap" a stream of progress packets before it. The peer must have our uid or be root (SO_PEERCRED).
 *
 *   {"op":"status"}                                → {"ok":true,"state":"STEADY","generation":…,"epoch":…,"pid":…,"restarts":…,"uptime_usec":…,
 *                                                     "ready":true,"listeners":[…],"last_swap":{…},"says":"…",
 *                                                     "probes":[{"name":N,"ok":true,"successes":4,"failures":0,"last":{…as below}|null}]}
 *   {"op":"swap","generation":D,"consent":DIGEST}  → {"event":"DRAINING"} {"event":"TRYING"} … {"ok":true,"outcome":"committed"|"rolled_back","reason":…,
 *                                                     "pause_usec":…,"from":D,"to":D}
 *   {"op":"rollback","to":D}                       → as a swap; "to" may be missing
 *   {"op":"recover","generation":D,"epoch":N}      → {"ok":true}; the two may be missing
 *   {"op":"discard","epoch":N}                     → {"ok":true}
 *   {"op":"stop"}  {"op":"detach"}                 → {"ok":true}; then the shim ends, with its agent or without it
 *   {"op":"probe","name":N}                        → {"ok":true,"name":N,"results":[{"ok":false,"why":…,"output":…,"ago_usec":…,"took_usec":…}]}
 *   anything that fails                            → {"ok":false,"error":"…"} */

#include <jansson.h>

#include "runtime/base/error.h"

#define SHIM_SOCKET "shim.sock"
#define SHIM_PACKET_MAX 65536U

/* Sends one request and gives the final answer. `progress` (may be NULL) is called for each packet with an "event". An answer with ok:false becomes an
 * Error (-EREMOTEIO) with its text. -ENOENT: no shim runs for this agent. `timeout_usec` bounds the silence between two packets. */
int shim_call(const char *agent, const json_t *request, uint64_t timeout_usec,
              void (*progress)(const json_t *event, void *userdata), void *userdata, json_t **ret, Error *e);

/* {generation, epoch} of head.json, read without the shim. *ret_generation is freed by the caller. */
int shim_head(const char *store_path, const char *agent, char **ret_generation, int64_t *ret_epoch, Error *e);

#endif
