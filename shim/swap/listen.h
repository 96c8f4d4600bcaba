/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_LISTEN_H
#define MOSS_SWAP_LISTEN_H

/* The listening sockets of sockets.mode "listen-fds": we listen, the agent gets them at its exec as sd_listen_fds(3) wants them.
 *
 * TCP and abstract names are those of the container's network namespace; a path is one on the host, and its file is removed with the socket.
 * [::] takes no IPv4 connections: an address is what it says, and 0.0.0.0 can be named, too. The backlog is as long as the host allows. */

#include "shim/hold/hold.h"
#include "shim/swap/container.h"

typedef struct ListenFds {
    int fds[LISTEN_MAX]; /* in the order of agent.json */
    size_t n;
    const ListenSpec *specs;
    bool passing; /* they are the list's own, and go with it */
} ListenFds;

/* The held sockets that agent.json names; one that is not held yet is made. hold NULL: the candidate is rehearsed, and gets sockets that nobody knows: those with a path have an
 * abstract name there. */
int listen_open(const Container *c, const Agent *agent, Hold *hold, ListenFds *ret, Error *e);
void listen_done(ListenFds *l);

/* In the process that is to become the agent: its fds from LISTEN_FDS_START on are the sockets, and *ret_env is `env` with LISTEN_FDS, LISTEN_PID (the
 * process's own number, in its PID namespace) and LISTEN_FDNAMES. What was open at LISTEN_FDS_START to LISTEN_FDS_END - 1 is lost. */
#define LISTEN_FDS_START 3
#define LISTEN_FDS_END (LISTEN_FDS_START + (int) LISTEN_MAX)
int listen_hand_over(const ListenFds *l, const char *const *env, const char *const **ret_env);

#endif
