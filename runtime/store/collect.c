/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "internal.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"

typedef struct Collect {
    Store *store;
    const StoreCollection *spec;
    json_t *generations, *layers; /* that stay: digest -> true */
    json_t *moved;                /* layers whose content is still to go */
    int removed;
} Collect;

/* The layers of what stays. */
static int reach(Collect *c, Error *e)
{
    const char *digest;
    json_t *value;

    json_object_foreach (c->generations, digest, value) {
        _cleanup_(generation_freep) Generation *g = NULL;
        int r = generation_load(c->store, digest, &g, e);

        if (r < 0)
            return r; /* what shall stay is not understood: then nothing goes */
        for (size_t i = 0; i < g->n_layers; i++)
            if (json_object_set_new(c->layers, g->layers[i], json_true()) < 0)
                return error_errnof(e, -ENOMEM, "cannot collect");
    }
    return 0;
}

/* By the host's clock: one that was set back lets everything look young. */
static bool is_young(const Collect *c, int part, const char *name)
{
    struct timespec now;
    struct stat st;

    if (c->spec->grace_seconds == 0)
        return false;
    return clock_gettime(CLOCK_REALTIME, &now) < 0 || fstatat(part, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
           now.tv_sec - st.st_ctim.tv_sec < (time_t) c->spec->grace_seconds;
}

/* A young generation stays with its layers. */
static int keep_young(Collect *c, Error *e)
{
    _cleanup_json_ json_t *all = NULL;
    json_t *digest;
    size_t i;
    int r = generation_list(c->store, &all, e);

    if (r < 0)
        return r;
    json_array_foreach (all, i, digest) {
        char name[DIGEST_SIZE + 5];

        snprintf(name, sizeof(name), "%.64s.json", json_string_value(digest));
        if (is_young(c, c->store->generations, name) &&
            json_object_set_new(c->generations, json_string_value(digest), json_true()) < 0)
            return error_errnof(e, -ENOMEM, "cannot collect");
    }
    return 0;
}

/* A layer leaves its final name before its content goes, so that a name never stands for half a layer. */
static int remove_layer(Collect *c, const char *digest)
{
    if (renameat2(c->store->layers, digest, c->store->tmp, digest, RENAME_NOREPLACE) < 0)
        return -errno;
    return json_array_append_new(c->moved, json_string(digest)) < 0 ? -ENOMEM : 0;
}

static int remove_name(Collect *c, int part, const char *name, Error *e)
{
    int r = 0;

    if (!c->spec->dry_run)
        r = part == c->store->layers ? remove_layer(c, name) : unlinkat(part, name, 0) < 0 ? -errno : 0;
    if (r < 0)
        return error_errnof(e, r, "cannot remove %s from %s", name, c->store->path);
    c->removed++;
    if (c->spec->removed && json_array_append_new(c->spec->removed, json_stringn(name, MIN(strlen(name), 64U))) < 0)
        return error_errnof(e, -ENOMEM, "cannot collect");
    return 0;
}

static bool is_garbage(const Collect *c, int part, const char *name)
{
    char digest[DIGEST_SIZE];

    if (part == c->store->layers)
        return digest_valid(name) && !json_object_get(c->layers, name) && !is_young(c, part, name);
    if (name[0] == '.')
        return !streq(name, ".") &&
               !streq(name, ".."); /* a manifest that was being written; who does so holds the lock */
    snprintf(digest, sizeof(digest), "%.64s", name);
    return endswith(name, ".json") && digest_valid(digest) && !json_object_get(c->generations, digest);
}

static int sweep_part(Collect *c, int part, Error *e)
{
    _cleanup_closedir_ DIR *d = NULL;
    int fd = openat(part, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
    struct dirent *de;

    d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return error_errnof(e, -errno, "cannot read %s", c->store->path);
    while (errno = 0, (de = readdir(d))) {
        r = is_garbage(c, part, de->d_name) ? remove_name(c, part, de->d_name, e) : 0;
        if (r < 0)
            return r;
    }
    return errno ? error_errnof(e, -errno, "cannot read %s", c->store->path) : 0;
}

static int collect(Collect *c, Error *e)
{
    int r;

    if (!c->generations || !c->layers || !c->moved)
        return error_errnof(e, -ENOMEM, "cannot collect");
    if ((r = c->spec->keep(c->generations, c->spec->userdata, e)) < 0 || (r = keep_young(c, e)) < 0 ||
        (r = reach(c, e)) < 0 || (r = sweep_part(c, c->store->generations, e)) < 0)
        return r;
    /* Generations first: one that is there has all its layers, also when this ends half way. */
    if (!c->spec->dry_run && fsync(c->store->generations) < 0)
        return error_errnof(e, -errno, "cannot collect in %s", c->store->path);
    r = sweep_part(c, c->store->layers, e);
    return r < 0 ? r : c->removed;
}

int store_collect(Store *store, const StoreCollection *collection, Error *e)
{
    _cleanup_close_ int lock = -EBADF;
    Collect c = {.store = store,
                 .spec = collection,
                 .generations = json_object(),
                 .layers = json_object(),
                 .moved = json_array()};
    json_t *layer;
    size_t i;
    int r;

    if (store->writing >= 0)
        r = error_setf(e, -EBUSY, "%s: the store is being written to", store->path);
    else
        r = lock = store_lock(store, LOCK_EX | LOCK_NB, e);
    if (r >= 0)
        r = collect(&c, e);
    fd_closep(&lock); /* the content has no name any more, and others may want to write */
    json_array_foreach (c.moved, i, layer)
        (void) rm_rf_at(store->tmp, json_string_value(layer)); /* else the next store_open() does it */
    json_decref(c.generations);
    json_decref(c.layers);
    json_decref(c.moved);
    return r;
}
