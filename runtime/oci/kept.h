/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_KEPT_H
#define MOSS_OCI_KEPT_H

/* Containers of engines whose agent MOSS keeps: the annotation "dev.moss.agent" names it.
 *
 * Such a container has moss-init for its first process, with the user of config.json, no capability and the container's system call filter, and a socket "init" in
 * the container's state directory that moss-init listens at (shim/init/protocol.h). What config.json calls process.args is never run: when the container is
 * started, so is a moss-shim for it, which pivots it to the agent's present generation and starts the agent in it as agent.json says, in a cgroup below the
 * container's. The engine goes on to see one container: its id, first process, namespaces, address and cgroup stay through every swap; its signals go to
 * moss-init, which passes them on; it ends when moss-init does.
 *
 * Who may write a container's configuration does not thereby get an agent: its agent.json must say "network": {"mode": "engine"}, which moss-shim looks for. */

#include "config.h"
#include "runtime/box/seccomp.h"

#define KEPT_ANNOTATION "dev.moss.agent"
#define KEPT_SOCKET "init" /* in the state directory */
#define KEPT_LISTEN_FD 3   /* what moss-init expects that socket to be */

/* moss-init, ready to be executed, and the socket that it is to have. */
typedef struct Kept {
    int program, listener;
} Kept;

#define KEPT_INIT                                                                                                      \
    (Kept)                                                                                                             \
    {                                                                                                                  \
        -EBADF, -EBADF                                                                                                 \
    }

/* The agent's name, or NULL: an ordinary container. */
const char *kept_agent(const Config *c);

/* Is it one that can be kept, and what moss-init needs. `self`: see program.h. */
int kept_check(const Config *c, const SeccompFilter *filter, unsigned fds, bool cgroup, Error *e);
int kept_open(int state_dir, const char *self, Kept *ret, Error *e);
void kept_done(Kept *k);

/* What moss-init runs as: the configuration's process without its program and its capabilities. The strings are the original's. */
ConfigProcess kept_process(const ConfigProcess *p);

/* Becomes moss-init. Returns only on failure. */
int kept_exec(const Kept *k, const SeccompFilter *filter, int sync, Error *e);

/* Starts the shim of a container whose moss-init runs, and waits until the agent does. */
int kept_start(const Config *c, int state_dir, const char *self, Error *e);

#endif
