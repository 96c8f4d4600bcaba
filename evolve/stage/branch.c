/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/stage/branch.h"

#include <stdio.h>

#include "evolve/ledger/git.h"

#define BRANCHES "refs/heads/moss/"

typedef struct Source {
    git_repository *repository;
    const char *path;
    bool begun;
} Source;

static void source_done(Source *s)
{
    git_repository_free(s->repository);
    if (s->begun)
        git_libgit2_shutdown();
}

static int source_open(const char *path, Source *ret, Error *e)
{
    Source s = {.path = path};
    int r = git_begin(e);

    if (r < 0)
        return r;
    s.begun = true;
    r = git_errorf(e, git_repository_open(&s.repository, path), "cannot open the source repository %s", path);
    if (r < 0) {
        source_done(&s);
        return r;
    }
    *ret = s;
    return 0;
}

static int commit_lookup(const Source *s, const char *hex, git_commit **ret_commit, git_tree **ret_tree, Error *e)
{
    _cleanup_(git_commit_freep) git_commit *commit = NULL;
    git_oid oid;
    int rc = git_oid_fromstr(&oid, hex);

    if (rc >= 0)
        rc = git_commit_lookup(&commit, s->repository, &oid);
    if (rc >= 0 && ret_tree)
        rc = git_commit_tree(ret_tree, commit);
    if (rc < 0)
        return git_errorf(e, rc, "%s: commit %.40s", s->path, hex);
    *ret_commit = TAKE_PTR(commit);
    return 0;
}

static int tree_with(const Source *s, git_tree *base, const ChangeSet *set, git_oid *ret, Error *e)
{
    _cleanup_free_ git_tree_update *updates = calloc(set->n + 1, sizeof(*updates));

    if (!updates)
        return -ENOMEM;
    for (size_t i = 0; i < set->n; i++) {
        const Change *c = &set->changes[i];
        int rc = 0;

        updates[i].path = c->path;
        updates[i].filemode = c->executable ? GIT_FILEMODE_BLOB_EXECUTABLE : GIT_FILEMODE_BLOB;
        updates[i].action = c->data ? GIT_TREE_UPDATE_UPSERT : GIT_TREE_UPDATE_REMOVE;
        if (c->data)
            rc = git_blob_create_from_buffer(&updates[i].id, s->repository, c->data, c->len);
        if (rc < 0)
            return git_errorf(e, rc, "%s: cannot write %s", s->path, c->path);
    }
    return git_errorf(e, git_tree_create_updated(ret, s->repository, base, set->n, updates), "%s: cannot write a tree",
                      s->path);
}

static int set_ref(const Source *s, const char *name, const git_oid *oid, Error *e)
{
    _cleanup_(git_reference_freep) git_reference *ref = NULL;
    char full[200];

    snprintf(full, sizeof(full), BRANCHES "%s", name);
    return git_errorf(e, git_reference_create(&ref, s->repository, full, oid, 1, "moss"), "%s: cannot set %s", s->path,
                      full);
}

int branch_commit(const char *repository, const char *evolution, const char *parent_hex, const ChangeSet *changes,
                  const char *message, char ret_commit[static OID_SIZE], Error *e)
{
    _cleanup_(source_done) Source s = {};
    _cleanup_(git_commit_freep) git_commit *parent = NULL;
    _cleanup_(git_tree_freep) git_tree *base = NULL, *tree = NULL;
    _cleanup_(git_signature_freep) git_signature *who = NULL;
    const git_commit *parents[1];
    git_oid oid;
    int r;

    if ((r = source_open(repository, &s, e)) < 0 || (r = commit_lookup(&s, parent_hex, &parent, &base, e)) < 0 ||
        (r = tree_with(&s, base, changes, &oid, e)) < 0 || (r = git_moss_signature(&who, e)) < 0)
        return r;
    r = git_errorf(e, git_tree_lookup(&tree, s.repository, &oid), "%s: cannot read back a tree", repository);
    if (r < 0)
        return r;
    parents[0] = parent;
    r = git_errorf(e, git_commit_create(&oid, s.repository, NULL, who, who, NULL, message, tree, 1, parents),
                   "%s: cannot commit", repository);
    if (r < 0)
        return r;
    r = set_ref(&s, evolution, &oid, e);
    if (r < 0)
        return r;
    git_oid_tostr(ret_commit, OID_SIZE, &oid);
    return 0;
}

int branch_set(const char *repository, const char *name, const char *commit_hex, Error *e)
{
    _cleanup_(source_done) Source s = {};
    _cleanup_(git_commit_freep) git_commit *commit = NULL;
    int r;

    if ((r = source_open(repository, &s, e)) < 0 || (r = commit_lookup(&s, commit_hex, &commit, NULL, e)) < 0)
        return r;
    return set_ref(&s, name, git_commit_id(commit), e);
}

void branch_diff_done(BranchDiff *d)
{
    free(d->text);
    *d = (BranchDiff){};
}

static int diff_text(git_diff *diff, BranchDiff *d)
{
    _cleanup_(git_diff_stats_freep) git_diff_stats *stats = NULL;
    git_buf buf = {};
    int rc = git_diff_get_stats(&stats, diff);

    if (rc >= 0)
        rc = git_diff_to_buf(&buf, diff, GIT_DIFF_FORMAT_PATCH);
    if (rc < 0)
        return rc;
    d->text = malloc(buf.size + 1);
    if (d->text) {
        memcpy(d->text, buf.ptr ?: "", buf.size);
        d->text[buf.size] = '\0';
    }
    d->len = buf.size;
    d->files = git_diff_stats_files_changed(stats);
    d->insertions = git_diff_stats_insertions(stats);
    d->deletions = git_diff_stats_deletions(stats);
    git_buf_dispose(&buf);
    return 0;
}

int branch_diff(const char *repository, const char *from, const char *to, BranchDiff *ret, Error *e)
{
    _cleanup_(source_done) Source s = {};
    _cleanup_(git_commit_freep) git_commit *a = NULL, *b = NULL;
    _cleanup_(git_tree_freep) git_tree *before = NULL, *after = NULL;
    _cleanup_(git_diff_freep) git_diff *diff = NULL;
    /* Pinned, so that the digest does not hang on anybody's git configuration. */
    git_diff_options options = GIT_DIFF_OPTIONS_INIT;
    BranchDiff d = {};
    int r;

    options.context_lines = 3;
    options.interhunk_lines = 0;
    options.id_abbrev = 12;
    options.old_prefix = "a";
    options.new_prefix = "b";
    if ((r = source_open(repository, &s, e)) < 0 || (r = commit_lookup(&s, from, &a, &before, e)) < 0 ||
        (r = commit_lookup(&s, to, &b, &after, e)) < 0)
        return r;
    r = git_diff_tree_to_tree(&diff, s.repository, before, after, &options);
    if (r >= 0)
        r = diff_text(diff, &d);
    if (r < 0)
        return git_errorf(e, r, "%s: cannot compare %.12s with %.12s", repository, from, to);
    if (!d.text)
        return -ENOMEM;
    hash_buffer(d.text, d.len, d.digest);
    *ret = d;
    return 0;
}
