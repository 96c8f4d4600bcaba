/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_HANDOVER_H
#define MOSS_OCI_HANDOVER_H

/* File descriptors that sockets of a caller's get: the pidfd of a container's process (--pidfd-socket), and the listener of a system call
 * filter with SCMP_ACT_NOTIFY (linux.seccomp.listenerPath; config-linux.md, "Seccomp", of the runtime specification).
 *
 * The listener is born in the container's process when that is created, as with other runtimes, or in one of exec that is about to execute its program. It goes
 * over the synchronisation socket to the runtime, which sends it on, and the process waits for that: nobody in the container has ever held it. Without SCMP_ACT_NOTIFY there is none, and nobody is called at listenerPath. */

#include "config.h"
#include "state.h"

int handover_pidfd(const char *path, int pidfd, Error *e);

/* Refuses a profile whose notifications nobody would answer: no listener, or the call that hands it over is one of those notified. */
int handover_check(const json_t *seccomp, Error *e);

/* Sends the listener of the process `pid` to listenerPath. `status` is what the state of the container says. */
int handover_listener(Config *c, const State *state, const char *status, pid_t pid, int listener, Error *e);

/* Waits until the process `pid` has executed its program, and hands its listener over if it makes one on the way.
 * Returns 0 when the program runs. */
int handover_await(int sync, Config *c, const State *state, const char *status, pid_t pid, Error *e);

#endif
