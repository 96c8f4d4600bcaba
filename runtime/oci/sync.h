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
    SYNC_CLONED,        /* helper process: the child is `pid` */
    SYNC_RUNTIME_HOOKS, /* child: the environment is made; time for prestart and createRuntime hooks */
    SYNC_READY,         /* child: all is done but execve */
    SYNC_GO,            /* runtime: go on; `pid` is the child's as the runtime sees it */
} SyncKind;

typedef struct SyncMessage {
    SyncKind kind;
    pid_t pid;
    Error error;
} SyncMessage;

int sync_pair(int ret[static 2]);
int sync_send(int fd, SyncKind kind, pid_t pid);
int sync_send_error(int fd, const Error *e);

/* Waits for the next packet. 1: *ret is it; 0: the other side is gone. An error message becomes the return value and *e. */
int sync_receive(int fd, SyncMessage *ret, Error *e);
/* Waits for SYNC_GO; anything else is the end of this process. */
pid_t sync_wait_go(int fd);

#endif
