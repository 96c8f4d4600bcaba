/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CODER_CHANGE_H
#define MOSS_CODER_CHANGE_H

/* What a candidate changes: whole new contents of files, relative to a tree it was made from.
 *
 * It comes from a coding agent, so all of it is checked: paths are relative, plain and inside the tree, nothing protected is touched, only regular files are
 * written. A ChangeSet that these functions return is safe to write beneath a directory that nobody else can write. */

#include <jansson.h>

#include "runtime/base/error.h"

typedef struct Change {
    char *path;
    char *data; /* NULL: the file is removed */
    size_t len;
    bool executable;
} Change;

typedef struct ChangeSet {
    Change *changes; /* by path, each once */
    size_t n;
} ChangeSet;

#define CHANGE_FILE_MAX ((size_t) 4 << 20)
#define CHANGE_FILES_MAX 512
#define CHANGE_TREE_MAX 20000 /* files and directories that are compared */

/* Is the path a plain relative one, and not below .git? */
bool change_path_valid(const char *path);
/* Does one of the globs (fnmatch; "dir/" and "dir" cover all below) match? `globs` may be NULL. */
bool change_path_protected(const char *path, const char *const *globs);

/* -EBADMSG, with the reason, when a candidate may not change this path. */
int change_path_check(const char *path, const char *const *protected_globs, Error *e);

/* Takes `data`, on failure too. The caller has checked the path. */
int change_set_add(ChangeSet *set, const char *path, char *data, size_t len, bool executable);

/* From line edits (array of {"path","start","end","lines"}) on the tree `base`. -EBADMSG with the reason when they are not what they must be. */
int change_from_edits(int base, const json_t *edits, const char *const *protected_globs, ChangeSet *ret, Error *e);

/* From comparing the tree `work`, which a coding agent could write, with the tree `base`. -EBADMSG: it did what it may not. An empty set is not an error. */
int change_from_trees(int base, int work, const char *const *protected_globs, ChangeSet *ret, Error *e);

/* Writes the changes into a tree, or, with `undo` (the tree they were made from), puts back what they changed. */
int change_write(int tree, const ChangeSet *set, Error *e);
int change_undo(int tree, int base, const ChangeSet *set, Error *e);

void change_set_done(ChangeSet *set);

#endif
