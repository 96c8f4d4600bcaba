/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BOX_USERNS_H
#define MOSS_BOX_USERNS_H

/* Id maps of user namespaces. Source: user_namespaces(7). */

#include <sys/types.h>

#include "runtime/base/error.h"

/* One line of uid_map or gid_map: `count` ids from `inside` on are `outside`, … of the parent namespace. */
typedef struct IdMap {
    uint32_t inside, outside, count;
} IdMap;

/* The first of USERNS_IDS host ids that are the container's whose first process is `pid`: one of the ranges in the upper half of the ids, which nothing else
 * gives out. A PID is unique among what lives. */
#define USERNS_IDS 65536U
uint32_t userns_range(pid_t pid);

/* Writes both maps of process `pid` in one go each. Without privilege over the ids (and for more than one id) newuidmap and newgidmap do it, as
 * /etc/subuid allows. */
int userns_map(pid_t pid, const IdMap *uids, size_t n_uids, const IdMap *gids, size_t n_gids, Error *e);

/* userns_map() so that the process has the same ids below USERNS_IDS as we, root of a user namespace, have. */
int userns_map_same(pid_t pid, Error *e);

/* A user namespace that has these maps and no process, for mounts whose owners are mapped (MOUNT_ATTR_IDMAP). Returns an fd of it. */
int userns_open(const IdMap *uids, size_t n_uids, const IdMap *gids, size_t n_gids, Error *e);

/* For a process that has just entered a new user namespace of an unprivileged user: maps one id to the only one that it may, after denying
 * setgroups(2). Allocates nothing. */
int userns_map_self(uid_t uid, uid_t outer_uid, gid_t gid, gid_t outer_gid, Error *e);

#endif
