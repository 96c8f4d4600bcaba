/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_VETH_H
#define MOSS_SWAP_VETH_H

/* The link of a kept container with a network of its own: "eth0" there, "moss-XXXXXXXX" (from the container's name) here. */

#include <sys/types.h>

#include "runtime/base/error.h"

/* `address` is the container's, of a /30 (or /31); the host gets the other one. */
int veth_add(const char *container, const char *address, pid_t pid, Error *e);
void veth_remove(const char *container);

#endif
