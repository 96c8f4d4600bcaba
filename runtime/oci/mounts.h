/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_MOUNTS_H
#define MOSS_OCI_MOUNTS_H

/* The container's mounts, devices and covered paths. All of it works on fds: a source is a detached tree (open_tree(2), fsmount(2)) before anything of the
 * container is looked at, a target is an fd below the root (rootfs.h), and nothing is looked up again after it was mounted.
 *
 * Calling sequence, in the process that will be the container, in its mount namespace:
 *
 *     mounts_open_idmaps()    by the runtime, which may still make user namespaces
 *     devices_make()          by a privileged runtime, for a container with a user namespace, in which nobody can
 *     mounts_open_root()      the bundle's root as a mount of its own
 *     mounts_open_sources()   before the propagation of the host's mounts is changed; and earlier, by the runtime, when the container's user
 *                             namespace could not reach what is bound: file systems are made `inside`
 *     mounts_attach_root()    the root, where it lies; in a shared mount namespace all of it is seen there
 *     mounts_apply()          `mounts` of config.json in their order
 *     devices_apply()         /dev: nodes, links
 *     masks_apply()           masked and read-only paths
 *     mounts_seal()           what had to stay writable until here becomes read-only
 */

#include "config.h"

typedef struct Mounts {
    const Config *config;
    int bundle;        /* directory that relative paths of the configuration start from */
    bool shared_users; /* no new user namespace: mknod(2) works */
    int root;          /* of the container */
    int place;         /* where it is attached */
    int *sources;      /* a detached tree for each mount; -EBADF: not opened yet, or a remount */
    int *read_only;    /* mounts that mounts_seal() makes so, else -EBADF */
    int *idmaps;       /* a user namespace for each mount with mapped owners, else -EBADF */
    int null;          /* the host's /dev/null */
    int nodes;         /* a detached tmpfs with the devices of config.json as "0", "1", …; or -EBADF */
    int proc, sys;     /* what was mounted on /proc and /sys, whatever these names lead to by now; else -EBADF */
} Mounts;

#define MOUNTS_INIT                                                                                                    \
    {                                                                                                                  \
        .bundle = -EBADF, .root = -EBADF, .place = -EBADF, .null = -EBADF, .nodes = -EBADF, .proc = -EBADF,            \
        .sys = -EBADF                                                                                                  \
    }

/* Takes over the fd of the bundle. */
int mounts_init(Mounts *m, const Config *config, int bundle, Error *e);
void mounts_done(Mounts *m);
/* Closes all fds but that of the root. */
void mounts_close_sources(Mounts *m);

int mounts_open_idmaps(Mounts *m, Error *e);
int devices_make(Mounts *m, Error *e);
int mounts_open_sources(Mounts *m, bool inside, Error *e);
int mounts_open_root(Mounts *m, Error *e);
int mounts_attach_root(Mounts *m, Error *e);
int mounts_apply(Mounts *m, Error *e);
int devices_apply(Mounts *m, Error *e);
int masks_apply(Mounts *m, Error *e);
int mounts_seal(Mounts *m, Error *e);

/* Makes the root "/" and lets go of the old one. */
int mounts_enter_root(Mounts *m, Error *e);
/* The same where pivot_root(2) cannot be had, as on an initramfs: moves the root on top of the old one, of which only an empty place stays. */
int mounts_cover_root(Mounts *m, Error *e);

/* An O_PATH fd of the host's device `path`, after checking that it is this very device. */
int device_open_host(const char *path, mode_t type, dev_t number);

/* A detached mount of one file or directory, for attaching somewhere else. */
int mounts_clone(int fd, bool recursive);

#endif
