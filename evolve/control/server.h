/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CONTROL_SERVER_H
#define MOSS_CONTROL_SERVER_H

/* The control socket: <run>/NAME/control/control.sock, SOCK_SEQPACKET, one JSON object of at most CONTROL_PACKET_MAX bytes a packet, one answer each.
 *
 *     control_server_new(&spec, &server, e);      listens, on the spec's loop
 *     control_server_set_open(server, true);      the agent may connect too
 *     control_server_free(server);                cuts off who is connected, removes the socket
 *
 * Who connects is told from SO_PEERCRED by `admit`. There are at most CONTROL_CLIENTS_MAX clients, each has CONTROL_SILENCE_USEC for its first and for every further request, and who does
 * not read answers is dropped: a client can waste nothing but its own time. One that is turned away is told why, where it can be. */

#include "control.h"
#include "runtime/base/clock.h"
#include "runtime/base/loop.h"

#define CONTROL_CLIENTS_MAX 16U
#define CONTROL_SILENCE_USEC (5 * USEC_PER_SEC)

typedef struct ControlServerSpec {
    Loop *loop;
    int directory; /* where the socket is made; outlives the server */
    /* Who has this user id? 0, or -EPERM. */
    int (*admit)(uid_t uid, ControlPeer *ret, void *userdata);
    /* The answer to a packet, a new reference. */
    json_t *(*answer)(ControlPeer peer, const char *packet, size_t len, void *userdata);
    void *userdata;
} ControlServerSpec;

typedef struct ControlServer ControlServer;

int control_server_new(const ControlServerSpec *spec, ControlServer **ret, Error *e);
int control_server_set_open(ControlServer *server, bool open, Error *e);
ControlServer *control_server_free(ControlServer *server);
static inline void control_server_freep(ControlServer **s)
{
    control_server_free(*s);
}

#endif
