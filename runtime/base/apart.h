/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_APART_H
#define MOSS_BASE_APART_H

/* A function in a process of its own, for what must not happen to ours: entering namespaces, becoming another user.
 *
 * That process has our memory, not a copy of it, and we stand still until it has ended (CLONE_VM and CLONE_VFORK of clone(2)); to copy what is mapped would
 * take longer than most of what it is for. So `fn` answers by writing to `userdata`; what it allocates is ours. It has credentials, namespaces and a working
 * directory of its own, and a table of file descriptors unless `share_fds`, with which an fd that it opens is ours too. As long as it is there neither of us
 * can be traced (PR_SET_DUMPABLE), by whoever is root where it goes neither: our memory is the host's.
 *
 * It must not change its user or group through the C library in a program with threads (which would do it to them all, see nptl(7)), and what it calls has
 * 256 KiB of stack.
 *
 * 0: `fn` has returned. -EOWNERDEAD: its process was killed before. Else there was no process. */

#include <stdbool.h>

int run_apart(void (*fn)(void *userdata), void *userdata, bool share_fds);

#endif
