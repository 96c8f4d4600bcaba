/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_FILESYSTEM_H
#define MOSS_OCI_FILESYSTEM_H

/* Instances of file systems, for those mounts of config.json that are no bind mounts. */

#include "config.h"

/* A new one as a detached mount, writable still. `label`: linux.mountLabel or NULL. Returns its fd. */
int filesystem_make(const ConfigMount *c, const char *label, Error *e);

/* "remount": the options of `c` that are the file system's, given to that which is mounted at the fd. */
int filesystem_change(int mount, const ConfigMount *c, Error *e);

/* A small tmpfs as a detached mount, on which devices work. */
int filesystem_for_nodes(const char *label);

/* An empty directory that nothing can be written to, as a detached mount. */
int filesystem_empty(const char *label);

#endif
