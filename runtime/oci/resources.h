/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_RESOURCES_H
#define MOSS_OCI_RESOURCES_H

/* A container's cgroup and the limits of `linux.resources` in it (cgroup v2): the cgroupfs driver, and what the systemd driver (scope.h) shares with it.
 *
 * A limit that the host cannot give, because the controller is not there or was not delegated, is an error that names both. "Unlimited" is no limit
 * and needs no controller. */

#include "config.h"

typedef struct ContainerCgroup {
    int top;     /* of the hierarchy; -EBADF: no cgroup2 here */
    int fd;      /* -EBADF: the container stays in the caller's */
    char *path;  /* below the top */
    char *unit;  /* systemd's scope that it belongs to; NULL: none */
    bool shared; /* others' processes were there before it was made for the container */
} ContainerCgroup;

#define CONTAINER_CGROUP_INIT                                                                                          \
    (ContainerCgroup)                                                                                                  \
    {                                                                                                                  \
        .top = -EBADF, .fd = -EBADF                                                                                    \
    }

/* Makes it: at cgroupsPath where that is absolute, below MOSS's own part otherwise. One that is there is taken, but not if it is frozen. Where an unprivileged user has been delegated none and no limit
 * is asked for, the container runs without. */
int container_cgroup_make(const Config *c, const char *id, ContainerCgroup *ret, Error *e);
/* Opens that of a container that is there; a NULL path gives the empty one, a NULL unit is none. */
int container_cgroup_open(const char *path, const char *unit, ContainerCgroup *ret, Error *e);
/* Kills what is in it and removes it. */
int container_cgroup_remove(const ContainerCgroup *g, Error *e);
/* Removes that of a creation that was cut off before its place was recorded, by finding it again. What lives on in it is not of that creation, as
 * that ends with its runtime: such a cgroup is left alone. */
int container_cgroup_remove_remains(const Config *c, const char *id, Error *e);
void container_cgroup_done(ContainerCgroup *g);

/* Gives it to the container's user where the container finds it mounted writable in a cgroup namespace of its own. */
int container_cgroup_delegate(const ContainerCgroup *g, const Config *c, Error *e);

/* Applies limits, device rules too; `o` may be NULL. */
int resources_apply(const ContainerCgroup *g, const json_t *o, Error *e);

/* cpu.shares (2…262144) and blockIO.weight (10…1000) of cgroup v1 as weights of cgroup v2 (1…10000). */
int64_t resources_cpu_weight(int64_t shares);
int64_t resources_io_weight(int64_t weight);

/* ---- shared by the files that apply limits ---- */

int resources_io(const ContainerCgroup *g, const json_t *o, Error *e);
int resources_hugepages(const ContainerCgroup *g, const json_t *list, Error *e);
int resources_rdma(const ContainerCgroup *g, const json_t *o, Error *e);
/* Writes a control file after making sure of its controller; `limit` is its name in errors. */
int resources_set(const ContainerCgroup *g, const char *limit, const char *file, const char *value, Error *e);
/* -1 and INT64_MAX: "max". */
int resources_set_number(const ContainerCgroup *g, const char *limit, const char *file, int64_t n, Error *e);

#endif
