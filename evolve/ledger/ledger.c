/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/ledger/ledger.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/file.h>

#include "evolve/ledger/git.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define REFS "refs/evolutions/"
#define EVOLUTIONS_MAX 9999

struct Ledger {
    git_repository *repository;
    char *path;
    int fd; /* of the repository's directory */
};

Ledger *ledger_free(Ledger *l)
{
    if (!l)
        return NULL;
    git_repository_free(l->repository);
    fd_closep(&l->fd);
    free(l->path);
    free(l);
    git_libgit2_shutdown();
    return NULL;
}

/* A bare repository that is complete: it is made under another name and renamed, so that a killed maker leaves none that is half there. */
static int repository_make(const char *directory, const char *path, Error *e)
{
    _cleanup_close_ int dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_free_ char *draft = xasprintf("%s/ledger.git.new", directory);
    git_repository *made = NULL;
    int r;

    if (dirfd < 0)
        return error_errnof(e, -errno, "%s", directory);
    if (!draft)
        return -ENOMEM;
    r = rm_rf_at(dirfd, "ledger.git.new");
    if (r < 0)
        return error_errnof(e, r, "cannot remove %s", draft);
    r = git_errorf(e, git_repository_init(&made, draft, 1), "cannot make the ledger %s", draft);
    git_repository_free(made);
    if (r < 0)
        return r;
    if (renameat(dirfd, "ledger.git.new", dirfd, "ledger.git") < 0)
        return error_errnof(e, -errno, "cannot make the ledger %s", path);
    if (fsync(dirfd) < 0)
        return error_errnof(e, -errno, "cannot sync %s", directory);
    return 0;
}

int ledger_open(const char *agent_directory, Ledger **ret, Error *e)
{
    _cleanup_(ledger_freep) Ledger *l = NULL;
    Ledger *made;
    int r;

    r = git_begin(e);
    if (r < 0)
        return r;
    made = calloc(1, sizeof(*made));
    if (!made) {
        git_libgit2_shutdown();
        return -ENOMEM;
    }
    l = made;
    l->fd = -EBADF;
    l->path = xasprintf("%s/ledger.git", agent_directory);
    if (!l->path)
        return -ENOMEM;
    if (access(l->path, F_OK) < 0) {
        r = repository_make(agent_directory, l->path, e);
        if (r < 0)
            return r;
    }
    r = git_errorf(e, git_repository_open_bare(&l->repository, l->path), "cannot open the ledger %s", l->path);
    if (r < 0)
        return r;
    l->fd = open(l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->fd < 0)
        return error_errnof(e, -errno, "%s", l->path);
    *ret = TAKE_PTR(l);
    return 0;
}

bool ledger_id_valid(const char *id)
{
    if (!startswith(id, "e-") || strlen(id) != 6)
        return false;
    for (const char *p = id + 2; *p; p++)
        if (!isdigit((unsigned char) *p))
            return false;
    return true;
}

static int ref_name(const char *id, char ret[static 40], Error *e)
{
    if (!ledger_id_valid(id))
        return error_setf(e, -EINVAL, "\"%.40s\" is no evolution; they are called e-0001, e-0002, …", id);
    snprintf(ret, 40, REFS "%s", id);
    return 0;
}

/* ---- steps ---- */

/* What may become a path in a tree that people check out: nothing that a shell, git or a path walk takes for more than a name. */
static bool artifact_path_valid(const char *path)
{
    size_t start = 0, n = strlen(path);

    if (n == 0 || n > 200)
        return false;
    for (size_t i = 0; i <= n; i++) {
        if (path[i] && path[i] != '/') {
            if (!isalnum((unsigned char) path[i]) && !strchr("._-", path[i]))
                return false;
            continue;
        }
        if (i == start || path[start] == '.')
            return false;
        start = i + 1;
    }
    return true;
}

void ledger_put(LedgerStep *step, const char *path, const void *data, size_t len)
{
    LedgerFile f = {.len = len}, *grown;

    if (step->failed || !artifact_path_valid(path) || len > LEDGER_ARTIFACT_MAX) {
        step->failed = true;
        return;
    }
    f.path = strdup(path);
    f.data = malloc(len + 1);
    grown = realloc(step->files, (step->n + 1) * sizeof(*grown));
    if (grown)
        step->files = grown;
    if (!f.path || !f.data || !grown) {
        free(f.path);
        free(f.data);
        step->failed = true;
        return;
    }
    if (len > 0)
        memcpy(f.data, data, len);
    f.data[len] = '\0';
    for (size_t i = 0; i < step->n; i++) {
        if (streq(step->files[i].path, path)) {
            free(step->files[i].path);
            free(step->files[i].data);
            step->files[i] = f;
            return;
        }
    }
    step->files[step->n++] = f;
}

void ledger_put_json(LedgerStep *step, const char *path, const json_t *value)
{
    _cleanup_(strbuf_done) StrBuf text = {};
    _cleanup_free_ char *dump = json_dumps(value, JSON_SORT_KEYS | JSON_INDENT(2) | JSON_ENCODE_ANY);

    if (!dump || strbuf_adds(&text, dump) < 0 || strbuf_adds(&text, "\n") < 0) {
        step->failed = true;
        return;
    }
    ledger_put(step, path, text.data, text.len);
}

void ledger_step_done(LedgerStep *step)
{
    for (size_t i = 0; i < step->n; i++) {
        free(step->files[i].path);
        free(step->files[i].data);
    }
    free(step->files);
    *step = (LedgerStep){};
}

/* ---- commits ---- */

/* The lock under which refs move. Returns its fd. A "<ref>.lock" that is there while we hold it belongs to a writer that was killed. */
static int writer_lock(Ledger *l, const char *ref, Error *e)
{
    _cleanup_close_ int fd = openat(l->fd, "moss.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    _cleanup_free_ char *stale = xasprintf("%s.lock", ref);

    if (!stale)
        return -ENOMEM;
    if (fd < 0)
        return error_errnof(e, -errno, "%s/moss.lock", l->path);
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_errnof(e, -errno, "cannot lock %s", l->path);
    if (unlinkat(l->fd, stale, 0) < 0 && errno != ENOENT && errno != ENOTDIR)
        return error_errnof(e, -errno, "cannot remove the stale %s/%s", l->path, stale);
    return TAKE_FD(fd);
}

static int head_lookup(Ledger *l, const char *ref, git_commit **ret_commit, git_tree **ret_tree, Error *e)
{
    _cleanup_(git_commit_freep) git_commit *commit = NULL;
    git_oid oid;
    int rc = git_reference_name_to_id(&oid, l->repository, ref);

    if (rc < 0)
        return git_errorf(e, rc, "%s: %s", l->path, ref);
    rc = git_commit_lookup(&commit, l->repository, &oid);
    if (rc >= 0)
        rc = git_commit_tree(ret_tree, commit);
    if (rc < 0)
        return git_errorf(e, rc, "%s: %s", l->path, ref);
    *ret_commit = TAKE_PTR(commit);
    return 0;
}

static int step_tree(Ledger *l, git_tree *base, const LedgerStep *step, git_oid *ret, Error *e)
{
    _cleanup_free_ git_tree_update *updates = calloc(step->n + 1, sizeof(*updates));

    if (!updates)
        return -ENOMEM;
    for (size_t i = 0; i < step->n; i++) {
        const LedgerFile *f = &step->files[i];
        int rc;

        updates[i].action = GIT_TREE_UPDATE_UPSERT;
        updates[i].filemode = GIT_FILEMODE_BLOB;
        updates[i].path = f->path;
        rc = git_blob_create_from_buffer(&updates[i].id, l->repository, f->data, f->len);
        if (rc < 0)
            return git_errorf(e, rc, "cannot write %s to %s", f->path, l->path);
    }
    return git_errorf(e, git_tree_create_updated(ret, l->repository, base, step->n, updates),
                      "cannot write a tree to %s", l->path);
}

/* The caller holds the writer's lock. */
static int commit_on(Ledger *l, const char *ref, git_commit *parent, const git_oid *tree_id, const char *message,
                     Error *e)
{
    _cleanup_(git_tree_freep) git_tree *tree = NULL;
    _cleanup_(git_signature_freep) git_signature *who = NULL;
    const git_commit *parents[] = {parent};
    git_oid id;
    int r = git_moss_signature(&who, e);

    if (r < 0)
        return r;
    r = git_errorf(e, git_tree_lookup(&tree, l->repository, tree_id), "cannot read back a tree from %s", l->path);
    if (r < 0)
        return r;
    return git_errorf(
        e, git_commit_create(&id, l->repository, ref, who, who, NULL, message, tree, parent ? 1 : 0, parents),
        "cannot commit \"%s\" to %s", message, l->path);
}

int ledger_commit(Ledger *l, const char *id, LedgerStep *step, const char *message, Error *e)
{
    _cleanup_(ledger_step_done) LedgerStep taken = *step;
    _cleanup_(git_commit_freep) git_commit *parent = NULL;
    _cleanup_(git_tree_freep) git_tree *base = NULL;
    _cleanup_close_ int lock = -EBADF;
    char ref[40];
    git_oid tree;
    int r;

    *step = (LedgerStep){};
    if (taken.failed)
        return error_setf(e, -EINVAL, "cannot record \"%s\" in %s: out of memory, or a name that cannot be", message,
                          l->path);
    r = ref_name(id, ref, e);
    if (r < 0)
        return r;
    lock = writer_lock(l, ref, e);
    if (lock < 0)
        return lock;
    r = head_lookup(l, ref, &parent, &base, e);
    if (r < 0)
        return r;
    r = step_tree(l, base, &taken, &tree, e);
    if (r < 0)
        return r;
    return commit_on(l, ref, parent, &tree, message, e);
}

int ledger_append(Ledger *l, const char *id, const char *path, const json_t *line, const char *message, Error *e)
{
    _cleanup_(strbuf_done) StrBuf text = {};
    _cleanup_(ledger_step_done) LedgerStep step = {};
    _cleanup_free_ char *old = NULL, *dump = json_canonical(line);
    size_t len = 0;
    int r;

    r = ledger_read(l, id, path, &old, &len, e);
    if (r < 0 && r != -ENOENT)
        return r;
    if (e && r == -ENOENT)
        *e = (Error){};
    if (!dump || strbuf_add(&text, old ?: "", len) < 0 || strbuf_addf(&text, "%s\n", dump) < 0)
        return -ENOMEM;
    ledger_put(&step, path, text.data, text.len);
    return ledger_commit(l, id, &step, message, e);
}

/* ---- evolutions ---- */

int ledger_evolutions(Ledger *l, json_t **ret, Error *e)
{
    _cleanup_(git_reference_iterator_freep) git_reference_iterator *it = NULL;
    _cleanup_json_ json_t *ids = json_array();
    const char *name;
    int rc = git_reference_iterator_glob_new(&it, l->repository, REFS "*");

    if (rc < 0)
        return git_errorf(e, rc, "cannot list %s", l->path);
    while ((rc = git_reference_next_name(&name, it)) == 0) {
        const char *id = startswith(name, REFS);
        size_t at = 0;

        if (!id || !ledger_id_valid(id))
            continue;
        while (at < json_array_size(ids) && strcmp(json_string_value(json_array_get(ids, at)), id) < 0)
            at++;
        if (json_array_insert_new(ids, at, json_string(id)) < 0)
            return -ENOMEM;
    }
    if (rc != GIT_ITEROVER)
        return git_errorf(e, rc, "cannot list %s", l->path);
    *ret = TAKE_PTR(ids);
    return 0;
}

int ledger_begin(Ledger *l, const char *message, char ret_id[static LEDGER_ID_SIZE], Error *e)
{
    _cleanup_json_ json_t *ids = NULL;
    _cleanup_close_ int lock = -EBADF;
    char ref[40], id[LEDGER_ID_SIZE];
    LedgerStep nothing = {};
    unsigned last = 0;
    git_oid tree;
    int r;

    lock = writer_lock(l, REFS "begin", e);
    if (lock < 0)
        return lock;
    r = ledger_evolutions(l, &ids, e);
    if (r < 0)
        return r;
    if (json_array_size(ids) > 0)
        last = (unsigned) strtoul(json_string_value(json_array_get(ids, json_array_size(ids) - 1)) + 2, NULL, 10);
    if (last >= EVOLUTIONS_MAX)
        return error_setf(e, -ENOSPC, "%s holds %u evolutions and no id is left", l->path, last);
    snprintf(id, sizeof(id), "e-%04u", last + 1);
    r = ref_name(id, ref, e);
    if (r < 0)
        return r;
    r = step_tree(l, NULL, &nothing, &tree, e);
    if (r < 0)
        return r;
    r = commit_on(l, ref, NULL, &tree, message, e);
    if (r < 0)
        return r;
    memcpy(ret_id, id, sizeof(id));
    return 0;
}

/* ---- reading ---- */

/* What stands at `path` in an evolution; NULL: nothing does. */
static int entry_lookup(Ledger *l, const char *id, const char *path, git_tree_entry **ret, Error *e)
{
    _cleanup_(git_commit_freep) git_commit *commit = NULL;
    _cleanup_(git_tree_freep) git_tree *tree = NULL;
    char ref[40];
    int r = ref_name(id, ref, e);

    if (r >= 0)
        r = head_lookup(l, ref, &commit, &tree, e);
    if (r < 0)
        return r;
    r = git_tree_entry_bypath(ret, tree, path);
    return r < 0 && r != GIT_ENOTFOUND ? git_errorf(e, r, "%s: %s: %s", l->path, id, path) : 0;
}

int ledger_read(Ledger *l, const char *id, const char *path, char **ret_data, size_t *ret_len, Error *e)
{
    _cleanup_(git_tree_entry_freep) git_tree_entry *entry = NULL;
    _cleanup_(git_blob_freep) git_blob *blob = NULL;
    char *data;
    size_t len;
    int r = entry_lookup(l, id, path, &entry, e);

    if (r < 0)
        return r;
    r = entry ? git_blob_lookup(&blob, l->repository, git_tree_entry_id(entry)) : GIT_ENOTFOUND;
    if (r < 0)
        return git_errorf(e, r, "%s: %s has no %s", l->path, id, path);
    len = (size_t) git_blob_rawsize(blob);
    if (len > LEDGER_ARTIFACT_MAX)
        return error_setf(e, -E2BIG, "%s: %s: %s is larger than %zu bytes", l->path, id, path, LEDGER_ARTIFACT_MAX);
    data = malloc(len + 1);
    if (!data)
        return -ENOMEM;
    if (len > 0)
        memcpy(data, git_blob_rawcontent(blob), len);
    data[len] = '\0';
    *ret_data = data;
    if (ret_len)
        *ret_len = len;
    return 0;
}

int ledger_read_json(Ledger *l, const char *id, const char *path, json_t **ret, Error *e)
{
    _cleanup_free_ char *data = NULL, *what = xasprintf("%s: %s", id, path);
    size_t len;
    int r = ledger_read(l, id, path, &data, &len, e);

    if (r < 0)
        return r;
    return json_parse(data, len, what ?: path, ret, e);
}

typedef struct Checkout {
    Ledger *ledger;
    int dirfd;
    Error *e;
    int r;
} Checkout;

static int checkout_entry(const char *root, const git_tree_entry *entry, void *userdata)
{
    Checkout *c = userdata;
    _cleanup_(git_blob_freep) git_blob *blob = NULL;
    _cleanup_close_ int dir = -EBADF;
    const char *name = git_tree_entry_name(entry);

    if (git_tree_entry_type(entry) != GIT_OBJECT_BLOB)
        return 0;
    if (*root && (c->r = mkdirat_p(c->dirfd, root, 0755)) < 0)
        return -1;
    c->r = dir = openat_beneath(c->dirfd, *root ? root : ".", O_RDONLY | O_DIRECTORY, 0);
    if (dir < 0)
        return -1;
    c->r =
        git_errorf(c->e, git_blob_lookup(&blob, c->ledger->repository, git_tree_entry_id(entry)), "%s%s", root, name);
    if (c->r < 0)
        return -1;
    c->r = file_write_at(dir, name, git_blob_rawcontent(blob), (size_t) git_blob_rawsize(blob), 0644, 0);
    return c->r < 0 ? -1 : 0;
}

int ledger_checkout(Ledger *l, const char *id, const char *path, int dirfd, Error *e)
{
    _cleanup_(git_tree_freep) git_tree *part = NULL;
    _cleanup_(git_tree_entry_freep) git_tree_entry *entry = NULL;
    Checkout c = {.ledger = l, .dirfd = dirfd, .e = e};
    int r = entry_lookup(l, id, path, &entry, e);

    if (r < 0 || !entry)
        return r;
    r = git_tree_lookup(&part, l->repository, git_tree_entry_id(entry));
    if (r < 0)
        return git_errorf(e, r, "%s: %s: %s", l->path, id, path);
    if (git_tree_walk(part, GIT_TREEWALK_PRE, checkout_entry, &c) < 0 || c.r < 0)
        return error_wrapf(e, c.r < 0 ? c.r : -EIO, "%s: %s: cannot check out %s", l->path, id, path);
    return 0;
}

int ledger_history(Ledger *l, const char *id, json_t **ret, Error *e)
{
    _cleanup_(git_revwalk_freep) git_revwalk *walk = NULL;
    _cleanup_json_ json_t *steps = json_array();
    char ref[40];
    git_oid oid;
    int rc, r = ref_name(id, ref, e);

    if (r < 0)
        return r;
    rc = git_revwalk_new(&walk, l->repository);
    if (rc >= 0)
        rc = git_revwalk_sorting(walk, GIT_SORT_TOPOLOGICAL | GIT_SORT_REVERSE);
    if (rc >= 0)
        rc = git_revwalk_push_ref(walk, ref);
    while (rc >= 0 && (rc = git_revwalk_next(&oid, walk)) == 0) {
        _cleanup_(git_commit_freep) git_commit *commit = NULL;

        rc = git_commit_lookup(&commit, l->repository, &oid);
        if (rc < 0)
            break;
        if (json_array_append_new(steps, json_pack("{s:s, s:s?, s:I}", "commit", git_oid_tostr_s(&oid), "message",
                                                   git_commit_message(commit), "time",
                                                   (json_int_t) git_commit_time(commit))) < 0)
            return -ENOMEM;
    }
    if (rc < 0 && rc != GIT_ITEROVER)
        return git_errorf(e, rc, "%s: cannot read the history of %s", l->path, id);
    *ret = TAKE_PTR(steps);
    return 0;
}
