/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_HOLD_DECIDE_H
#define MOSS_HOLD_DECIDE_H

/* What is to come of one bind(2) or listen(2) of the agent's, given what is held: hold.h says why. No I/O but what `in_use` does. */

#include <stddef.h>

#include "address.h"

/* Tags: slots of the table, and of moss-init. A slot says how the port came about, also to the shim that comes after this one. */
#define HOLD_MAX 100U
#define HOLD_FIRST_CHOSEN 68U /* from here on the kernel chose the port */

typedef struct Held {
    int fd; /* < 0: the slot is free */
    HoldAddress address;
    uint64_t cookie;   /* SO_COOKIE: which socket this is */
    unsigned since;    /* incarnation that made it, 0: one before our time */
    bool claimed;      /* the present incarnation has it, or had it */
    uint64_t stand_in; /* cookie of the socket that this one takes the place of once that listens; 0: none */
} Held;

typedef struct HoldTable {
    Held held[HOLD_MAX];
    /* Has a process of the present incarnation this socket open? */
    bool (*in_use)(const Held *held, void *userdata);
    void *userdata;
} HoldTable;

typedef enum Verdict {
    VERDICT_KERNEL,   /* the call is none of ours */
    VERDICT_REPLACE,  /* the held socket `tag` takes the place of the caller's */
    VERDICT_STAND_IN, /* bind: the caller's socket is to have the port of `tag` until one knows what it is for */
    VERDICT_YIELD,    /* bind: give up `tag`, which nobody wants any more and which is in the way, and decide again */
    VERDICT_KEEP,     /* listen: hold the caller's socket as `tag`; what is in that slot is given up */
    VERDICT_AGAIN,    /* listen: it is `tag` already */
    VERDICT_FULL,     /* listen: it could be held, but there is no slot */
} Verdict;

Verdict decide_bind(const HoldTable *t, const HoldAddress *a, size_t *ret_tag);

/* `a`: where the socket is bound, or would be. `chosen`: its port is, or will be, the kernel's choice. */
Verdict decide_listen(const HoldTable *t, const HoldAddress *a, uint64_t cookie, bool chosen, size_t *ret_tag);

#endif
