/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CONTROL_PEER_H
#define MOSS_CONTROL_PEER_H

/* Who speaks on a control socket. The operator has our user id or is root. The agent has, on the host, the id that the user namespace of its container maps its own to:
 * another range for each container, and none that anybody else has (box/userns.h). */

#include "control.h"

/* -EPERM: neither. Asks the agent's shim which process runs, at most for a second. */
int control_peer(const Agent *agent, uid_t uid, ControlPeer *ret);

/* What `inside` is outside, by the content of /proc/PID/uid_map. -ENOENT: it is not mapped. */
int peer_map_uid(const char *map, uid_t inside, uid_t *ret);

#endif
