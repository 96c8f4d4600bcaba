/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_PRECOPY_H
#define MOSS_SWAP_PRECOPY_H

/* What a swap needs of copies of the state while the old generation still runs: one for the rehearsal, which is thrown away, and as much as can be of the next epoch.
 * Made in a child process of low priority, so that the shim goes on watching.
 *
 *     precopy_start(&spec, &precopy, e)      PRECOPY_REHEARSAL when that copy is there (if it was asked for), then the next epoch is begun
 *     precopy_finish(precopy)                once more what has changed since; PRECOPY_DONE
 *     epoch_clone(…, precopy_index(precopy), …)     when nobody writes any more
 *     precopy_free(precopy)                  at any time; its child is gone then
 *
 * PRECOPY_FAILED (a full disk, mostly) is the last event: the agent was not touched by it. */

#include "mirror.h"
#include "runtime/base/loop.h"

typedef struct Precopy Precopy;

typedef enum PrecopyEvent { PRECOPY_REHEARSAL, PRECOPY_DONE, PRECOPY_FAILED } PrecopyEvent;

typedef struct PrecopySpec {
    Loop *loop;
    int agent_dir;
    int64_t from, to; /* epochs */
    bool rehearsal;
    void (*event)(PrecopyEvent event, const char *why, void *userdata); /* from the loop; may free the precopy */
    void *userdata;
} PrecopySpec;

int precopy_start(const PrecopySpec *spec, Precopy **ret, Error *e);
void precopy_finish(Precopy *precopy);

/* NULL, also for no precopy at all: epoch_clone() has it all to do, or a snapshot does. */
const MirrorIndex *precopy_index(const Precopy *precopy);

Precopy *precopy_free(Precopy *precopy);
DEFINE_TRIVIAL_CLEANUP(Precopy *, precopy_free)

#endif
