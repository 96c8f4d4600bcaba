/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_INCARNATION_H
#define MOSS_SWAP_INCARNATION_H

/* One run of one generation on one epoch: root pivoted, agent started, probes on their schedule. Also that of a rehearsal. */

#include "runtime/base/loop.h"
#include "runtime/box/seccomp.h"
#include "runtime/store/store.h"
#include "shim/hold/hold.h"
#include "shim/probe/health.h"
#include "shim/swap/container.h"

typedef struct Incarnation Incarnation;

typedef enum IncarnationEvent {
    INCARNATION_DIED,  /* its first process has ended */
    INCARNATION_READY, /* the gate is passed: once */
    INCARNATION_NOT_READY,
    INCARNATION_FAILED, /* gate not passed in time, or liveness failed: once, it runs on */
} IncarnationEvent;

typedef struct IncarnationSpec {
    Loop *loop;
    Container *container;
    Store *store;
    const Agent *agent;
    const SeccompFilter *filter;
    Hold *hold; /* NULL: sockets are not held */
    const char *generation;
    int state;  /* directory of the epoch */
    int output; /* where it prints to */
    /* Never called from within incarnation_start(). The incarnation may be freed in it. */
    void (*event)(IncarnationEvent event, const char *why, void *userdata);
    void *userdata;
} IncarnationSpec;

/* What the spec points to must outlive the incarnation, but for `state`. */
int incarnation_start(const IncarnationSpec *spec, Incarnation **ret, Error *e);

pid_t incarnation_pid(const Incarnation *i); /* in our PID namespace; 0 once it has died */
bool incarnation_ready(const Incarnation *i);
void incarnation_signal(Incarnation *i, int sig);

/* Forgets it; does not kill it (cgroup_kill() on the leaf does). */
Incarnation *incarnation_free(Incarnation *i);

#endif
