/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SHIM_FILES_H
#define MOSS_SHIM_FILES_H

/* What a shim leaves on disk about an agent, for those who ask without it. */

#include <jansson.h>

#include "runtime/base/error.h"
#include "runtime/base/hash.h"

/* The sha256 that belongs into a head: over the canonical form of the rest. Removes the member from `head`. */
int shim_head_digest(json_t *head, char ret[static DIGEST_SIZE]);

/* The head (its format is in shim/swap/head.h) with its sha256 checked: -EUCLEAN when that of head.json is not of the content. 1: the agent was never started, and it is
 * {"cur":{…}}, made of initial.json. */
int shim_read_head(int agent_dir, json_t **ret, Error *e);
#define HEAD_BLOCK_SIZE 4096U
#define HEAD_BLOCKS 2U

/* The last `max` records of swaps.jsonl (shim/swap/record.h), the oldest first. What a crash has cut off at the end is left out; a line in between that is none is an error. */
int shim_read_history(int agent_dir, size_t max, json_t **ret, Error *e);

/* The generations that the agent has to do with, an array:
 *
 *     {"role":"current","generation":D,"epoch":3}
 *     {"role":"candidate",…}    of the swap that goes on
 *     {"role":"previous",…}     the way back
 *     {"role":"set aside","generation":D,"epoch":4,"served_usec":61000000|null}
 *     {"role":"served","generation":D,"epoch":null,"time":"…"}    earlier ones, the last first, so that there are `keep` with the current one
 *
 * A generation may be there in several roles, but is "served" only if it has no other. */
int shim_generations(int agent_dir, unsigned keep, json_t **ret, Error *e);

/* The generation in such a list that this is the name, or from six digits on the beginning of the name, of. -ENOENT, -ENOTUNIQ. */
int shim_find_generation(const json_t *list, const char *name, char ret[static DIGEST_SIZE], Error *e);

#endif
