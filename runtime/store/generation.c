/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "internal.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define GENERATION_VERSION 1
#define LAYERS_MAX 128U /* an overlay takes 500; a stack this high is a mistake */

Generation *generation_free(Generation *g)
{
    if (!g)
        return NULL;
    free(g->layers);
    json_decref(g->manifest);
    free(g);
    return NULL;
}

static int canonical_digest(const json_t *manifest, char ret_digest[static DIGEST_SIZE])
{
    _cleanup_free_ char *text = json_canonical(manifest);

    if (!text)
        return -ENOMEM;
    hash_buffer(text, strlen(text), ret_digest);
    return 0;
}

static int check_layers(Store *store, const char *what, const char *const *layers, Error *e)
{
    size_t n = 0;

    for (; layers[n]; n++) {
        _cleanup_close_ int fd = layer_open(store, layers[n], e);

        if (fd < 0)
            return error_wrapf(e, fd, "%s", what);
    }
    if (n == 0 || n > LAYERS_MAX)
        return error_setf(e, -EINVAL, "%s: has %zu layers, must have from 1 to %u", what, n, LAYERS_MAX);
    return (int) n;
}

static json_t *manifest_new(const char *agent, const char *const *layers, const char *commit, json_t *build)
{
    _cleanup_json_ json_t *list = json_array();

    for (size_t i = 0; layers[i]; i++)
        if (json_array_append_new(list, json_string(layers[i])) < 0)
            return NULL;
    return json_pack("{s:i, s:s, s:O, s:s, s:O?}", "version", GENERATION_VERSION, "agent", agent, "layers", list,
                     "commit", commit, "build", build);
}

int generation_create(Store *store, const char *agent, const char *const *layers, const char *commit, json_t *build,
                      char ret_digest[static DIGEST_SIZE], Error *e)
{
    _cleanup_json_ json_t *manifest = NULL;
    char digest[DIGEST_SIZE], name[DIGEST_SIZE + 5];
    int r;

    r = store_begin_writing(store, e);
    if (r < 0)
        return r;
    r = check_layers(store, "the new generation", layers, e);
    if (r < 0)
        return r;
    manifest = manifest_new(agent, layers, commit, build);
    r = manifest ? canonical_digest(manifest, digest) : -ENOMEM;
    if (r < 0)
        return error_errnof(e, r, "cannot make a generation of %s", agent);
    snprintf(name, sizeof(name), "%s.json", digest);
    r = json_write_at(store->generations, name, manifest, 0600, FILE_DURABLE | FILE_EXCLUSIVE, NULL);
    if (r == -EEXIST) /* the same manifest is there already, and was durable before it had its name */
        r = utimensat(store->generations, name, NULL, AT_SYMLINK_NOFOLLOW) < 0 || fsync(store->generations) < 0 ? -errno
                                                                                                                : 0;
    if (r < 0)
        return error_errnof(e, r, "cannot write generation %s to %s", digest, store->path);
    memcpy(ret_digest, digest, sizeof(digest));
    return 0;
}

static int check_manifest(Store *store, Generation *g, JsonAt at, Error *e)
{
    static const char *const known[] = {"version", "agent", "layers", "commit", "build", NULL};
    json_t *build = NULL;
    int64_t version;
    int r;

    r = json_only(g->manifest, at, known, e);
    if (r >= 0)
        r = json_need_integer(g->manifest, at, "version", GENERATION_VERSION, GENERATION_VERSION, &version, e);
    if (r >= 0)
        r = json_need_string(g->manifest, at, "agent", &g->agent, e);
    if (r >= 0)
        r = json_need_string(g->manifest, at, "commit", &g->commit, e);
    if (r >= 0)
        r = json_want(g->manifest, at, "build", JSON_OBJECT, &build, e);
    if (r >= 0)
        r = json_want_strings(g->manifest, at, "layers", &g->layers, e);
    if (r < 0)
        return r;
    if (!g->layers)
        return error_setf(e, -EINVAL, "%s: layers: is missing", at.file);
    r = check_layers(store, at.file, g->layers, e);
    if (r < 0)
        return r;
    g->n_layers = (size_t) r;
    return 0;
}

int generation_load(Store *store, const char *digest, Generation **ret, Error *e)
{
    _cleanup_(generation_freep) Generation *g = calloc(1, sizeof(*g));
    char name[DIGEST_SIZE + 5], what[DIGEST_SIZE + 16];
    int r;

    if (!g)
        return error_errnof(e, -ENOMEM, "cannot load a generation");
    if (!digest_valid(digest))
        return error_setf(e, -EINVAL, "\"%.80s\" is no generation: 64 lower-case hex digits", digest);
    snprintf(name, sizeof(name), "%s.json", digest);
    snprintf(what, sizeof(what), "generation %s", digest);
    r = json_read_at(store->generations, name, JSON_FILE_MAX, &g->manifest, e);
    if (r == -ENOENT)
        return error_setf(e, r, "%s holds no generation %s", store->path, digest);
    if (r < 0)
        return r;
    r = canonical_digest(g->manifest, g->digest);
    if (r < 0)
        return error_errnof(e, r, "%s", what);
    if (!streq(g->digest, digest))
        return error_setf(e, -EUCLEAN, "%s: its manifest has the digest %s: it was changed or damaged", what,
                          g->digest);
    r = check_manifest(store, g, (JsonAt){what, ""}, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(g);
    return 0;
}

int generation_open_layers(Store *store, const Generation *g, int *fds, Error *e)
{
    for (size_t i = 0; i < g->n_layers; i++) {
        fds[i] = layer_open(store, g->layers[i], e);
        if (fds[i] < 0) {
            int r = fds[i];

            while (i > 0)
                fd_closep(&fds[--i]);
            return r;
        }
    }
    return 0;
}

int generation_list(Store *store, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *list = json_array();
    _cleanup_closedir_ DIR *d = NULL;
    int fd = openat(store->generations, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *de;

    d = fd < 0 ? NULL : fdopendir(fd);
    if (!d || !list)
        return error_errnof(e, -errno, "cannot read %s/generations", store->path);
    while (errno = 0, (de = readdir(d))) {
        char digest[DIGEST_SIZE];

        snprintf(digest, sizeof(digest), "%.64s", de->d_name);
        if (digest_valid(digest) && streq(de->d_name + DIGEST_SIZE - 1, ".json"))
            json_array_append_new(list, json_string(digest));
    }
    if (errno)
        return error_errnof(e, -errno, "cannot read %s/generations", store->path);
    *ret = TAKE_PTR(list);
    return 0;
}
