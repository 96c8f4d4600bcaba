/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_PIVOT_H
#define MOSS_SWAP_PIVOT_H

/* Puts the root of a generation, with a state volume, in place of the container's present root, below PID 1's feet.
 *
 * The overlay (the generation's layers, idmapped, below a fresh tmpfs) and the state volume are built here, detached. A process of ours
 * (runtime/base/apart.h) enters the container's user and mount namespace, covers "/" with the overlay, moves copies of the mounts that stay (/proc, /dev) and
 * the state volume onto it, and pivots: pivot_root(2) takes along PID 1, whose root the old one was. The old root has no other user, since the incarnation is
 * dead; that it vanishes takes longer than all the rest, and is left to container_settle(), when nobody waits any more. */

#include "runtime/store/store.h"
#include "shim/swap/container.h"

#define CONTAINER_NOTIFY "/moss/notify"

typedef struct PivotSpec {
    Store *store;
    const char *generation;
    int state; /* the epoch's directory */
    const char *state_path;
    uint64_t upper_size;
    int root;   /* container_root(); -EBADF: it is built now */
    int notify; /* O_PATH: what is to be at CONTAINER_NOTIFY in the container; -EBADF: nothing */
} PivotSpec;

/* The overlay alone, as an fd: what of container_pivot() can be done while the incarnation before still runs. `spec`: store, generation, upper_size. */
int container_root(Container *c, const PivotSpec *spec, Error *e);

int container_pivot(Container *c, const PivotSpec *spec, Error *e);
void container_settle(Container *c);

#endif
