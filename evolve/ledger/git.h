/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_LEDGER_GIT_H
#define MOSS_LEDGER_GIT_H

/* libgit2 in the house idiom: cleanup of its objects and its errors as ours. */

#include <git2.h>

#include "runtime/base/error.h"

DEFINE_TRIVIAL_CLEANUP(git_repository *, git_repository_free)
DEFINE_TRIVIAL_CLEANUP(git_reference *, git_reference_free)
DEFINE_TRIVIAL_CLEANUP(git_commit *, git_commit_free)
DEFINE_TRIVIAL_CLEANUP(git_tree *, git_tree_free)
DEFINE_TRIVIAL_CLEANUP(git_tree_entry *, git_tree_entry_free)
DEFINE_TRIVIAL_CLEANUP(git_blob *, git_blob_free)
DEFINE_TRIVIAL_CLEANUP(git_signature *, git_signature_free)
DEFINE_TRIVIAL_CLEANUP(git_diff *, git_diff_free)
DEFINE_TRIVIAL_CLEANUP(git_diff_stats *, git_diff_stats_free)
DEFINE_TRIVIAL_CLEANUP(git_revwalk *, git_revwalk_free)
DEFINE_TRIVIAL_CLEANUP(git_reference_iterator *, git_reference_iterator_free)

/* Counts the library's users; the first call prepares it, with fsync of what is written. */
int git_begin(Error *e);

/* "text: what libgit2 says" and the errno that comes nearest to its code. Success (rc >= 0) gives 0 and leaves *e alone. */
int git_errorf(Error *e, int rc, const char *fmt, ...) _printf_(3, 4);

/* The author of what MOSS commits, now. */
int git_moss_signature(git_signature **ret, Error *e);

#endif
