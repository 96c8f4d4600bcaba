/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CODER_ADAPTER_H
#define MOSS_CODER_ADAPTER_H

/* An adapter turns "ask this coding agent" into a program in a root filesystem. coder.c does the rest. */

#include "evolve/coder/coder.h"
#include "runtime/box/box.h"

typedef struct CoderBox {
    const char *const *argv; /* lives as long as the agent, or static */
    bool base_root;          /* the agent's base layer below the frame */
    const char *directory;   /* mounted read-only at /coder, or NULL */
} CoderBox;

typedef struct CoderAdapter {
    const char *name;
    /* -errno with the reason why it cannot be used for this agent on this host. */
    int (*preflight)(const Agent *agent, Error *e);
    /* `frame` is an empty directory that becomes the top layer of the box's root; what it holds is visible there. */
    int (*prepare)(const CoderSpec *spec, int frame, CoderBox *ret, Error *e);
} CoderAdapter;

extern const CoderAdapter coder_search;  /* search.c */
extern const CoderAdapter coder_command; /* command.c */

#endif
