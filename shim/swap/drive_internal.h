/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_DRIVE_INTERNAL_H
#define MOSS_SWAP_DRIVE_INTERNAL_H

/* What the parts of drive.h share; nobody else includes this.
 *
 *     drive.c           a Drive's life, what happens to it (events), what it is asked for
 *     drive_agent.c     the agent: its container, its start and its end
 *     drive_actions.c   what a step of the protocol asks for, action by action
 *     drive_status.c    what is told to others */

#include "drive.h"
#include "head.h"
#include "incarnation.h"
#include "log.h"
#include "precopy.h"
#include "rehearse.h"
#include "runtime/base/process.h"

typedef struct Queued {
    SwapEventKind kind;
    char reason[200], generation[DIGEST_SIZE];
    char consent[DIGEST_SIZE];
    bool rehearse;
    int64_t epoch;
} Queued;

struct Drive {
    DriveSpec spec;
    SwapPolicy policy;
    Head head;
    HeadFile head_file;
    Head doubt; /* what the disk may say instead, after a write of which it is not known whether it was one */
    bool in_doubt;
    char boot_id[BOOT_ID_SIZE];
    Container *container; /* NULL while none can be made */
    char *engine;         /* NETWORK_ENGINE: which container */
    Hold *hold;
    int links;      /* directory, see shim/hold/place.h */
    Log *log;       /* from drive_new() on */
    Memory *memory; /* likewise */
    int memory_fd;
    SeccompFilter filter;
    Incarnation *incarnation;
    int root; /* the candidate's, made before the drain; -EBADF: none */
    Rehearsal *rehearsal;
    Precopy *precopy;
    LoopSource *bake_timer, *start_timer, *budget_timer, *again_timer;
    unsigned failures; /* in a row, while no swap goes on: for the backoff */
    bool adopted;
    bool found;      /* the container was there: it may hold sockets that clients know */
    bool unrecorded; /* the last swap: its record could not be written yet */
    bool stopping;
    bool stepping;
    Queued queue[8]; /* events that came meanwhile */
    size_t n_queue;
    Queued again; /* what has happened, and no head could be written for: until then */
    uint64_t again_delay;
    char trouble[240];
    /* of the swap that goes on */
    json_t *blame, *unmet; /* see incarnation.h; NULL: none */
};

/* Something has happened. Events that the actions of a step give wait until that step is over. */
void drive_feed(Drive *d, SwapEventKind kind, const char *reason);

void drive_act(Drive *d, SwapAction action);

/* What went wrong without stopping anything: the status shows it. */
void drive_set_trouble(Drive *d, const char *what);

/* The probe that has failed, for the record: takes it. */
void drive_set_blame(Drive *d, json_t *probe);

/* Of an agent that lives in an engine's container, which that is. */
int drive_find_engine(Drive *d, Error *e);
/* The container of an earlier shim with what its moss-init kept, the agent too if it may run on, or a new one. Also opens the log and the memory. */
int drive_open_container(Drive *d, Error *e);
/* Whom the agent may connect to in this state. */
int drive_set_egress(const Drive *d, Error *e);
/* Starts what the head says, after a pause where it keeps failing. How it went comes as an event. */
void drive_start_agent(Drive *d);
/* What can be made for the candidate before the pause. What fails here fails again when it is needed, and then says so. */
void drive_make_root(Drive *d);
/* EVENT_DIED comes when it has ended. */
void drive_drain_agent(Drive *d);
void drive_kill_agent(Drive *d);
/* Forgets the process and all timers, kills nothing. */
void drive_forget_agent(Drive *d);

/* Makes sure that the swap which has ended last is in swaps.jsonl. */
int drive_record(Drive *d, Error *e);

/* The line of swaps.jsonl for the swap that has ended, see record.h. NULL: out of memory. */
json_t *drive_make_record(const Drive *d);

#endif
