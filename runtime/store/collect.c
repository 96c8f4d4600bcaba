/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/file.h>
#include <sys/stat.h>

#include "internal.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/process.h"

#define SEEN "collect.json"
#define SEEN_SIZE_MAX ((size_t) 16 << 20)

typedef struct Collect {
    Store *store;
    const StoreCollection *spec;
    json_t *generations, *layers; /* that stay: digest -> true */
    json_t *moved;                /* layers whose content is still to go */
    json_t *before, *seen; /* of SEEN: what the collection before has left, what this one leaves; NULL: nothing */
    bool same_boot;        /* was that one in this boot? */
    uint64_t now;
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

/* Since when nobody has needed it, as far as that was seen. */
static uint64_t needless_since(const Collect *c, const char *name, const char *changed)
{
    const json_t *entry = json_object_get(c->before, name);
    const char *then = json_string_value(json_object_get(entry, "changed"));
    json_int_t usec = json_integer_value(json_object_get(entry, "usec"));

    if (!then || !streq(then, changed))
        return c->now;
    return c->same_boot ? MIN((uint64_t) MAX(usec, 0), c->now) : 0;
}

static bool is_young(const Collect *c, int part, const char *name)
{
    char changed[64];
    struct stat st;
    uint64_t since;

    if (c->spec->grace_seconds == 0)
        return false;
    if (fstatat(part, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return true;
    snprintf(changed, sizeof(changed), "%lld.%09ld", (long long) st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
    since = needless_since(c, name, changed);
    (void) json_object_set_new(c->seen, name, json_pack("{s:s,s:I}", "changed", changed, "usec", (json_int_t) since));
    return c->now - since < c->spec->grace_seconds * USEC_PER_SEC;
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
        if (!json_object_get(c->generations, json_string_value(digest)) && is_young(c, c->store->generations, name) &&
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

/* What cannot be read was never seen. */
static json_t *read_seen(const Collect *c, const char *boot_id, bool *ret_same_boot)
{
    json_t *file = NULL, *seen;
    const char *booted;

    if (json_read_at(c->store->fd, SEEN, SEEN_SIZE_MAX, &file, NULL) < 0)
        return NULL;
    booted = json_string_value(json_object_get(file, "boot_id"));
    seen = booted ? json_incref(json_object_get(file, "seen")) : NULL;
    *ret_same_boot = booted && streq(booted, boot_id);
    json_decref(file);
    return seen;
}

static int write_seen(const Collect *c, const char *boot_id, Error *e)
{
    _cleanup_json_ json_t *file = json_pack("{s:i,s:s,s:O}", "version", 1, "boot_id", boot_id, "seen", c->seen);

    return file ? json_write_at(c->store->fd, SEEN, file, 0600, 0, e) : error_errnof(e, -ENOMEM, SEEN);
}

static int sweep(Collect *c, Error *e)
{
    int r;

    if ((r = c->spec->keep(c->generations, c->spec->userdata, e)) < 0 || (r = keep_young(c, e)) < 0 ||
        (r = reach(c, e)) < 0 || (r = sweep_part(c, c->store->generations, e)) < 0)
        return r;
    /* Generations first: one that is there has all its layers, also when this ends half way. */
    if (!c->spec->dry_run && fsync(c->store->generations) < 0)
        return error_errnof(e, -errno, "cannot collect in %s", c->store->path);
    r = sweep_part(c, c->store->layers, e);
    return r < 0 ? r : c->removed;
}

static int collect(Collect *c, Error *e)
{
    char boot_id[BOOT_ID_SIZE];
    int r = process_boot_id(boot_id), removed;

    if (r < 0)
        return error_errnof(e, r, "boot id");
    if (!c->generations || !c->layers || !c->moved || !c->seen)
        return error_errnof(e, -ENOMEM, "cannot collect");
    c->now = clock_now();
    c->before = read_seen(c, boot_id, &c->same_boot);
    removed = sweep(c, e);
    if (removed >= 0 && c->spec->grace_seconds > 0 && !c->spec->dry_run && (r = write_seen(c, boot_id, e)) < 0)
        return r;
    return removed;
}

int store_collect(Store *store, const StoreCollection *collection, Error *e)
{
    _cleanup_close_ int lock = -EBADF;
    Collect c = {.store = store,
                 .spec = collection,
                 .generations = json_object(),
                 .layers = json_object(),
                 .moved = json_array(),
                 .seen = json_object()};
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
    json_decref(c.before);
    json_decref(c.seen);
    return r;
}
