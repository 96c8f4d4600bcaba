/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_DRAIN_H
#define MOSS_SWAP_DRAIN_H

/* The end of an incarnation: it is told, gets time, and is killed.
 *
 * Told by the message that agent.json names, a POST, or by the signal; by the signal also when the message is not answered with what it wants, unless STOPPING=1 has come
 * by then. It has drainTimeoutSeconds; EXTEND_TIMEOUT_USEC=, as often as it comes, makes that so much from then, but never more than the swap's
 * budget leaves when the state has still to be cloned and the gate to be passed. Then its leaf is killed. What it says of its end is no more than that: the end is when it has died. */

#include "shim/probe/probe.h"

typedef struct Drain Drain;

typedef struct DrainOrder {
    const ProbeContext *context;
    int pidfd; /* of its first process */
    /* Its time is over. The Drain may be freed in it. */
    void (*overdue)(const char *why, void *userdata);
    void *userdata;
} DrainOrder;

int drain_start(const DrainOrder *order, Drain **ret);
void drain_stopping(Drain *d);
void drain_extend(Drain *d, uint64_t usec);
Drain *drain_free(Drain *d);

#endif
