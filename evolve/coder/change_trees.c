/* SPDX-License-Identifier: Apache-2.0 */
/* What a coding agent changed in a worktree that it could write: found by comparing it with the tree it was copied from. Everything in there is hostile; only
 * regular files and directories are taken over, and nothing is followed. */
#include <stdio.h>
#include <sys/stat.h>

#include "evolve/coder/change.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/strbuf.h"

#define TREE_DEPTH_MAX 64

typedef struct Entry {
    char *path;
    mode_t mode;
    off_t size;
} Entry;

typedef struct Tree {
    int fd;
    Entry *entries; /* without directories, sorted by path */
    size_t n, size;
    size_t seen;
} Tree;

static void tree_done(Tree *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->entries[i].path);
    free(t->entries);
}

static int tree_add(Tree *t, char *path, const struct stat *st)
{
    if (t->n == t->size) {
        size_t size = t->size ? 2 * t->size : 64;
        Entry *grown = realloc(t->entries, size * sizeof(*grown));

        if (!grown) {
            free(path);
            return -ENOMEM;
        }
        t->entries = grown;
        t->size = size;
    }
    t->entries[t->n++] = (Entry){.path = path, .mode = st->st_mode, .size = st->st_size};
    return 0;
}

static int tree_walk(Tree *t, int fd, const char *prefix, unsigned depth, Error *e);

static int tree_visit(Tree *t, int dirfd, const char *prefix, const char *name, unsigned depth, Error *e)
{
    _cleanup_free_ char *path = *prefix ? xasprintf("%s/%s", prefix, name) : strdup(name);
    struct stat st;
    int fd;

    if (!path)
        return -ENOMEM;
    if (++t->seen > CHANGE_TREE_MAX)
        return error_setf(e, -EBADMSG, "the worktree holds more than %d files and directories", CHANGE_TREE_MAX);
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errnof(e, -errno, "%.200s", path);
    if (!S_ISDIR(st.st_mode))
        return tree_add(t, TAKE_PTR(path), &st);
    if (depth >= TREE_DEPTH_MAX)
        return error_setf(e, -EBADMSG, "the worktree is more than %d directories deep", TREE_DEPTH_MAX);
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errnof(e, -errno, "%.200s", path);
    return tree_walk(t, fd, path, depth + 1, e);
}

/* Takes the fd. */
static int tree_walk(Tree *t, int fd, const char *prefix, unsigned depth, Error *e)
{
    _cleanup_closedir_ DIR *dir = fdopendir(fd);
    const struct dirent *d;

    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    while ((d = readdir(dir))) {
        int r;

        if (streq(d->d_name, ".") || streq(d->d_name, ".."))
            continue;
        r = tree_visit(t, dirfd(dir), prefix, d->d_name, depth, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int entry_compare(const void *a, const void *b)
{
    return strcmp(((const Entry *) a)->path, ((const Entry *) b)->path);
}

static int tree_list(int fd, Tree *ret, Error *e)
{
    _cleanup_(tree_done) Tree t = {.fd = fd};
    int top = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

    if (top < 0)
        return error_errnof(e, -errno, "cannot open the worktree");
    r = tree_walk(&t, top, "", 0, e);
    if (r < 0)
        return r;
    if (t.n > 0)
        qsort(t.entries, t.n, sizeof(*t.entries), entry_compare);
    *ret = t;
    t = (Tree){};
    return 0;
}

static int entry_read(const Tree *t, const Entry *entry, char **ret, size_t *ret_len, Error *e)
{
    _cleanup_close_ int fd = openat_beneath(t->fd, entry->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    int r;

    if (fd < 0)
        return error_errnof(e, fd, "%.200s", entry->path);
    if (entry->size > (off_t) CHANGE_FILE_MAX)
        return error_setf(e, -EBADMSG, "%.200s is larger than %zu bytes", entry->path, CHANGE_FILE_MAX);
    r = file_read_fd(fd, CHANGE_FILE_MAX, ret, ret_len);
    return r < 0 ? error_errnof(e, r, "%.200s", entry->path) : 0;
}

/* The same thing, without reading it where the types tell? 1 the same, 0 to be looked at as a file, -EBADMSG not to be taken. */
static int entry_same(const Tree *base, const Entry *old, const Tree *work, const Entry *new, Error *e)
{
    char a[4096], b[4096];
    ssize_t n, m;

    if (S_ISREG(new->mode))
        return 0;
    if (!old || !S_ISLNK(new->mode) || !S_ISLNK(old->mode))
        return error_setf(e, -EBADMSG, "%.200s: a %s was made; only regular files are taken", new->path,
                          S_ISLNK(new->mode) ? "symbolic link" : "special file");
    n = readlinkat(base->fd, old->path, a, sizeof(a));
    m = readlinkat(work->fd, new->path, b, sizeof(b));
    if (n < 0 || n != m || memcmp(a, b, (size_t) n) != 0)
        return error_setf(e, -EBADMSG, "%.200s: a symbolic link was changed", new->path);
    return 1;
}

/* Takes `data`. */
static int set_put(ChangeSet *set, const char *path, char *data, size_t len, bool executable, const char *const *globs,
                   Error *e)
{
    _cleanup_free_ char *taken = data;
    int r = change_path_check(path, globs, e);

    if (r < 0)
        return r;
    if (set->n == CHANGE_FILES_MAX)
        return error_setf(e, -EBADMSG, "more than %d files were changed", CHANGE_FILES_MAX);
    return change_set_add(set, path, TAKE_PTR(taken), len, executable);
}

static int compare_entry(const Tree *base, const Entry *old, const Tree *work, const Entry *new,
                         const char *const *globs, ChangeSet *set, Error *e)
{
    _cleanup_free_ char *before = NULL, *after = NULL;
    size_t len = 0, before_len = 0;
    bool executable;
    int r;

    if (!new)
        return !old ? 0 : set_put(set, old->path, NULL, 0, false, globs, e);
    r = entry_same(base, old, work, new, e);
    if (r != 0)
        return MIN(r, 0);
    executable = new->mode &S_IXUSR;
    r = entry_read(work, new, &after, &len, e);
    if (r < 0)
        return r;
    if (old && S_ISREG(old->mode)) {
        if (old->size <= (off_t) CHANGE_FILE_MAX) {
            r = entry_read(base, old, &before, &before_len, e);
            if (r < 0)
                return r;
        }
        if (before && before_len == len && memcmp(before, after, len) == 0 && executable == !!(old->mode & S_IXUSR))
            return 0;
    }
    return set_put(set, new->path, TAKE_PTR(after), len, executable, globs, e);
}

int change_from_trees(int base_fd, int work_fd, const char *const *globs, ChangeSet *ret, Error *e)
{
    _cleanup_(change_set_done) ChangeSet set = {};
    _cleanup_(tree_done) Tree base = {}, work = {};
    size_t i = 0, k = 0;
    int r;

    if ((r = tree_list(base_fd, &base, e)) < 0 || (r = tree_list(work_fd, &work, e)) < 0)
        return r;
    while (i < base.n || k < work.n) {
        const Entry *old = i < base.n ? &base.entries[i] : NULL, *new = k < work.n ? &work.entries[k] : NULL;
        int c = !old ? 1 : !new ? -1 : strcmp(old->path, new->path);

        if (c > 0)
            old = NULL;
        if (c < 0)
            new = NULL;
        i += old != NULL;
        k += new != NULL;
        r = compare_entry(&base, old, &work, new, globs, &set, e);
        if (r < 0)
            return r;
    }
    *ret = set;
    set = (ChangeSet){};
    return 0;
}
