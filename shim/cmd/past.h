/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SHIM_PAST_H
#define MOSS_SHIM_PAST_H

/* What is told of an agent's generations and swaps; from its files, so that it needs no shim. */

#include "runtime/base/error.h"

/* On stdout, a table or JSON. */
int past_generations(const char *store, const char *agent, bool json, Error *e);
int past_history(const char *store, const char *agent, bool json, Error *e);

/* GENERATION[/EPOCH] as the operator names it: the generation by the beginning of its digest among those that the agent has to do with. Without /EPOCH *ret_epoch is the one
 * that the list has with it first, or -1. `ret` has room for a digest. */
int past_find(const char *store, const char *agent, const char *name, char *ret, int64_t *ret_epoch, Error *e);

#endif
