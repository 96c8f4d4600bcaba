/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CONTROL_STATUS_H
#define MOSS_CONTROL_STATUS_H

/* How far the evolution of an agent is: what `moss evo status` shows and the control socket tells in short.
 *
 *   {"ok":true,"agent":"clerk","running":true,"pid":4711,"generation":"…","epoch":3,
 *    "evolution":{…}|null,      position.json of the newest (stage/position.h)
 *    "batches":[{…}],           batch.json of each, the open one is not among them
 *    "wish":{…}|null}           control/wish.h */

#include <jansson.h>

#include "runtime/base/error.h"

int evolution_status(const char *store_path, const char *agent, json_t **ret, Error *e);

#endif
