/* SPDX-License-Identifier: Apache-2.0 */

/* `moss collect`: removes the generations and layers that no agent has to do with any more. */

#include <getopt.h>
#include <stdio.h>

#include "command.h"
#include "evolve/ledger/ledger.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"
#include "runtime/store/store.h"
#include "shim/agent/agent.h"
#include "shim/client/files.h"

#define GRACE_SECONDS (24U * 60 * 60) /* what an evolution has just built is named nowhere yet */
#define BATCH_SIZE_MAX ((size_t) 16 << 20)

typedef struct Keeping {
    const char *store_path;
    json_t *there, *digests; /* all generations; those that stay */
} Keeping;

static int keep(Keeping *k, const char *digest)
{
    return json_object_set_new(k->digests, digest, json_true()) < 0 ? -ENOMEM : 0;
}

/* Every string in the document that is the digest of a generation. */
static int keep_named_in(Keeping *k, const json_t *v)
{
    const char *key;
    json_t *item;
    size_t i;
    int r = 0;

    if (json_is_string(v) && json_object_get(k->there, json_string_value(v)))
        return keep(k, json_string_value(v));
    json_array_foreach (v, i, item)
        if (r >= 0)
            r = keep_named_in(k, item);
    json_object_foreach ((json_t *) v, key, item)
        if (r >= 0)
            r = keep_named_in(k, item);
    return r;
}

/* What the head names has to be there; what only served once may have been collected already. */
static int keep_of_shim(Keeping *k, int dir, const Agent *a, Error *e)
{
    _cleanup_json_ json_t *list = NULL;
    json_t *item;
    size_t i;
    int r = shim_generations(dir, a->limit_generations, &list, e);

    if (r < 0)
        return r;
    json_array_foreach (list, i, item) {
        const char *digest = json_string_value(json_object_get(item, "generation"));
        const char *role = json_string_value(json_object_get(item, "role"));

        if (!digest || !digest_valid(digest))
            return error_setf(e, -EINVAL, "head.json: names something that is no generation");
        r = streq(role, "served") && !json_object_get(k->there, digest) ? 0 : keep(k, digest);
        if (r < 0)
            return error_errnof(e, r, "%s", a->name);
    }
    return 0;
}

static int keep_of_evolutions(Keeping *k, const Agent *a, Error *e)
{
    _cleanup_free_ char *path = xasprintf("%s/agents/%s", k->store_path, a->name), *repository = NULL;
    _cleanup_(ledger_freep) Ledger *ledger = NULL;
    _cleanup_json_ json_t *ids = NULL;
    json_t *id;
    size_t i;
    int r;

    repository = path ? xasprintf("%s/ledger.git", path) : NULL;
    if (!repository)
        return error_errnof(e, -ENOMEM, "%s", a->name);
    if (access(repository, F_OK) < 0)
        return errno == ENOENT ? 0 : error_errnof(e, -errno, "%s", repository);
    if ((r = ledger_open(path, &ledger, e)) < 0 || (r = ledger_evolutions(ledger, &ids, e)) < 0)
        return r;
    json_array_foreach (ids, i, id) {
        _cleanup_json_ json_t *position = NULL;
        Error none = {};

        r = ledger_read_json(ledger, json_string_value(id), "position.json", &position, &none);
        if (r >= 0)
            r = keep_named_in(k, position);
        if (r < 0 && r != -ENOENT)
            return error_setf(e, r, "evolution %s: %s", json_string_value(id), none.text);
    }
    return 0;
}

static int keep_of_batches(Keeping *k, int dir, Error *e)
{
    _cleanup_close_ int batches = openat(dir, "batches", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = NULL;
    struct dirent *de;
    int r = 0;

    if (batches < 0)
        return errno == ENOENT ? 0 : error_errnof(e, -errno, "batches");
    d = fdopendir(batches);
    if (!d)
        return error_errnof(e, -ENOMEM, "batches");
    (void) TAKE_FD(batches);
    while (r >= 0 && (de = readdir(d))) {
        _cleanup_close_ int batch = openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        _cleanup_json_ json_t *file = NULL;

        if (de->d_name[0] == '.' || batch < 0)
            continue;
        r = json_read_at(batch, "batch.json", BATCH_SIZE_MAX, &file, e);
        r = r == -ENOENT ? 0 : r < 0 ? r : keep_named_in(k, file);
    }
    return r;
}

static int keep_of_agent(Keeping *k, const char *name, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(k->store_path, name, e);
    _cleanup_(agent_freep) Agent *a = NULL;
    int r;

    if (dir < 0)
        return dir;
    if ((r = agent_load_named(k->store_path, name, &a, e)) < 0 || (r = keep_of_shim(k, dir, a, e)) < 0 ||
        (r = keep_of_batches(k, dir, e)) < 0)
        return r;
    return keep_of_evolutions(k, a, e);
}

static int keep_all(json_t *digests, void *userdata, Error *e)
{
    _cleanup_(agent_names_freep) char **names = NULL;
    Keeping *k = userdata;
    int r = agent_names(k->store_path, &names, e);

    k->digests = digests;
    for (char **name = names; r >= 0 && *name; name++) {
        r = keep_of_agent(k, *name, e);
        if (r < 0) /* what shall stay is not known: then nothing goes */
            return error_wrapf(e, r, "nothing is removed: agent %s", *name);
    }
    return r;
}

static int list_all(Store *store, json_t *there, Error *e)
{
    _cleanup_json_ json_t *all = NULL;
    json_t *digest;
    size_t i;
    int r = generation_list(store, &all, e);

    if (r < 0)
        return r;
    json_array_foreach (all, i, digest)
        if (json_object_set_new(there, json_string_value(digest), json_true()) < 0)
            return error_errnof(e, -ENOMEM, "cannot collect");
    return 0;
}

static int report(const Command *c, bool dry_run, json_t *removed)
{
    json_t *digest;
    size_t i;

    if (c->json)
        return command_print(json_pack("{s:b, s:O}", "dry_run", (int) dry_run, "removed", removed));
    json_array_foreach (removed, i, digest)
        printf("%s %s\n", dry_run ? "would remove" : "removed", json_string_value(digest));
    return EXIT_DONE;
}

int collect_main(int argc, char **argv)
{
    _cleanup_(command_done) Command c = {};
    _cleanup_(store_freep) Store *store = NULL;
    _cleanup_json_ json_t *there = json_object(), *removed = json_array();
    Error e = {};
    int r = command_parse(argc, argv, 0, "collect [--dry-run] [--grace SECONDS] [--store DIR] [--json]", &c);

    if (r != 0)
        return r;
    r = store_open(c.store_path, &store, &e);
    if (r >= 0)
        r = list_all(store, there, &e);
    if (r >= 0) {
        Keeping k = {.store_path = c.store_path, .there = there};

        r = store_collect(
            store, &(StoreCollection){keep_all, &k, c.grace_given ? c.grace : GRACE_SECONDS, c.dry_run, removed}, &e);
    }
    return r < 0 ? command_fail(&c, &e) : report(&c, c.dry_run, removed);
}
