/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_HOLD_ADDRESS_H
#define MOSS_HOLD_ADDRESS_H

/* Addresses that can be held. */

#include <sys/socket.h>

#include "runtime/base/macro.h"
#include "runtime/box/landlock.h"

typedef struct HoldAddress {
    struct sockaddr_storage sa;
    socklen_t len;
    bool v6only;
} HoldAddress;

/* Is this a bind that we hold? `domain`, `type`: of the socket. */
bool address_held(const struct sockaddr_storage *sa, socklen_t len, int domain, int type);

/* May we bind it for an agent that is held to `plan` (NULL: to nothing)? See hold.h. */
bool address_ours(const struct sockaddr_storage *sa, const LandlockPlan *plan);

bool address_equal(const HoldAddress *a, const HoldAddress *b);

#define ADDRESS_TEXT_MAX 160
void address_format(const HoldAddress *a, char ret[static ADDRESS_TEXT_MAX]);

#endif
