/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_MIRROR_FILE_H
#define MOSS_SWAP_MIRROR_FILE_H

/* The parts of mirror.h that know single inodes: what is remembered of them, how they are opened, what they carry. */

#include <sys/stat.h>

#include "mirror.h"

typedef struct MirrorEntry {
    uint64_t dev, ino, copy_ino;
    int64_t size;
    struct timespec ctime, mtime;
} MirrorEntry;

/* ---- what is remembered: more than the index holds is forgotten, and copied once more ---- */

void mirror_index_clear(MirrorIndex *index);

/* A source that was `before` before it was copied and is `after` now, to inode `copy`: unless the two differ, or may without showing it. `index` may be NULL. */
void mirror_note(MirrorIndex *index, const struct stat *before, const struct stat *after, ino_t copy);
void mirror_note_again(MirrorIndex *index, const MirrorEntry *entry);

/* An index by inode. */
typedef struct MirrorLookup {
    const MirrorIndex *index;
    uint32_t *slots;
    size_t size;
} MirrorLookup;

int mirror_lookup_init(MirrorLookup *lookup, const MirrorIndex *index);
/* NULL if it is not known, or is not what it was. */
const MirrorEntry *mirror_lookup(const MirrorLookup *lookup, const struct stat *st);
void mirror_lookup_done(MirrorLookup *lookup);

/* ---- inodes ---- */

/* Opens a regular file, and says what it is; -ESTALE if there is no such any more. `live`: what is stored to it through mappings from now on shows in its ctime. */
int mirror_open_file(int dirfd, const char *name, bool live, struct stat *ret);

/* Makes the xattrs of `to` those of `from`; one that has them already is not touched. */
int mirror_xattrs(int from, int to);

/* Has the copy of a directory been left alone, and owner, mode and time of its source? */
bool mirror_is_same(const struct stat *source, const struct stat *before, const struct stat *after);

#endif
