/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_HOLD_H
#define MOSS_HOLD_H

/* Listening sockets that outlive the agent, without the agent's doing.
 *
 * The agent runs under a filter that reports each bind(2) (SECCOMP_RET_USER_NOTIF). hold_handle() answers one report:
 *
 *   an address that is not held   we bind our own duplicate of the agent's socket (pidfd_getfd), keep the duplicate, and answer 0. Both are one socket: its
 *                                 queue of connections lives as long as we keep it, also when every process of the agent is killed
 *   an address that is held       the held socket replaces the agent's new one under the same number (SECCOMP_IOCTL_NOTIF_ADDFD with SETFD), with the options
 *                                 of the new one, and we answer 0. listen(2) on it changes nothing but the backlog
 *   anything else                 the kernel goes on with the agent's own call: UDP, port 0, ports below 1024 (which the agent has no right to, and we must
 *                                 not lend it ours), UNIX sockets with a path (which lie in the agent's root, or its state, and go with it);
 *                                 what the agent's Landlock rules deny, since our bind is not under them; abstract names of an agent that is
 *                                 scoped: whom its own connections to one may reach goes by who made the socket, and that is an incarnation before
 *
 * Held are TCP sockets, v4 and v6, and UNIX stream sockets with an abstract name. What is read of the agent's memory is believed only when the
 * notification is still valid afterwards; an agent that lies to the filter hurts only itself.
 * Sources: seccomp_unotify(2), pidfd_getfd(2). */

#include <jansson.h>
#include <sys/types.h>

#include "runtime/base/error.h"
#include "runtime/box/landlock.h"

#define HOLD_MAX 100U /* addresses; tags 0…HOLD_MAX-1 of moss-init */

typedef struct Hold Hold;

typedef struct HoldHooks {
    /* The incarnation is about to get a listening socket, and with it clients. A negative answer becomes that of its bind(2). */
    int (*handing)(void *userdata);
    /* `fd` is held under `tag` from now on; fd < 0: no longer. */
    void (*held)(unsigned tag, int fd, void *userdata);
    void *userdata;
    const LandlockPlan *landlock; /* what the agent is held to, NULL: nothing; must outlive the Hold */
} HoldHooks;

int hold_new(const HoldHooks *hooks, Hold **ret);
Hold *hold_free(Hold *hold);

/* In the process that is to become the agent: returns the notification fd, or -errno. Needs no_new_privs. */
int hold_install_filter(void);

/* Answers one notification. `cgroup_agent`: where the incarnation's processes are. -ENOENT: the caller is gone, or this was nothing. */
int hold_handle(Hold *hold, int notify, int cgroup_agent);

/* A socket that moss-init kept. Takes the fd. */
void hold_adopt(Hold *hold, unsigned tag, int fd);

/* A new incarnation starts: it has nothing yet. */
void hold_begin(Hold *hold);
/* It has come to stay: what it has not bound is given up. */
void hold_prune(Hold *hold);
/* Everything is given up: the network namespace is another one. */
void hold_clear(Hold *hold);

/* [{"address":"127.0.0.1:8080","bound":true}], and the last refusal ("127.0.0.1:8080: Address already in use"), "" if none. */
json_t *hold_to_json(const Hold *hold);
const char *hold_trouble(const Hold *hold);

#endif
