/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_HOLD_H
#define MOSS_HOLD_H

/* Listening sockets that outlive the agent, without the agent's doing.
 *
 * A socket is held from its listen(2) on, not from its bind(2): one that is bound and then connects is a client with a source address, and one that never listens
 * nobody waits at. The agent runs under a filter that reports both calls (SECCOMP_RET_USER_NOTIF); hold_handle() answers one report:
 *
 *   listen, a socket that is not held   we keep a duplicate of it (pidfd_getfd), let moss-init keep one, too, and listen with the backlog asked for. All are one socket: its
 *                                       queue of connections lives as long as we keep it, also when every process of the agent is killed
 *   bind to an address that is held     by an incarnation before: the held socket takes the place of the agent's new one under its number
 *                                       (SECCOMP_IOCTL_NOTIF_ADDFD with SETFD), with the options of the new one, and the call returns 0. From here on all that the
 *                                       agent does with it, duplicates, workers that inherit it, getsockname, is done with the held one, and epoll instances that knew the other know this one (epoll.h); its listen(2) sets the backlog
 *   bind to port 0                      the port is the kernel's choice once, and then stays: a socket with SO_REUSEADDR, which is what servers set, gets the port of a held one of
 *                                       this address that was come by in the same way, first held first served, beside which it is bound for the moment (SO_REUSEPORT on both).
 *                                       Whether it becomes a listener is seen at its listen, which is when the held one takes its place. One without gets another port
 *   bind to a path in the state volume  that is held: the file of the held socket is put there (place.h), with the mode that a new one would have, and the socket is
 *                                       replaced. A socket that is there already, and would be in the way, is taken for what it is: the held one. Each epoch that is begun
 *                                       has the file, too, so that who connects meanwhile waits as at any other address
 *   anything else                       is the kernel's: UDP, UNIX datagrams, the bind that comes first, so that we lend the agent no right to a port
 *
 * Several sockets at one address (SO_REUSEPORT, one a worker) are handed back in the order in which they listened. A bind to an address that this
 * incarnation has in use is its own conflict, and the kernel says EADDRINUSE; what it has closed it may bind anew. A held socket that nobody of this
 * incarnation has asked for gives way to a bind that overlaps it (0.0.0.0:80 and [::]:80): the agent has changed its mind, and what waits there is cut off.
 * What the agent's Landlock rules deny is not handed over, and abstract names of an agent that is scoped are not: whom its own connections to one may
 * reach goes by who made the socket, and that is an incarnation before.
 *
 * While no agent accepts (hold_wait), TCP queues are as long as the host allows (somaxconn). One that is full drops SYNs, which are sent again: a client waits. Queues of UNIX
 * sockets keep the length that the agent asked for, as SO_PEERCRED tells their clients who has called listen(2) last, which therefore must not be us: where one is full a
 * blocking connect waits, and a non-blocking one gets EAGAIN.
 *
 * Limits. A listener that the agent closes for good stays open to clients until the next swap has ended. At most HOLD_FIRST_CHOSEN sockets are held, and HOLD_MAX - HOLD_FIRST_CHOSEN of
 * ports that the kernel chose (decide.h); `trouble` names what is not. UNIX sockets with a path elsewhere
 * than in the state volume, or with a relative one, are not held: they lie in the agent's root, which a swap replaces, and nobody outside of the container knows them. Where the file
 * system cannot link from an epoch (btrfs, whose epochs are subvolumes), and under Landlock rules, those in the state are not held, either. Between an agent's own unlink and bind nobody finds its socket. An epoll instance of another process than the
 * caller's that knows the socket from before its bind hears nothing of it.
 *
 * What is read of the agent's memory is believed only when the notification is still valid afterwards; an agent that lies to the filter hurts only itself. We wait for
 * nothing that an agent does. Sources: seccomp_unotify(2), pidfd_getfd(2), socket(7). */

#include <jansson.h>
#include <sys/types.h>

#include "runtime/base/error.h"
#include "runtime/box/landlock.h"
#include "shim/hold/call.h"
#include "shim/hold/decide.h"

typedef struct Hold Hold;

typedef struct HoldHooks {
    /* The incarnation is about to get a listening socket, held or not, and with it clients. A negative answer becomes that of its call. */
    int (*handing)(void *userdata);
    /* `fd` is held under `tag`, below HOLD_MAX, from now on; fd < 0: no longer. */
    void (*held)(unsigned tag, int fd, void *userdata);
    void *userdata;
    /* An fd of the directory, on the host, of the epoch that the present incarnation has or is about to get; negative: none. The caller closes it. */
    int (*state)(void *userdata);
    const char *state_path;       /* in the container; NULL: sockets with a path are ours, on the host (listen-fds) */
    int links;                    /* see place.h */
    const LandlockPlan *landlock; /* what the agent is held to, NULL: nothing; must outlive the Hold */
} HoldHooks;

int hold_new(const HoldHooks *hooks, Hold **ret);
Hold *hold_free(Hold *hold);

/* In the process that is to become the agent: returns the notification fd, or -errno. Needs no_new_privs. */
int hold_install_filter(void);

/* Answers one notification. `cgroup_agent`: where the incarnation's processes are. -ENOENT: the caller is gone, or this was nothing. */
int hold_handle(Hold *hold, int notify, int cgroup_agent, HoldPending *pending);

/* Whoever was told what is held has gone: `held` is called anew for each socket. */
void hold_tell(Hold *hold);

/* A socket that moss-init kept. Takes the fd. */
void hold_adopt(Hold *hold, unsigned tag, int fd);

/* A listening socket that the incarnation is to get from us: the held one of this address, which we keep; -ENOENT: there is none. */
int hold_claim(Hold *hold, const HoldAddress *a);
/* Holds one that we have made, as the incarnation's. Takes the fd; -ENOSPC: there is no slot. */
int hold_add(Hold *hold, int fd);

/* A new incarnation starts: it has nothing yet. */
void hold_begin(Hold *hold);
/* Or one runs already, under a shim before this one: what its processes have open is its own, and the report that was being answered (`pending`) is answered. */
void hold_resume(Hold *hold, int notify, int cgroup_agent, HoldPending *pending);
/* The incarnation is ready: what it has not asked for of a group (SO_REUSEPORT) is given up, where clients would wait at it in vain. */
void hold_ready(Hold *hold);
/* Nobody accepts from now on. */
void hold_wait(Hold *hold);
/* A swap has ended. Committed: what the new incarnation has not asked for is given up. Else: what the candidate has added. */
void hold_prune(Hold *hold, bool committed);
/* Everything is given up: the network namespace is another one. */
void hold_clear(Hold *hold);

/* [{"address":"127.0.0.1:8080","bound":true}], `bound`: by the present incarnation; and what is not held ("127.0.0.1:8080: …"), "" if nothing. */
json_t *hold_to_json(const Hold *hold);
const char *hold_trouble(const Hold *hold);

#endif
