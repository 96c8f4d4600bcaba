/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_RECORD_H
#define MOSS_SWAP_RECORD_H

/* agents/NAME/swaps.jsonl: one line for every swap that has ended, in order, durable:
 *
 *   {"version":1,"txid":3,"time":"2026-01-31T12:00:00Z","outcome":"rolled_back","from":"<digest>","to":"<digest>","consent":"<digest>"|null,
 *    "reason":"…","pause_usec":180000,"pause_parts_usec":{"drain":60000,"clone":9000,"start":2000,"gate":106000,"hand":400},"rehearsed":true,"epoch":4,
 *    "set_aside":{"epoch":5,"served_usec":61000000|null}|null,
 *    "probe":{"name":"readinessProbe","why":"…","output":"…"}|null,"unmet":["acceptance.NAME: why"]|null}
 *
 * "pause_parts_usec": what it consists of: until the old incarnation was dead; its state cloned; the candidate's program running; something listening, of which
 * "hand" is what the candidate's listen(2) waited for us. Missing where nothing paused, null where it did not come to that.
 * "pause_usec": from the drain to the moment when something listened again for good, null where nothing paused. "set_aside": what clients wrote through the candidate and nobody
 * runs on; "served_usec" is for how long they did, null where that is not known.
 * "probe": the one for which it was rolled back. "unmet": the acceptance checks that were only wanted, and failed. */

#include <jansson.h>

#include "core.h"
#include "runtime/base/error.h"

/* Appends `line` for swap `txid` unless the last record is that of this swap already, so that a recovery may repeat it. */
int record_append(int agent_dir, int64_t txid, const json_t *line, Error *e);

/* The last record; -ENOENT when there is none. */
int record_last(int agent_dir, json_t **ret, Error *e);

#endif
