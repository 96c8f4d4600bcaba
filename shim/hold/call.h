/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_HOLD_CALL_H
#define MOSS_HOLD_CALL_H

/* One bind(2) or listen(2) of the agent's, as the kernel reports it. For hold.c.
 *
 *     r = call_receive(notify, &pending, &call);      < 0: nothing to answer
 *     …                                               only if call.sock >= 0
 *     call_answer(&call, r);                          always, then
 *     call_done(&call); */

#include "address.h"

/* The report that is being answered: the kernel writes it right here. It lies in memory that outlives the shim (shim/swap/memory.h), because a report that was taken
 * and never answered leaves its caller waiting for ever, and is given to nobody a second time. */
typedef struct HoldPending {
    uint64_t space[128];
} HoldPending;

typedef struct Call {
    int notify;
    uint64_t id;
    bool again;   /* another shim began to answer it, and may have come to any point */
    bool listens; /* or binds */
    pid_t pid;    /* of the process, not of the thread */
    int number;   /* the caller's fd */
    int sock;     /* our duplicate; < 0: the call is none of ours */
    uint64_t cookie;
    HoldAddress address; /* bind: what it asks for. listen: where the socket is bound */
    int backlog;         /* listen */
    mode_t umask;
} Call;

/* -ENOENT: the caller is gone. Blocks on nobody: what cannot be read of the caller is none of ours. */
int call_receive(int notify, HoldPending *pending, Call *ret);
/* The one that an earlier shim received and left: -ENOENT if there is none. */
int call_resume(int notify, const HoldPending *pending, Call *ret);
void call_done(Call *call);

/* 0: it is done; -EOPNOTSUPP: the kernel goes on with it; else: that is the caller's errno. -ENOENT: the caller is gone. */
int call_answer(const Call *call, int result);

/* Puts the socket `with` in the place of the caller's: under its number, with its options (options.h), and known to the epoll instances that knew it. */
int call_replace(const Call *call, int with);

/* A duplicate of another process's fd, or -errno. */
int process_fd(pid_t pid, int number);
uint64_t socket_cookie(int sock);
/* -errno if that is no socket. */
int socket_address(int sock, HoldAddress *ret);

#endif
