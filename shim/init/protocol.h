/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_INIT_PROTOCOL_H
#define MOSS_INIT_PROTOCOL_H

/* What moss-shim and moss-init say to one another over a SOCK_SEQPACKET socket: packets of one fixed size.
 *
 * moss-init is PID 1 of the kept container. It reaps, and keeps for the shim what has to outlive one that is killed: file descriptors, under tags, and how the
 * agent's first process ended, whose parent it is (see shim/swap/spawn.h). It gives them to the next shim. It knows nothing else and needs no capability.
 *
 *   INIT_KEEP tag + fd     keep it under this tag, in place of an older one
 *   INIT_FORGET tag        answered with INIT_END: it is closed, so that its address is free
 *   INIT_GIVE              answered with one INIT_KEPT tag + fd for each, then INIT_END
 *   INIT_LEAVE             end, and with you the container, with the exit status of that process
 *   INIT_ASK               answered with INIT_EXITED, whose tag is the wait status of the process that INIT_TAG_AGENT names, or with INIT_END: it runs, or how it
 *                          ended is not known
 *
 * moss-init says by itself
 *
 *   INIT_SIGNAL signal     somebody outside of the container has sent it this signal: an engine, to the first process of its container. Where no shim is connected it
 *                          ends at those that mean an end.
 *
 * Neither side ever waits for the other with a send: a socket that is full is a failure, and moss-init then drops the connection; what was sent on it
 * before is done all the same. */

#include <stdint.h>

#define INIT_LISTEN_FD 3 /* the listening socket that moss-init inherits */

/* Below INIT_TAG_SHIM: the listening sockets, see shim/hold/hold.h. */
enum {
    INIT_TAG_SHIM = 120,
    INIT_TAG_NOTIFY = 123, /* the socket that the agent speaks to, see shim/probe/notify.h */
    INIT_TAG_AGENT = 124,  /* pidfd of the agent's first process */
    INIT_TAG_CALLS =
        125, /* the seccomp listener of the agent's filter: while somebody has it, a call that nobody answers waits, and does not fail */
    INIT_TAG_MEMORY = 126, /* see shim/swap/memory.h */
    INIT_TAG_LOG = 127,    /* the reading end of the agent's output */
    INIT_TAGS_MAX,
};

enum { INIT_KEEP = 1, INIT_FORGET, INIT_GIVE, INIT_KEPT, INIT_END, INIT_ASK, INIT_EXITED, INIT_LEAVE, INIT_SIGNAL };

typedef struct InitMessage {
    uint32_t op;
    uint32_t tag; /* below INIT_TAGS_MAX */
} InitMessage;

#endif
