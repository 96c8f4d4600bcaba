/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_MOUNT_OPTIONS_H
#define MOSS_OCI_MOUNT_OPTIONS_H

/* Options of a mount, as fstab and the runtime specification write them ("ro", "nosuid", "rro", "rprivate", "mode=755"), sorted by what
 * has to be done with each. What is not known is a parameter of the file system and goes to fsconfig(2); an empty one, which podman writes, says nothing. */

#include <stdint.h>

#include "runtime/base/error.h"

typedef struct MountOptions {
    bool bind;
    bool recursive;        /* rbind */
    uint64_t attr_set;     /* MOUNT_ATTR_* of the mount itself */
    uint64_t attr_clear;   /* of the mount itself: what the source has and the container shall not */
    uint64_t attr_set_rec; /* of the whole tree: rro, rnosuid, … */
    uint64_t attr_clear_rec;
    uint64_t propagation;    /* MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE, perhaps with MS_REC; 0: as the root */
    bool read_only;          /* the super block too, where it is a new one */
    bool copy_up;            /* tmpcopyup */
    bool remount;            /* change the mount that is there */
    bool idmap;              /* idmap, ridmap */
    bool idmap_recursive;    /* ridmap */
    const char **parameters; /* "key" or "key=value", NULL-terminated; the strings belong to the caller's options */
    const char **flags;      /* parameters that fsconfig(2) takes as flags of every file system: sync, dirsync, … */
    const char **tried; /* the same, of some file systems only; the others do as they always do: iversion, acl, … */
} MountOptions;

/* `options` may be NULL. */
int mount_options_parse(const char *const *options, MountOptions *ret);
void mount_options_done(MountOptions *o);

/* Calls `f` with the name of each option that is known here. */
void mount_options_each(void (*f)(void *arg, const char *name), void *arg);

/* MS_* flags of "rslave" and the like; 0 if it is none of them. */
uint64_t mount_propagation(const char *name);

#endif
