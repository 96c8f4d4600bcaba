/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/file.h>
#include <sys/stat.h>

#include "internal.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/process.h"
#include "runtime/base/strbuf.h"

char *store_default_path(void)
{
    const char *v = getenv("MOSS_STORE");

    if (v && *v)
        return strdup(v);
    if (process_is_system())
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
    fd_closep(&store->pinned);
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
    store->fd = store->layers = store->generations = store->tmp = store->writing = store->pinned = -EBADF;
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

int store_lock(Store *store, int operation, Error *e)
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
        store->writing = store_lock(store, LOCK_SH, e);
    return MIN(store->writing, 0);
}

int store_pin(Store *store, Error *e)
{
    if (store->pinned < 0)
        store->pinned = store_lock(store, LOCK_SH, e);
    return MIN(store->pinned, 0);
}

void store_unpin(Store *store)
{
    fd_closep(&store->pinned);
}
