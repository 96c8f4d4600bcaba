/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CONTROL_WISH_H
#define MOSS_CONTROL_WISH_H

/* The wish for an evolution that came over the control socket: a note for the operator, which starts nothing.
 *
 *   <store>/agents/NAME/wish.json   {"version":1,"batch":"b-0001","state":"open","by":"agent","at":"2026-01-31T12:00:00Z"}
 *
 * There is one note, the latest. It stands until the batch is walked: "state" is the batch's when the wish came (a sealed batch counts as the open one that it was). */

#include <jansson.h>

#include "runtime/base/error.h"
#include "shim/agent/agent.h"

/* Notes the wish for this batch, or with NULL for the one that `moss evo start` would take. -ENODATA: there is none; -EBUSY: it is not one that waits. *ret: the note. */
int wish_note(const char *store_path, const Agent *agent, const char *batch, const char *by, json_t **ret, Error *e);

/* The note that still stands; `batches` is the array of batch.json objects. -ENOENT: there is none. */
int wish_standing(int agent_dir, const json_t *batches, json_t **ret, Error *e);

#endif
