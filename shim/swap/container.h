/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_CONTAINER_H
#define MOSS_SWAP_CONTAINER_H

/* The sandbox of a kept agent: what outlives a swap. User, mount, PID, IPC, UTS and network namespaces, held by PID 1 (moss-init, run from a sealed memfd, so that it
 * pins no root file system), and a cgroup with three leaves:
 *
 *     kept-NAME/init     moss-init
 *     kept-NAME/agent    the incarnation: cgroup.kill + "populated 0" are the proof of its death
 *     kept-NAME/probe    exec probes
 *
 * It begins with a bare root (/proc and /dev on a small tmpfs); pivot.h puts a generation in its place, spawn.h starts processes in it.
 *
 * Ids: 0…65535 of the container are a range of the host's that nothing else has; what comes from disk is idmapped, so that an id in the container is
 * the same id on disk. Root of a user namespace, as an engine is that an ordinary user has called, has no ids to give but that namespace's: there the container has the same ones. moss-init is user 65534, the agent never is root of the container's user namespace on the host.
 *
 * A container outlives its shim: container_adopt() finds it through its cgroup and the socket of moss-init in the run directory. */

#include "runtime/base/error.h"
#include "runtime/base/loop.h"
#include "shim/agent/agent.h"

typedef struct ContainerSpec {
    const char *name; /* of the cgroup: "kept-NAME" */
    const char *hostname;
    NetworkMode network;
    const char *address; /* NETWORK_VETH: see agent.h */
    const char *engine;  /* NETWORK_ENGINE: directory of the state of the engine's container, see engine.h */
    bool ends_with_us;   /* it does not outlive the process that makes it */
} ContainerSpec;

/* What happens to an engine's container by itself. */
typedef struct ContainerHooks {
    void (*signalled)(int sig, void *userdata); /* its first process got a signal, from outside */
    void (*ended)(void *userdata);
    void *userdata;
} ContainerHooks;

typedef struct Container {
    char name[64];
    NetworkMode network;
    pid_t pid; /* moss-init */
    int pidfd;
    int run_dir;
    int init;          /* connection to moss-init */
    int userns, netns; /* -EBADF: ours */
    int cgroup, cgroup_agent, cgroup_probe;
    int left;                     /* what the last pivot has taken off, see container_settle(); -EBADF: nothing */
    uint32_t base;                /* the host's id of the container's id 0 */
    bool same_ids;                /* all of its ids are ours: there is nothing to map */
    struct KeptContainer *engine; /* runtime/oci/kept-container.h; NULL: it is of our own making */
    Loop *loop;                   /* of container_watch() */
    ContainerHooks hooks;
    LoopSource *end_source, *init_source, *signal_timer;
    uint64_t signals; /* that were heard while something else was asked; bit N is signal N + 1 */
} Container;

/* `run_dir` must stay open. */
int container_make(const ContainerSpec *spec, int run_dir, Container **ret, Error *e);
/* Also that of an engine. -ENOENT: there is none that lives. Other errors say nothing about that: one that may live is not to be made anew. */
int container_adopt(const ContainerSpec *spec, int run_dir, Container **ret, Error *e);

/* Kills everything in one leaf, with the kernel's word that it is empty, and makes the leaf anew: in a cgroup whose cgroup.kill was ever written, what is
 * born by CLONE_INTO_CGROUP out of another one is killed at once (seen on Linux 6.18: cgroup_css_set_fork() notes the kill counter of the
 * parent's cgroup and cgroup_post_fork() compares it with the child's). `leaf` is &c->cgroup_agent or &c->cgroup_probe. */
int container_clear(Container *c, int *leaf, Error *e);

/* The agent's limits on a leaf, where it has the controllers; RLIMIT_NPROC, on an id that only this container has, holds elsewhere. */
int container_limit(int leaf, const Agent *agent, Error *e);

/* For an engine's container. What `hooks` point to must outlive the Container. */
int container_watch(Container *c, Loop *loop, const ContainerHooks *hooks);

/* Is everything in it stopped (cgroup.freeze, an engine's `pause`)? Nothing in it can answer then, nor be started. */
bool container_frozen(const Container *c);

/* Kills all of it and removes its cgroup, but for an engine's, which ends with the agent's exit status; for one that nobody has adopted by name alone. */
int container_destroy(Container *c, Error *e);
/* "<what>-<agent>-<8 hex digits of which directory it is>": two stores may each have an agent of this name. */
int container_name(const char *what, const char *agent, int agent_dir, char ret[static 64], Error *e);

bool container_exists(const char *name);
int container_destroy_name(const char *name, Error *e);

/* Frees the struct and its fds, leaves the container. */
Container *container_free(Container *c);
DEFINE_TRIVIAL_CLEANUP(Container *, container_free)

/* Lets moss-init keep a duplicate of `fd`, see shim/init/protocol.h; a negative fd forgets the tag, and it is closed there when this returns. */
int container_keep(Container *c, unsigned tag, int fd);
/* Calls `take` for each fd that moss-init keeps; `take` owns the fd. */
int container_kept(Container *c, void (*take)(unsigned tag, int fd, void *userdata), void *userdata);

/* How the process kept as INIT_TAG_AGENT ended: its wait status. -ENODATA: moss-init cannot say, or it runs. */
int container_exit_status(Container *c, int *ret);

/* Is this process in the agent's leaf? */
bool container_is_agent(const Container *c, pid_t pid);

/* A socket of the container's network namespace, made by us. */
int container_socket(const Container *c, int domain, int type);

#endif
