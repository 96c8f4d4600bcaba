/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_REHEARSE_H
#define MOSS_SWAP_REHEARSE_H

/* The rehearsal of a candidate: a container of its own (no network but loopback), a throw-away copy of the present state (epoch_copy_for_rehearsal(), which comes first), the operator's whole gate. The users
 * notice nothing. It ends with us, however we end. */

#include "incarnation.h"

typedef struct Rehearsal Rehearsal;

typedef struct RehearsalSpec {
    IncarnationSpec incarnation; /* container, hold, state, event are the rehearsal's own */
    int agent_dir, run_dir;
    /* Once, from the loop. `blame`: see incarnation_blame(), taken. */
    void (*done)(bool passed, const char *why, json_t *blame, void *userdata);
    void *userdata;
} RehearsalSpec;

int rehearsal_start(const RehearsalSpec *spec, Rehearsal **ret, Error *e);

/* Leaves nothing, whether it is over or not. */
Rehearsal *rehearsal_free(Rehearsal *r);

/* What a shim that was killed has left. */
void rehearsal_clean(const char *agent, int agent_dir);

#endif
