/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_EVIDENCE_COMPOSE_H
#define MOSS_EVIDENCE_COMPOSE_H

/* From chunks to the content of a batch: clusters, and tasks chosen evenly over them. No I/O; the same chunks give the same batch. */

#include <jansson.h>

#include "runtime/base/error.h"

typedef struct Composition {
    json_t *tasks;    /* visible, sealed, guards; each by id */
    json_t *clusters; /* [{"name","rule","n","words"}] */
    json_t *chunks;   /* ids of all chunks, also of those that became no task */
} Composition;

int compose(const json_t *chunks, const json_t *guards, Composition *ret, Error *e);
void composition_done(Composition *c);

#endif
