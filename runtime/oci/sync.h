/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_SYNC_H
#define MOSS_OCI_SYNC_H

/* What the runtime and the process that becomes the container say to each other while it is set up: one packet a step on a SOCK_SEQPACKET pair. The
 * end of the stream means that the other side is gone: the child exits then, and the runtime takes it for an unexplained death. After execve(2)
 * the end of the stream means success, as the socket is close-on-exec. */

#include <sys/types.h>

#include "runtime/base/error.h"

typedef enum SyncKind {
    SYNC_ERROR,         /* child: it failed, `error` says how */
    SYNC_MAP,           /* child: write the id maps of this process */
    SYNC_CLONED,        /* helper process: the child is there; its pidfd comes with the packet */
    SYNC_RUNTIME_HOOKS, /* child: the environment is made; time for the hooks before READY */
    SYNC_READY,         /* child: all is done but execve */
    SYNC_LISTENER,      /* child: the filter is installed; its listener comes with the packet */
    SYNC_GO,            /* runtime: go on; `pid` is the child's as the runtime sees it */
} SyncKind;

typedef struct SyncMessage {
    SyncKind kind;
    pid_t pid;
    Error error;
} SyncMessage;

int sync_pair(int ret[static 2]);
int sync_send(int fd, SyncKind kind, pid_t pid);
/* GO for one that has not said READY yet and finds it there then, which saves a wake-up on both sides. That it has died is no error: what it said before is
 * still to be received. */
int sync_send_early_go(int fd, pid_t pid, Error *e);
int sync_send_error(int fd, const Error *e);
int sync_send_cloned(int fd, int pidfd);
/* With sendmsg(2) alone: nothing else may be called where a filter that notifies is in force and nobody listens yet. */
int sync_send_listener(int fd, int listener);

/* Waits for the next packet. 1: *ret is it; 0: the other side is gone. An error message becomes the return value and *e. */
int sync_receive(int fd, SyncMessage *ret, Error *e);
/* The same with the fd that came along, -EBADF if there was none. */
int sync_receive_fd(int fd, SyncMessage *ret, int *ret_fd, Error *e);
/* Waits for SYNC_GO; anything else is the end of this process. */
pid_t sync_wait_go(int fd);

#endif
