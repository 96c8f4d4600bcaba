/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_SOCKET_H
#define MOSS_BASE_SOCKET_H

/* UNIX sockets: packets with file descriptors, and names longer than sockaddr_un takes. */

#include <sys/types.h>

#include "macro.h"

/* One packet (SOCK_SEQPACKET), or a piece of a stream, with at most one fd; `fd` < 0 sends none. Never raises SIGPIPE. */
int socket_send_fd(int sock, const void *data, size_t len, int fd);

/* Receives one packet of at most `size` bytes and, if one came with it, a close-on-exec fd in *ret_fd (else -EBADF there). Returns the number of bytes, 0
 * when the peer has closed, -EMSGSIZE for a packet that is longer (its fds are closed). A peer cannot make us keep more than one fd. */
ssize_t socket_receive_fd(int sock, void *buf, size_t size, int *ret_fd);

/* A listening SOCK_SEQPACKET socket `name` in `dirfd`, mode 0600; one that is there already is replaced. */
int socket_listen_at(int dirfd, const char *name);

/* A SOCK_DGRAM socket `name` in `dirfd` that everybody may send to who can reach it, with the sender's credentials (SO_PASSCRED). */
int socket_receive_at(int dirfd, const char *name);

/* Connects to the one of socket_listen_at(). -ENOENT or -ECONNREFUSED: nobody listens. */
int socket_connect_at(int dirfd, const char *name);

/* Connects to a SOCK_STREAM listener at `path`, of any length, that a caller of ours has made. Returns an fd. */
int socket_connect_stream(const char *path);

/* The peer's user id at the time it connected. */
int socket_peer_uid(int sock, uid_t *ret);

#endif
