/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BOX_CAPS_H
#define MOSS_BOX_CAPS_H

/* The five capability sets of a process (capabilities(7)), bit N for capability N.
 *
 *     caps_parse()            from the `capabilities` object of the runtime specification
 *     caps_drop_bounding()    while still privileged
 *     caps_keep()             before the uid changes
 *     caps_set()              after it; ambient too
 */

#include <jansson.h>

#include "runtime/base/error.h"

typedef struct CapSets {
    uint64_t bounding, permitted, effective, inheritable, ambient;
} CapSets;

/* `o` NULL: all empty. What is not known or cannot be given is left out, as the specification demands; caps_lacking() tells. An ambient capability that
 * is not permitted and inheritable too, and an effective one that is not permitted, are errors (`at` names the object). */
int caps_parse(const json_t *o, const char *at, CapSets *ret, Error *e);

/* The names that caps_parse() would leave out, "A, B", which the caller frees; NULL if there are none. `own_namespace`: in a user namespace of its own
 * a process can have all that the kernel knows. */
int caps_lacking(const json_t *o, bool own_namespace, char **ret);

/* "CAP_NET_RAW" or "net_raw" to its bit; -EINVAL. */
int caps_from_name(const char *name, uint64_t *ret_bit);

int caps_drop_bounding(uint64_t keep);
int caps_keep(void);
int caps_set(const CapSets *s);
/* Permitted, effective and inheritable alone: what can be done behind a strict system call filter. */
int caps_set_last(const CapSets *s);

#endif
