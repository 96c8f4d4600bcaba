/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_STAGE_BRANCH_H
#define MOSS_STAGE_BRANCH_H

/* Candidates as commits in the agent's source repository: branches moss/<evolution> and moss/current, written with libgit2. The operator's own branches, index
 * and work tree are never touched. */

#include "evolve/coder/change.h"
#include "runtime/base/hash.h"

#define OID_SIZE 41

/* A commit on top of `parent` with the changes, named by branch moss/<evolution> (moved there from wherever it was). */
int branch_commit(const char *repository, const char *evolution, const char *parent, const ChangeSet *changes,
                  const char *message, char ret_commit[static OID_SIZE], Error *e);

/* Makes refs/heads/moss/<name> point to the commit. */
int branch_set(const char *repository, const char *name, const char *commit, Error *e);

typedef struct BranchDiff {
    char *text; /* unified diff, NUL-terminated */
    size_t len;
    char digest[DIGEST_SIZE]; /* sha256 of text */
    size_t files, insertions, deletions;
} BranchDiff;
int branch_diff(const char *repository, const char *from, const char *to, BranchDiff *ret, Error *e);
void branch_diff_done(BranchDiff *d);

#endif
