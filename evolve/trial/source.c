/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <limits.h>
#include <strings.h>
#include <sys/stat.h>

#include "evolve/ledger/git.h"
#include "runtime/base/fd.h"
#include "runtime/base/strbuf.h"

#define DEPTH_MAX 100U
#define ENTRIES_MAX 1000000U
#define BYTES_MAX ((uint64_t) 4 << 30)
#define NAMES_SHOWN 5U

DEFINE_TRIVIAL_CLEANUP(git_status_list *, git_status_list_free)
DEFINE_TRIVIAL_CLEANUP(git_object *, git_object_free)

static int open_repository(const char *path, git_repository **ret, Error *e)
{
    int r = git_begin(e);

    return r < 0 ? r : git_errorf(e, git_repository_open(ret, path), "cannot open the source repository %s", path);
}

/* ---- clean? ---- */

static const char *entry_path(const git_status_entry *s)
{
    const git_diff_delta *d = s->index_to_workdir ? s->index_to_workdir : s->head_to_index;

    return d->new_file.path ? d->new_file.path : d->old_file.path;
}

static int complain_dirty(const char *repository, git_status_list *list, size_t n, Error *e)
{
    _cleanup_(strbuf_done) StrBuf names = {};
    _cleanup_free_ char *text = NULL;

    for (size_t i = 0; i < MIN(n, NAMES_SHOWN); i++)
        strbuf_addf(&names, "%s%s", i ? ", " : "", entry_path(git_status_byindex(list, i)));
    if (n > NAMES_SHOWN)
        strbuf_addf(&names, " and %zu more", n - NAMES_SHOWN);
    text = strbuf_take(&names);
    return error_setf(e, -EUCLEAN, "%s has changes that are not committed: %s", repository, text ? text : "many");
}

int source_check_clean(const char *repository, Error *e)
{
    _cleanup_(git_repository_freep) git_repository *repo = NULL;
    _cleanup_(git_status_list_freep) git_status_list *list = NULL;
    git_status_options options = GIT_STATUS_OPTIONS_INIT;
    size_t n;
    int r;

    r = open_repository(repository, &repo, e);
    if (r < 0 || git_repository_is_bare(repo))
        return r;
    options.show = GIT_STATUS_SHOW_INDEX_AND_WORKDIR;
    options.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED;
    r = git_errorf(e, git_status_list_new(&list, repo, &options), "cannot compare %s with its commit", repository);
    if (r < 0)
        return r;
    n = git_status_list_entrycount(list);
    return n > 0 ? complain_dirty(repository, list, n, e) : 0;
}

/* ---- which commit? ---- */

int source_head(const char *repository, const char *branch, char ret_commit[static SOURCE_OID_SIZE], Error *e)
{
    _cleanup_(git_repository_freep) git_repository *repo = NULL;
    _cleanup_(git_reference_freep) git_reference *ref = NULL;
    _cleanup_(git_object_freep) git_object *commit = NULL;
    int r;

    r = open_repository(repository, &repo, e);
    if (r < 0)
        return r;
    r = git_errorf(e, git_branch_lookup(&ref, repo, branch, GIT_BRANCH_LOCAL), "%s: branch %s", repository, branch);
    if (r < 0)
        return r;
    r = git_errorf(e, git_reference_peel(&commit, ref, GIT_OBJECT_COMMIT), "%s: branch %s", repository, branch);
    if (r < 0)
        return r;
    git_oid_tostr(ret_commit, SOURCE_OID_SIZE, git_object_id(commit));
    return 0;
}

/* ---- checkout ---- */

typedef struct Checkout {
    git_repository *repo;
    StrBuf path; /* for messages */
    unsigned depth;
    size_t entries;
    uint64_t bytes;
    Error *e;
} Checkout;

static bool name_is_safe(const char *name)
{
    return *name && strlen(name) <= NAME_MAX && !strchr(name, '/') && !streq(name, ".") && !streq(name, "..") &&
           strcasecmp(name, ".git") != 0;
}

static int write_file(Checkout *c, int dirfd, const char *name, git_blob *blob, mode_t mode)
{
    _cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r;

    if (fd < 0)
        return error_errnof(c->e, -errno, "cannot make %s", c->path.data);
    r = fd_write_all(fd, git_blob_rawcontent(blob), (size_t) git_blob_rawsize(blob));
    if (r >= 0 && fchmod(fd, mode) < 0)
        r = -errno;
    return r < 0 ? error_errnof(c->e, r, "cannot write %s", c->path.data) : 0;
}

static int write_symlink(Checkout *c, int dirfd, const char *name, git_blob *blob)
{
    git_object_size_t size = git_blob_rawsize(blob);
    char target[PATH_MAX];

    if (size == 0 || size >= sizeof(target) || memchr(git_blob_rawcontent(blob), 0, (size_t) size))
        return error_setf(c->e, -EINVAL, "%s: no target for a symlink", c->path.data);
    memcpy(target, git_blob_rawcontent(blob), (size_t) size);
    target[size] = '\0';
    return symlinkat(target, dirfd, name) < 0 ? error_errnof(c->e, -errno, "cannot make %s", c->path.data) : 0;
}

static int write_blob(Checkout *c, int dirfd, const git_tree_entry *entry)
{
    _cleanup_(git_blob_freep) git_blob *blob = NULL;
    int r = git_errorf(c->e, git_blob_lookup(&blob, c->repo, git_tree_entry_id(entry)), "%s", c->path.data);

    if (r < 0)
        return r;
    c->bytes += (uint64_t) git_blob_rawsize(blob);
    if (c->bytes > BYTES_MAX)
        return error_setf(c->e, -E2BIG, "%s: the source is larger than %llu bytes", c->path.data,
                          (unsigned long long) BYTES_MAX);
    if (git_tree_entry_filemode(entry) == GIT_FILEMODE_LINK)
        return write_symlink(c, dirfd, git_tree_entry_name(entry), blob);
    return write_file(c, dirfd, git_tree_entry_name(entry), blob,
                      git_tree_entry_filemode(entry) == GIT_FILEMODE_BLOB_EXECUTABLE ? 0755 : 0644);
}

static int write_tree(Checkout *c, int dirfd, const git_oid *id);

static int write_directory(Checkout *c, int dirfd, const git_tree_entry *entry)
{
    const char *name = git_tree_entry_name(entry);
    _cleanup_close_ int fd = -EBADF;

    if (mkdirat(dirfd, name, 0755) < 0)
        return error_errnof(c->e, -errno, "cannot make %s", c->path.data);
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0755) < 0)
        return error_errnof(c->e, -errno, "cannot make %s", c->path.data);
    return write_tree(c, fd, git_tree_entry_id(entry));
}

static int write_entry(Checkout *c, int dirfd, const git_tree_entry *entry)
{
    const char *name = git_tree_entry_name(entry);

    if (!name_is_safe(name))
        return error_setf(c->e, -EINVAL, "%s: \"%s\" cannot be the name of a source file", c->path.data, name);
    if (++c->entries > ENTRIES_MAX)
        return error_setf(c->e, -E2BIG, "%s: the source has more than %u files", c->path.data, ENTRIES_MAX);
    switch (git_tree_entry_type(entry)) {
    case GIT_OBJECT_BLOB:
        return write_blob(c, dirfd, entry);
    case GIT_OBJECT_TREE:
        return write_directory(c, dirfd, entry);
    case GIT_OBJECT_COMMIT:
        return error_setf(c->e, -EOPNOTSUPP, "%s: is a submodule, which a source must not have", c->path.data);
    case GIT_OBJECT_ANY:
    case GIT_OBJECT_INVALID:
    case GIT_OBJECT_TAG:
    case GIT_OBJECT_OFS_DELTA:
    case GIT_OBJECT_REF_DELTA:
        break;
    }
    return error_setf(c->e, -EINVAL, "%s: neither a file nor a directory", c->path.data);
}

static int write_tree(Checkout *c, int dirfd, const git_oid *id)
{
    _cleanup_(git_tree_freep) git_tree *tree = NULL;
    size_t len = c->path.len;
    int r = git_errorf(c->e, git_tree_lookup(&tree, c->repo, id), "%s", len > 0 ? c->path.data : "source");

    if (r < 0)
        return r;
    if (c->depth >= DEPTH_MAX)
        return error_setf(c->e, -ELOOP, "%.200s...: more than %u directories deep", c->path.data, DEPTH_MAX);
    c->depth++;
    for (size_t i = 0; r >= 0 && i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);

        r = strbuf_addf(&c->path, "%s%s", len > 0 ? "/" : "", git_tree_entry_name(entry));
        if (r >= 0)
            r = write_entry(c, dirfd, entry);
        if (r < 0)
            break;
        c->path.len = len;
        c->path.data[len] = '\0';
    }
    c->depth--;
    return r;
}

int source_checkout(const char *repository, const char *commit, int dirfd, Error *e)
{
    _cleanup_(git_repository_freep) git_repository *repo = NULL;
    _cleanup_(git_commit_freep) git_commit *object = NULL;
    Checkout c = {.e = e};
    git_oid oid;
    int r;

    r = open_repository(repository, &repo, e);
    if (r < 0)
        return r;
    if (git_oid_fromstr(&oid, commit) < 0)
        return error_setf(e, -EINVAL, "\"%.60s\" is no commit", commit);
    r = git_errorf(e, git_commit_lookup(&object, repo, &oid), "%s: commit %s", repository, commit);
    if (r < 0)
        return r;
    c.repo = repo;
    r = write_tree(&c, dirfd, git_commit_tree_id(object));
    strbuf_done(&c.path);
    return r;
}
