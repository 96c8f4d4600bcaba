/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_MIRROR_H
#define MOSS_SWAP_MIRROR_H

/* Makes one tree the same as another, and does it again when that has changed, at the cost of the changes.
 *
 *     mirror_pass(&(MirrorSpec){from, to, NULL, first, .live = true}, e)     while the tree is written to; `to` is an empty directory
 *     mirror_pass(&(MirrorSpec){from, to, first, second, .live = true}, e)   as often as one likes
 *     mirror_pass(&(MirrorSpec){from, to, second, NULL}, e)                  nobody writes any more: now they are the same, and `to` is durable
 *
 * The same are: names, types, content, holes, owners, modes, xattrs, times of modification, which names are hard links of one file. Sockets are left out: what would
 * answer them has ended. Whatever else a tree holds is copied or is an error, nothing is skipped.
 *
 * A pass trusts an earlier one for a file only if device, inode, size, mtime and ctime are what that one saw before it copied, and the copy is the inode
 * that it made. ctime is what nobody can set. It does not tell two changes within one tick of the clock apart, so a file that had just been changed is not trusted; and a
 * store through a mapping changes it only when the page was clean, so live passes write the pages of each file back first (which needs a file
 * system that notices then: mirror_worthwhile()).
 *
 * The tree is hostile: nothing in it is followed, opened with a side effect, or named by a path of more than one component. More than MIRROR_DEPTH_MAX directories deep, or
 * paths of more than PATH_MAX, are refused. Nobody but us may write to the copy. */

#include "runtime/base/error.h"

#define MIRROR_DEPTH_MAX 256U

/* What a pass saw and made; in memory that is shared with children, so that one of them may make the pass. */
typedef struct MirrorIndex MirrorIndex;
MirrorIndex *mirror_index_new(void);
MirrorIndex *mirror_index_free(MirrorIndex *index);
DEFINE_TRIVIAL_CLEANUP(MirrorIndex *, mirror_index_free)

typedef struct MirrorSpec {
    int from, to;             /* O_RDONLY directories */
    const MirrorIndex *known; /* of the pass before, which was over the same two; NULL: `to` is empty */
    MirrorIndex *seen;        /* for the next one; NULL: none will follow */
    bool live; /* somebody writes meanwhile: what vanishes is left to the next pass, and nothing is made durable */
} MirrorSpec;

/* Returns how many files were copied. After a failure `to` is of no use any more. */
int mirror_pass(const MirrorSpec *spec, Error *e);

/* Does this file system tell of stores through mappings, so that a live pass saves the last one anything? */
bool mirror_worthwhile(int fd);

#endif
