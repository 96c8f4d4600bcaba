/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_NETDEV_H
#define MOSS_OCI_NETDEV_H

/* linux.netDevices: network devices of the host become the container's, under another name if that is asked for, with their permanent global addresses,
 * and up (config-linux.md, "Network Devices"). Plain rtnetlink: the few messages that this takes weigh less than a library for them.
 *
 * All or nothing: where one device cannot be moved, those before it are the host's again, with names and addresses as they were. */

#include "config.h"

/* `pid` is in the container's network namespace, the caller in the host's. */
int netdev_move(const ConfigNetDevice *devices, size_t n, pid_t pid, Error *e);

#endif
