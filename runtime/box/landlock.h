/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BOX_LANDLOCK_H
#define MOSS_BOX_LANDLOCK_H

/* Landlock: what a program may change, run and reach over TCP, within all that its user, mounts and namespaces allow it already. It can only take away, holds for everything the
 * program forks, and cannot be undone.
 *
 *     r = landlock_check(&plan, landlock_abi(), e);    before anything is done
 *     …clone, enter the root, no_new_privs…
 *     r = landlock_apply(&plan, e);                    in the child, before its own seccomp filter; allocates nothing
 *
 * Each member of a plan restricts one kind of access to what it lists; a member that is absent leaves that kind free. What one needs at least:
 *
 *     write     ABI 3, Linux 6.2    open for writing, truncate, make, remove, rename and link files; /dev/null, which keeps nothing, may always be written
 *     execute   ABI 2, Linux 5.19   execve(2) of a file, its interpreter (#!) and its dynamic loader; mapping a library is no execution
 *     bind      ABI 4, Linux 6.7    bind(2) of TCP to a port; port 0 stands for one of the kernel's choice
 *     connect   ABI 4, Linux 6.7    connect(2) of TCP to a port
 *     scoped    ABI 6, Linux 6.12   signals to processes, and connections to abstract UNIX sockets, outside of the program and what it forks
 *
 * A kernel that cannot give a member its whole meaning gives none of it: landlock_check() refuses (-EOPNOTSUPP) and names member and ABI. ABI 1 denies every
 * rename into another directory as soon as anything is restricted, hence the 2 of execute.
 *
 * A path stands for the file, or the directory and all below it, that is there when the plan is applied, also through mounts. It is opened with the ids of the
 * program, without following symlinks: what the root's maker puts there must not decide what a rule means. One that is missing is an error.
 *
 * What Landlock lets through although one would not think so, and what is done about it:
 *   - bind and connect judge sockets whose protocol is TCP. MPTCP and SMC speak TCP too: while ports are restricted, a stream socket of another protocol is
 *     refused by a filter of ours (EPROTONOSUPPORT, as by a kernel without it: programs fall back to TCP).
 *   - sendto(2) with MSG_FASTOPEN connects without connect(2): refused in the same way (EOPNOTSUPP, as with net.ipv4.tcp_fastopen off).
 *   - listen(2) on a socket that was never bound gets a port of the kernel's choice. Nothing is done about it: nobody was told that port.
 *   - UDP is not judged at all, nor chmod, chown, xattrs, times; nor a program in a memfd, which lies in no directory.
 *   - moving a file into a directory where it may be more (run, for instance) is denied with EXDEV; programs copy then, which says the same.
 *   - what was opened or connected before stays as it is, which here are the standard fds.
 *
 * Sources: Documentation/userspace-api/landlock.rst (rights, ABIs, inheritance), landlock_create_ruleset(2), landlock_add_rule(2), landlock_restrict_self(2);
 * security/landlock/net.c, where sk_is_tcp() decides; tcp_sendmsg_fastopen() in net/ipv4/tcp.c. */

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/error.h"

typedef struct LandlockPorts {
    const uint16_t *list; /* NULL: free */
    size_t n;
} LandlockPorts;

/* Plain data; whatever it points to must outlive it. */
typedef struct LandlockPlan {
    const char *const *write;   /* absolute paths, NULL-terminated; NULL: free */
    const char *const *execute; /* the same, and not empty: the program itself must be run */
    LandlockPorts bind, connect;
    bool scoped;
} LandlockPlan;

/* What this kernel has: 1, 2, …; 0 if Landlock is not built in or off. */
int landlock_abi(void);

/* Is the plan sound, and is `abi` enough for it? Looks at nothing but its arguments. -EINVAL, -EOPNOTSUPP. */
int landlock_check(const LandlockPlan *plan, int abi, Error *e);

/* Holds the calling process to the plan, which must have passed landlock_check(). Paths are those of the root that it has entered. Needs no_new_privs. After an
 * error nothing is held back but, at most, what the filter above refuses: the caller must not go on. */
int landlock_apply(const LandlockPlan *plan, Error *e);

/* Would the plan let a TCP socket be bound to this port? For whoever binds in the program's place. */
bool landlock_may_bind(const LandlockPlan *plan, uint16_t port);

#endif
