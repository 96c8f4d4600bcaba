/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_PROBE_PEER_H
#define MOSS_PROBE_PEER_H

/* Who has answered? A connection says nothing of the process at its other end: on the host's network that may be anybody, and a held socket is connected to before
 * anybody serves it. So: a process of the incarnation must have a socket open that listens where we have connected to. The kernel allows no other one there, but by
 * SO_REUSEPORT for sockets of the same user, and the container's ids are nobody else's. The sockets are looked at themselves (pidfd_getfd(2)), not in tables
 * of /proc/net, which name no process and show MPTCP's inner sockets. */

#include <sys/types.h>

#include "runtime/base/macro.h"

/* `sock`: a connected stream socket, TCP or UNIX; `cgroup`: the leaf of the incarnation. */
bool peer_is_in(int sock, int cgroup);

/* Is this one of the incarnation's processes? */
bool peer_process_is_in(pid_t pid, int cgroup);

#endif
