/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_DRIVE_H
#define MOSS_SWAP_DRIVE_H

/* Keeps one agent: feeds what happens to swap_step() and does the actions it gives, in order.
 *
 *     drive_new(&spec, &drive, e)     loads head.json, takes over what an earlier shim left: the container, the sockets, the agent where it may run on
 *     drive_recover(drive)            starts the agent as the head says, unless it runs
 *     drive_swap(drive, &request, e)  and the rest, from the loop
 *     drive_free(drive)               leaves the container and the agent as they are: drive_destroy() first ends them
 *
 * A write of the head that fails means that the transition did not happen; the swap is then given up. If even that cannot be written, it is done
 * where the next shim would come to the same from the head on disk. Where it would not (a candidate that serves is to be committed, or rolled back) all stays as the disk says, an agent that
 * ends is started again, and it is tried again until it can be written. `trouble` in the status says so. */

#include <jansson.h>

#include "core.h"
#include "runtime/base/loop.h"
#include "runtime/store/store.h"
#include "shim/agent/agent.h"

typedef struct Drive Drive;

typedef struct DriveSpec {
    Loop *loop;
    Store *store;
    const Agent *agent;
    int agent_dir, run_dir;
    const char *engine; /* the container of an engine that has just been started: see engine.h; NULL: none */
    /* The agent has become ready in STEADY, or (`why`) failed at that. May be called again. */
    void (*settled)(const char *why, void *userdata);
    /* The swap goes on: its state's name; and its end: the record. */
    void (*progress)(const char *state, void *userdata);
    void (*ended)(const json_t *record, void *userdata);
    /* drive_stop() has done it, or an engine's container has ended. */
    void (*stopped)(void *userdata);
    void *userdata;
} DriveSpec;

typedef struct SwapRequest {
    const char *generation;
    const char *consent; /* digest, for the record; NULL: none */
    bool rehearse;
} SwapRequest;

/* Has an earlier shim left a container for this agent? */
bool drive_exists(const Agent *agent, int agent_dir, int run_dir);
int drive_new(const DriveSpec *spec, Drive **ret, Error *e);
Drive *drive_free(Drive *d);
DEFINE_TRIVIAL_CLEANUP(Drive *, drive_free)

void drive_recover(Drive *d);
int drive_swap(Drive *d, const SwapRequest *request, Error *e);
/* During a swap: it is given up. Else a swap back to the generation before, or to the one that is given (not during a swap). Returns 1 in the first case:
 * `ended` will come in both. */
int drive_rollback(Drive *d, const char *to, Error *e);
/* Leaves HALTED: with what is current, or on that side; its epoch must be one that is kept. */
int drive_resume(Drive *d, const Side *to, Error *e);
/* Gives up a state that was set aside. */
int drive_discard(Drive *d, int64_t epoch, Error *e);

/* Drains the agent, then `stopped`. */
void drive_stop(Drive *d);
/* Kills everything and removes the container. */
void drive_destroy(Drive *d);
/* Is this an agent that an earlier shim started? */
bool drive_adopted(const Drive *d);
/* The agent has failed to start, but not often enough yet to end what an earlier shim has left with it: it is tried again. */
bool drive_tries_again(const Drive *d);

const Head *drive_head(const Drive *d);
json_t *drive_status(const Drive *d);
/* See incarnation_probe(). */
json_t *drive_probe(const Drive *d, const char *name);

#endif
