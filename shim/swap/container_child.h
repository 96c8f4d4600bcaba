/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_CONTAINER_CHILD_H
#define MOSS_SWAP_CONTAINER_CHILD_H

/* The first process of a container, from its clone(2) until it is moss-init: root of its namespaces, which it furnishes, then nobody. For container.c. */

#include "runtime/base/error.h"

typedef struct ContainerChild {
    int parent;   /* the other end of `channel`, which the child must not keep: its end is the parent's death */
    int channel;  /* a byte from the parent: ids are mapped; to it: an Error, or the end when moss-init runs */
    int program;  /* container_seal_init() */
    int listener; /* moss-init's */
    const char *hostname;
    bool own_network;
    bool ends_with_parent;
} ContainerChild;

/* moss-init (beside our own executable, else the installed one) as an fd of a copy that nobody can write to any more, whoever gets hold of it. */
int container_seal_init(Error *e);

/* In the child, whose namespaces are new already. */
_Noreturn void container_child(const ContainerChild *child);

#endif
