/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_ENGINE_H
#define MOSS_SWAP_ENGINE_H

/* The container of an engine (podman, containerd…) as a Container: see runtime/oci/kept.h for how it comes to be one.
 *
 * Namespaces, mounts, devices, limits, labels and system call filter are the engine's; what runs in it, as whom and on which root is agent.json's and the
 * generation's. It ends with moss-init: when the engine kills it, or when the agent was stopped, with the agent's exit status. For container.c and
 * spawn.c. */

#include "shim/swap/spawn.h"

/* Fills in a Container that has no process yet. `state_dir`: of the container, of moss-runtime's. -ESRCH: it has ended. */
int engine_attach(const char *state_dir, Container *c, Error *e);

/* As container_spawn(). */
int engine_spawn(Container *c, const SpawnSpec *spec, Spawned *ret, Error *e);

/* Which container it is, for a later shim: a file in the agent's run directory. */
int engine_remember(int run_dir, const char *state_dir, Error *e);
/* -ENOENT: none is remembered. The caller frees. */
int engine_recall(int run_dir, char **ret, Error *e);
void engine_forget(int run_dir);

#endif
