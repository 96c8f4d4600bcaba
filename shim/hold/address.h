/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_HOLD_ADDRESS_H
#define MOSS_HOLD_ADDRESS_H

/* Addresses at which a socket can listen. */

#include <sys/socket.h>

#include "runtime/base/macro.h"
#include "runtime/box/landlock.h"

typedef struct HoldAddress {
    struct sockaddr_storage sa;
    socklen_t len;
    int type;    /* SOCK_STREAM or SOCK_SEQPACKET: two UNIX sockets of different types may have one name */
    bool v6only; /* IPv6 */
} HoldAddress;

/* Can a socket of this domain and type, bound to `sa`, be held? IPv4 and IPv6 streams (TCP, MPTCP), and UNIX sockets with a name; with a
 * path, where that lies decides, too. */
bool address_held(const struct sockaddr_storage *sa, socklen_t len, int domain, int type);

/* The path of a UNIX socket that has one, or NULL. */
const char *address_path(const HoldAddress *a);

/* May we hand it over to an agent that is held to `plan` (NULL: to nothing)? See hold.h. */
bool address_ours(const struct sockaddr_storage *sa, const LandlockPlan *plan);

/* The port is left to the kernel. */
bool address_chosen(const HoldAddress *a);

bool address_equal(const HoldAddress *a, const HoldAddress *b);
/* Equal but for the port. */
bool address_same_host(const HoldAddress *a, const HoldAddress *b);
/* Not equal, but a listener at one keeps others from listening at the other: a wildcard and an address, both families and one of them. */
bool address_overlaps(const HoldAddress *a, const HoldAddress *b);

void address_set_port(HoldAddress *a, uint16_t port);
uint16_t address_port(const struct sockaddr_storage *sa);

#define ADDRESS_TEXT_MAX 160
void address_format(const HoldAddress *a, char ret[static ADDRESS_TEXT_MAX]);

#endif
