/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_NOTIFY_H
#define MOSS_OCI_NOTIFY_H

/* Readiness of a container for a service manager (sd_notify(3)): where NOTIFY_SOCKET is in the runtime's environment, the container has a socket,
 * named by NOTIFY_SOCKET of its own, and what it says there is passed on until it has said that it is ready. The socket is notify.sock in a directory
 * that has the path of the manager's socket, or else /run/notify. As with other runtimes `start` and `run --detach` return then, or when the container has ended.
 *
 *     notify_prepare()     create: <state>/notify becomes a mount, the socket a name in it
 *     relay_open()         start, before the program runs: the socket is there
 *     relay_await()        or relay_serve() whenever relay.in is readable
 *     relay_done()
 *
 * Passed on are READY=1, with MAINPID= of the container's first process unless the runtime itself stays, and up to RELAY_STATUS_MAX times STATUS=, printable and short. Nothing else
 * that a container says reaches the host's manager, and nothing of processes that are outside of its cgroup. A configuration that has NOTIFY_SOCKET
 * in process.env itself is left alone (its engine listens), and so are kept agents (the shim does) and containers in the host's mount namespace. */

#include "config.h"
#include "state.h"

#define RELAY_STATUS_MAX 64U

typedef struct Relay {
    int in;             /* what the container says; -EBADF: it has no socket */
    int out;            /* to the service manager; -EBADF: there is none at that name, so nobody is told */
    const State *state; /* whose it is; must outlive this */
    unsigned statuses;
    bool attended; /* the runtime stays as long as the container, so it is the manager's process */
} Relay;

/* What the configuration refers to once it has been told of the socket; to be freed after it. */
typedef struct NotifyNames {
    char *source, *variable;
} NotifyNames;

#define RELAY_INIT                                                                                                     \
    (Relay)                                                                                                            \
    {                                                                                                                  \
        .in = -EBADF, .out = -EBADF                                                                                    \
    }

/* `dir` is that of the state, `host` the value of the runtime's NOTIFY_SOCKET. *ret stays as it is where there is nothing to do. */
int notify_prepare(Config *c, int dir, const char *host, NotifyNames *ret, Error *e);

/* Has the container of that state such a socket? */
bool notify_has(int dir);

/* `host` as above; NULL or "": there is no manager. One that is not there is passed over, as sd_notify(3) would. */
int relay_open(int dir, const char *host, const State *state, Relay *ret, Error *e);
/* One message. Returns 1 when the manager knows that the container is ready, 0 when there is more to come. */
int relay_serve(Relay *r, Error *e);
/* Until the container is ready or has ended: `pidfd` is of its first process, negative if that has ended. */
int relay_await(Relay *r, int pidfd, Error *e);
void relay_done(Relay *r);

#endif
