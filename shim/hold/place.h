/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_HOLD_PLACE_H
#define MOSS_HOLD_PLACE_H

/* The files of held UNIX sockets whose path lies in the state volume.
 *
 * A socket is bound once, to one inode, and a path leads to it only through that inode; a server that starts unlinks the path and makes another. But an inode can have
 * several names: each held socket has one in a directory of ours, `links`, beside the epochs, and is given its place in the state again when an epoch is made, which
 * has no sockets of the one before, and when the agent binds there. The inode holds nothing of the agent's but its mode, which a bind sets anew.
 *
 * `state` is the directory of an epoch on the host, `path` one below it: of the agent's making, so that nothing outside of the epoch is ever reached. A file system that cannot link
 * between the two (an epoch that is a subvolume) makes -EXDEV. */

#include <sys/types.h>

#include "runtime/base/macro.h"

/* Makes the socket at `path` known as `tag`. -ENOTSOCK: there is something else. */
int place_keep(int links, unsigned tag, int state, const char *path);
/* Gives it that place again where there is nothing, or another socket that nobody holds; 0 also if it is there. */
int place_restore(int links, unsigned tag, int state, const char *path);
/* The same for a bind: -EEXIST where there is anything else. Then its mode is that of a new socket. */
int place_bind(int links, unsigned tag, int state, const char *path, mode_t mode);
void place_forget(int links, unsigned tag);

#endif
