/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_LINKS_H
#define MOSS_BASE_LINKS_H

/* Which entries of a tree are hard links of one file: a map from (device, inode) to the path where the file was met first.
 *
 *     _cleanup_(links_done) Links links = {};
 *     r = links_meet(&links, &st, path, &first);    1: it was met before, at `first`; 0: noted now
 *
 * Only files with more than one link need asking. `first` stays valid until links_done(). */

#include <sys/stat.h>

#include "macro.h"

typedef struct Link Link;

typedef struct Links {
    Link *slots;
    size_t n, size; /* open addressing; size is a power of two */
} Links;

int links_meet(Links *links, const struct stat *st, const char *path, const char **ret_first);
void links_done(Links *links);

#endif
