/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_RESOURCES_H
#define MOSS_OCI_RESOURCES_H

/* A container's cgroup and the limits of `linux.resources` in it (cgroup v2, cgroupfs driver).
 *
 * A limit that the host cannot give, because the controller is not there or was not delegated, is an error that names both. "Unlimited" is no limit
 * and needs no controller. */

#include "config.h"

typedef struct ContainerCgroup {
    int top;    /* of the hierarchy; -EBADF: no cgroup2 here */
    int fd;     /* -EBADF: the container stays in the caller's */
    char *path; /* below the top */
} ContainerCgroup;

#define CONTAINER_CGROUP_INIT                                                                                          \
    (ContainerCgroup)                                                                                                  \
    {                                                                                                                  \
        .top = -EBADF, .fd = -EBADF                                                                                    \
    }

/* Makes it: at cgroupsPath where that is absolute, below MOSS's own part otherwise. Where an unprivileged user has been delegated none and no limit
 * is asked for, the container runs without. */
int container_cgroup_make(const Config *c, const char *id, ContainerCgroup *ret, Error *e);
/* Opens that of a container that is there; a NULL path gives the empty one. */
int container_cgroup_open(const char *path, ContainerCgroup *ret, Error *e);
/* Kills what is in it and removes it. */
int container_cgroup_remove(const ContainerCgroup *g, Error *e);
void container_cgroup_done(ContainerCgroup *g);

/* Applies limits, device rules too; `o` may be NULL. */
int resources_apply(const ContainerCgroup *g, const json_t *o, Error *e);

#endif
