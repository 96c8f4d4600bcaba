/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/ledger/git.h"

#include <stdarg.h>
#include <stdio.h>

int git_begin(Error *e)
{
    int rc = git_libgit2_init();

    if (rc < 0)
        return git_errorf(e, rc, "cannot prepare libgit2");
    git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
    return 0;
}

static int git_errno(int rc)
{
    switch (rc) {
    case GIT_ENOTFOUND:
        return -ENOENT;
    case GIT_EEXISTS:
        return -EEXIST;
    case GIT_ELOCKED:
        return -EBUSY;
    case GIT_EINVALIDSPEC:
        return -EINVAL;
    case GIT_EOWNER:
        return -EPERM;
    default:
        return -EIO;
    }
}

int git_errorf(Error *e, int rc, const char *fmt, ...)
{
    const git_error *last;
    char text[600];
    va_list ap;

    if (rc >= 0)
        return 0;
    last = git_error_last();
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_setf(e, git_errno(rc), "%s: %s", text,
                      last && last->message ? last->message : "unknown error of libgit2");
}

int git_moss_signature(git_signature **ret, Error *e)
{
    return git_errorf(e, git_signature_now(ret, "MOSS", "moss@localhost"), "cannot make a git signature");
}
