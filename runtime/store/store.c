/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/file.h>
#include <sys/stat.h>

#include "internal.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

char *store_default_path(void)
{
    const char *v = getenv("MOSS_STORE");

    if (v && *v)
        return strdup(v);
    if (geteuid() == 0)
        return strdup("/var/lib/moss");
    v = getenv("XDG_DATA_HOME");
    if (v && v[0] == '/')
        return xasprintf("%s/moss", v);
    v = getenv("HOME");
    return xasprintf("%s/.local/share/moss", v && v[0] == '/' ? v : "/nonexistent");
}

Store *store_free(Store *store)
{
    if (!store)
        return NULL;
    fd_closep(&store->fd);
    fd_closep(&store->layers);
    fd_closep(&store->generations);
    fd_closep(&store->tmp);
    fd_closep(&store->writing);
    free(store->path);
    free(store);
    return NULL;
}

int store_fd(const Store *store)
{
    return store->fd;
}

const char *store_path(const Store *store)
{
    return store->path;
}

/* Drafts are flock'ed by who makes them (see layer_draft()): what can be locked is nobody's any more. */
static void sweep_drafts(Store *store)
{
    _cleanup_closedir_ DIR *d = NULL;
    _cleanup_close_ int top = openat(store->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *de;

    if (top < 0 || flock(top, LOCK_EX | LOCK_NB) < 0)
        return; /* a draft is being made this moment; the next one who opens the store will do it */
    d = fdopendir(top);
    if (!d)
        return;
    (void) TAKE_FD(top);
    while ((de = readdir(d))) {
        _cleanup_close_ int fd = -EBADF;

        if (streq(de->d_name, ".") || streq(de->d_name, ".."))
            continue;
        fd = openat(store->tmp, de->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            (void) rm_rf_at(store->tmp, de->d_name);
    }
}

static int open_part(int dirfd, const char *name)
{
    int fd;

    if (mkdirat(dirfd, name, 0700) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Layers hold set-id files of any origin: nobody but the owner may reach them, so the parts are 0700. */
static int open_parts(Store *store, Error *e)
{
    static const char *const names[] = {"layers", "layers/sha256", "generations", "tmp"};
    int *const fds[] = {NULL, &store->layers, &store->generations, &store->tmp};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        int fd = open_part(store->fd, names[i]);

        if (fd < 0)
            return error_errnof(e, fd, "cannot open %s/%s", store->path, names[i]);
        if (fds[i])
            *fds[i] = fd;
        else
            close(fd);
    }
    return 0;
}

int store_open(const char *path, Store **ret, Error *e)
{
    _cleanup_(store_freep) Store *store = calloc(1, sizeof(*store));
    int r;

    if (!store)
        return error_errnof(e, -ENOMEM, "cannot open the store");
    store->fd = store->layers = store->generations = store->tmp = store->writing = -EBADF;
    store->path = strdup(path);
    if (!store->path)
        return error_errnof(e, -ENOMEM, "cannot open the store");
    store->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->fd < 0 && errno == ENOENT) {
        r = mkdir_p(path, 0755);
        if (r < 0)
            return error_errnof(e, r, "cannot make the store %s", path);
        store->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (store->fd < 0)
        return error_errnof(e, -errno, "cannot open the store %s", path);
    r = open_parts(store, e);
    if (r < 0)
        return r;
    sweep_drafts(store);
    *ret = TAKE_PTR(store);
    return 0;
}

static int open_lock(Store *store, int operation, Error *e)
{
    _cleanup_close_ int fd = openat(store->fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_errnof(e, -errno, "cannot open %s/lock", store->path);
    if (flock(fd, operation) < 0)
        return errno == EWOULDBLOCK ? error_setf(e, -EBUSY, "%s: the store is being written to", store->path)
                                    : error_errnof(e, -errno, "cannot lock %s/lock", store->path);
    return TAKE_FD(fd);
}

int store_begin_writing(Store *store, Error *e)
{
    if (store->writing < 0)
        store->writing = open_lock(store, LOCK_SH, e);
    return MIN(store->writing, 0);
}

/* ---- what nobody needs any more ---- */

typedef struct Reached {
    const char *const *keep;
    size_t n_keep;
    json_t *layers; /* digest → true */
} Reached;

static bool keeps_generation(const Reached *reached, const char *digest)
{
    for (size_t i = 0; i < reached->n_keep; i++)
        if (streq(reached->keep[i], digest))
            return true;
    return false;
}

static int reach(Store *store, Reached *reached, Error *e)
{
    for (size_t i = 0; i < reached->n_keep; i++) {
        _cleanup_(generation_freep) Generation *g = NULL;
        int r = generation_load(store, reached->keep[i], &g, e);

        if (r < 0)
            return r; /* what shall stay is not understood: then nothing goes */
        for (size_t j = 0; j < g->n_layers; j++)
            if (json_object_set_new(reached->layers, g->layers[j], json_true()) < 0)
                return error_errnof(e, -ENOMEM, "cannot collect");
    }
    return 0;
}

/* A layer leaves its final name before its content goes, so that a name never stands for half a layer. */
static int remove_layer(Store *store, const char *digest)
{
    int r = renameat2(store->layers, digest, store->tmp, digest, RENAME_NOREPLACE) < 0 ? -errno : 0;

    return r < 0 ? r : rm_rf_at(store->tmp, digest);
}

static int sweep_part(Store *store, int part, const Reached *reached, Error *e)
{
    _cleanup_closedir_ DIR *d = NULL;
    int fd = openat(part, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
    struct dirent *de;

    d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return error_errnof(e, -errno, "cannot read %s", store->path);
    while (errno = 0, (de = readdir(d))) {
        bool layer = part == store->layers;
        char digest[DIGEST_SIZE];
        int r;

        if (streq(de->d_name, ".") || streq(de->d_name, ".."))
            continue;
        if (!layer && de->d_name[0] != '.') {
            snprintf(digest, sizeof(digest), "%.64s", de->d_name);
            if (!endswith(de->d_name, ".json") || keeps_generation(reached, digest))
                continue;
        } else if (layer && (!digest_valid(de->d_name) || json_object_get(reached->layers, de->d_name)))
            continue;
        r = layer ? remove_layer(store, de->d_name) : unlinkat(part, de->d_name, 0) < 0 ? -errno : 0;
        if (r < 0)
            return error_errnof(e, r, "cannot remove %s from %s", de->d_name, store->path);
        n++;
    }
    return errno ? error_errnof(e, -errno, "cannot read %s", store->path) : n;
}

int store_collect(Store *store, const char *const *keep, size_t n, Error *e)
{
    _cleanup_close_ int lock = -EBADF;
    _cleanup_json_ json_t *layers = json_object();
    Reached reached = {keep, n, layers};
    int generations, r;

    if (!layers)
        return error_errnof(e, -ENOMEM, "cannot collect");
    if (store->writing >= 0)
        return error_setf(e, -EBUSY, "%s: the store is being written to", store->path);
    lock = open_lock(store, LOCK_EX | LOCK_NB, e);
    if (lock < 0)
        return lock;
    r = reach(store, &reached, e);
    if (r < 0)
        return r;
    /* Generations first: one that is there has all its layers, also when this ends half way. */
    generations = sweep_part(store, store->generations, &reached, e);
    if (generations < 0)
        return generations;
    if (fsync(store->generations) < 0)
        return error_errnof(e, -errno, "cannot collect in %s", store->path);
    r = sweep_part(store, store->layers, &reached, e);
    return r < 0 ? r : generations + r;
}
