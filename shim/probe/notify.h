/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_PROBE_NOTIFY_H
#define MOSS_PROBE_NOTIFY_H

/* What an agent says of itself by sd_notify(3): datagrams of lines KEY=VALUE to the socket that NOTIFY_SOCKET names.
 *
 * Heard is only what a process of the incarnation has sent: the kernel says who it was (SCM_CREDENTIALS), and that must be in the leaf by then; each incarnation
 * has a socket of its own, so that nothing waits in it from before. What is not heard, besides what is unknown: MAINPID (the first process is the main one), FDSTORE (the
 * shim holds the sockets without being told), WATCHDOG_USEC (how much patience there is is for the operator to say). An agent that sends more than the shim takes
 * at once waits. */

#include "runtime/base/loop.h"

#define NOTIFY_DATAGRAM_MAX 4096U
#define NOTIFY_STATUS_MAX 200U

typedef struct NotifyMessage {
    bool ready, stopping, reloading, alive; /* alive: WATCHDOG=1 */
    bool trigger;                           /* WATCHDOG=trigger */
    uint64_t extend_usec;                   /* EXTEND_TIMEOUT_USEC; 0: none */
    char status[NOTIFY_STATUS_MAX + 1];     /* STATUS, printable; "": none */
} NotifyMessage;

/* Pure. 0, or -EBADMSG: with a NUL in it, or a number that is none, nothing of it counts. */
int notify_parse(const char *data, size_t len, NotifyMessage *ret);

typedef struct Notify Notify;

typedef void (*NotifyHeard)(const NotifyMessage *message, void *userdata);

/* Listens on `sock` (a datagram socket with SO_PASSCRED), which it takes. `cgroup`, the leaf, is looked at when something comes. `heard` may free the Notify. */
int notify_new(Loop *loop, int sock, const int *cgroup, NotifyHeard heard, void *userdata, Notify **ret);
Notify *notify_free(Notify *n);

#endif
