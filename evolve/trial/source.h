/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_TRIAL_SOURCE_H
#define MOSS_TRIAL_SOURCE_H

/* The agent's source repository, read with libgit2. Nothing is ever written to it here.
 *
 * What a commit holds may come from a coding agent: names are checked before they become names of files, everything is made beneath a directory fd, sizes
 * and depth are bounded. Contents are written as they are stored: filters (line ends, LFS) are the build's business. Submodules are refused. */

#include "runtime/base/error.h"

#define SOURCE_OID_SIZE 41

/* -EUCLEAN, with the names of the first few, when the work tree has changes that are not committed (untracked files count, ignored ones do not): what would
 * be built is not what the operator sees. A bare repository is clean. */
int source_check_clean(const char *repository, Error *e);

/* The commit that a branch points to. */
int source_head(const char *repository, const char *branch, char ret_commit[static SOURCE_OID_SIZE], Error *e);

/* Writes the tree of a commit into an empty directory. Executable bits survive, owners and times do not. */
int source_checkout(const char *repository, const char *commit, int dirfd, Error *e);

#endif
