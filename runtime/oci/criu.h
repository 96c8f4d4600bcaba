/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_CRIU_H
#define MOSS_OCI_CRIU_H

/* Checkpoint and restore of containers by the program criu(8), through its command line.
 *
 * What the container has of the host is external to criu: bind mounts, masked paths, joined namespaces, standard streams. Mounts go by their destination; what the
 * streams were stands in the images as descriptors.json, ["pipe:[5]","file[1c:3]",…], and those of the caller of `restore` take their place. A
 * terminal cannot be given back this way: criu sends it to callers of its library only. */

#include "config.h"
#include "resources.h"
#include "state.h"

typedef struct CriuOptions {
    const char *program; /* NULL: criu, of PATH */
    const char *images, *work;
    const char *parent;      /* relative to `images`; NULL: none */
    const char *cgroups;     /* mode; NULL: soft */
    const char *page_server; /* ADDRESS:PORT; NULL: none */
    const char *lsm_profile, *lsm_mount_context;
    int status_fd; /* -1: none */
    bool leave_running, pre_dump, tcp_established, ext_unix_sk, shell_job, file_locks, lazy_pages, auto_dedup,
        empty_network;
} CriuOptions;

/* Checks what can be known before anything is made. */
int criu_check(const CriuOptions *o, const Config *c, Error *e);

/* Writes the images. The container ends, unless it is to be left running or this is a pre-dump. */
int criu_dump(const CriuOptions *o, const Config *c, const State *s, const ContainerCgroup *g, Error *e);

/* Makes the process from them, which is a child of the caller's. Returns its pid. */
pid_t criu_restore(const CriuOptions *o, const Config *c, const State *s, Error *e);

#endif
