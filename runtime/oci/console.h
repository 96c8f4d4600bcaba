/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_CONSOLE_H
#define MOSS_OCI_CONSOLE_H

/* A terminal for the container: a pair from its own devpts. The peer is had with TIOCGPTPEER, never by a path, which the container could have put
 * something else at. */

#include "config.h"
#include "notify.h"

/* Connects to the socket at `path`, which is to get the terminal's master. Returns an fd. */
int console_connect(const char *path, Error *e);

/* In the container: makes a pair from the devpts below `root`, sends the master over `socket`, makes the other end the
 * controlling terminal and the standard streams; with `dev_console` it is mounted on /dev/console too, with `plain_lines` a line ends as the program
 * ends it, without a carriage return. */
int console_setup(const ConfigProcess *p, int root, int socket, bool dev_console, bool plain_lines, Error *e);

/* Takes the master that console_setup() sent. Returns an fd. */
int console_receive(int socket, Error *e);

/* Blocks the signals that console_attend() passes on; to be called before the program is made. */
int console_block_signals(void);

/* Waits until the program behind `pidfd` has ended: passes signals on to it and carries bytes between our standard streams and `master` (-EBADF: there is no
 * terminal). Our own terminal is raw meanwhile. `relay` is served until the program is ready; NULL: there is none. */
int console_attend(int master, int pidfd, Relay *relay, Error *e);

#endif
