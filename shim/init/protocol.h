/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_INIT_PROTOCOL_H
#define MOSS_INIT_PROTOCOL_H

/* What moss-shim and moss-init say to one another over a SOCK_SEQPACKET socket: packets of one fixed size.
 *
 * moss-init is PID 1 of the kept container. It reaps orphans and keeps file descriptors for the shim: the listening sockets, so that they outlive a shim that
 * is killed as they outlive the agent, and the reading end of the agent's output. It gives them to the next shim. It knows nothing else and needs no capability; the
 * agent's processes are the shim's own children, born in the container's namespaces, so that their exit status and their cgroup are the shim's to know.
 *
 *   INIT_KEEP tag + fd     keep it under this tag, in place of an older one
 *   INIT_FORGET tag        answered with INIT_END: it is closed, so that its address is free
 *   INIT_GIVE              answered with one INIT_KEPT tag + fd for each, then INIT_END */

#include <stdint.h>

#define INIT_LISTEN_FD 3 /* the listening socket that moss-init inherits */
#define INIT_TAGS_MAX 128U

enum { INIT_KEEP = 1, INIT_FORGET, INIT_GIVE, INIT_KEPT, INIT_END };

typedef struct InitMessage {
    uint32_t op;
    uint32_t tag; /* below INIT_TAGS_MAX */
} InitMessage;

#endif
