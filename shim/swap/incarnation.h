/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_INCARNATION_H
#define MOSS_SWAP_INCARNATION_H

/* One run of one generation on one epoch: root pivoted, agent started, probes on their schedule. Also that of a rehearsal.
 *
 * The process outlives the Incarnation, and the shim, unless somebody kills it; with `memory` and what moss-init keeps another shim goes on from there. */

#include "runtime/base/loop.h"
#include "runtime/box/seccomp.h"
#include "runtime/store/store.h"
#include "shim/hold/hold.h"
#include "shim/probe/health.h"
#include "shim/swap/container.h"
#include "shim/swap/memory.h"

typedef struct Incarnation Incarnation;

typedef enum IncarnationEvent {
    INCARNATION_DIED,  /* its first process has ended */
    INCARNATION_READY, /* the gate is passed: once */
    INCARNATION_NOT_READY,
    INCARNATION_FAILED,  /* gate not passed, or liveness or the watchdog failed: once, it runs on */
    INCARNATION_OVERDUE, /* it has not ended within the time for its drain: it is being killed */
} IncarnationEvent;

typedef struct IncarnationSpec {
    Loop *loop;
    Container *container;
    Store *store;
    const Agent *agent;
    const SeccompFilter *filter;
    Hold *hold;     /* NULL: sockets are not held, and those of listen-fds are passing ones (listen.h) */
    Memory *memory; /* NULL: no other shim is to know of it */
    const char *generation;
    int64_t epoch;
    bool candidate; /* it has to pass the acceptance checks, too */
    int root;       /* incarnation_root(), or -EBADF */
    int state;      /* directory of the epoch */
    int output;     /* where it prints to */
    /* Never called from within incarnation_start(). The incarnation may be freed in it. */
    void (*event)(IncarnationEvent event, const char *why, void *userdata);
    void *userdata;
} IncarnationSpec;

/* Builds its root, which takes longest, while another one still runs: an fd for the spec. */
int incarnation_root(const IncarnationSpec *spec, Error *e);

/* What the spec points to must outlive the incarnation, but for `state`. */
int incarnation_start(const IncarnationSpec *spec, Incarnation **ret, Error *e);

/* What moss-init keeps of one, beside `memory`: under INIT_TAG_AGENT, INIT_TAG_CALLS, INIT_TAG_NOTIFY; -EBADF where there is none. */
typedef struct IncarnationKept {
    int pidfd, calls, notify;
} IncarnationKept;

/* The one that `memory` tells of, which runs. Takes the fds, also when it fails. Its probes begin at once. */
int incarnation_adopt(const IncarnationSpec *spec, IncarnationKept *kept, Incarnation **ret, Error *e);

pid_t incarnation_pid(const Incarnation *i); /* in our PID namespace; 0 once it has died */
bool incarnation_ready(const Incarnation *i);

/* Tells it to end, see drain.h; INCARNATION_DIED comes. It is probed no longer. */
void incarnation_drain(Incarnation *i);

/* [{"name":"readinessProbe","ok":true,"successes":4,"failures":0,"last":{…}}]: the probes that there are, each with its last result (results.h; the first bytes of
 * its output). NULL: out of memory. */
json_t *incarnation_probes(const Incarnation *i);
/* {"name":…,"results":[…]}: all that is kept of one; NULL: there is no such probe. */
json_t *incarnation_probe(const Incarnation *i, const char *name);
/* {"name":…,"why":…,"output":…}: the probe for which it is not ready or has failed; null if it is none. */
json_t *incarnation_blame(const Incarnation *i);
/* ["acceptance.NAME: why"]: the acceptance checks that were only wanted, and failed. */
json_t *incarnation_unmet(const Incarnation *i);
/* What it last said of itself (STATUS=), "" if nothing. */
const char *incarnation_says(const Incarnation *i);

/* A signal that does not mean its end: see incarnation_drain() for that. */
void incarnation_signal(Incarnation *i, int sig);

/* Forgets it; does not kill it (cgroup_kill() on the leaf does). */
Incarnation *incarnation_free(Incarnation *i);
DEFINE_TRIVIAL_CLEANUP(Incarnation *, incarnation_free)

#endif
