/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BOX_NET_H
#define MOSS_BOX_NET_H

/* Links of a network namespace, through rtnetlink (libnl). */

#include <sys/types.h>

#include "runtime/base/error.h"

/* Brings "lo" up in the network namespace of the caller. */
int net_loopback_up(Error *e);

/* A veth pair between the caller's network namespace and that of `pid`: `host_name` here with `host_address`, `name` there with `address` (both
 * "10.88.0.1/30"), both up, and a default route there by way of the host's address. All or nothing. */
typedef struct NetVeth {
    pid_t pid;
    const char *host_name, *host_address;
    const char *name, *address;
} NetVeth;
int net_veth_add(const NetVeth *veth, Error *e);

/* Gives the link `name` of a network namespace one more address ("10.88.0.2/30") and brings it up. */
int net_address_add(int netns, const char *name, const char *address, Error *e);

/* Removes a link of the caller's namespace, and with it its peer. Missing is success. */
int net_link_remove(const char *name, Error *e);

#endif
