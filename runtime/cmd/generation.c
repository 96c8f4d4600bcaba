/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "store.h"

static int create(const StoreCall *call, Error *e)
{
    char digest[DIGEST_SIZE];
    int r;

    if (!call->agent)
        return error_setf(e, -EINVAL, "generation create: --agent NAME is missing");
    r = generation_create(call->store, call->agent, call->args, call->commit ? call->commit : "", NULL, digest, e);
    if (r >= 0)
        store_print_digest(call, digest);
    return r;
}

static int show(const StoreCall *call, Error *e)
{
    _cleanup_(generation_freep) Generation *g = NULL;
    int r = generation_load(call->store, call->args[0], &g, e);

    if (r < 0)
        return r;
    json_dumpf(g->manifest, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
    putchar('\n');
    return 0;
}

static int list(const StoreCall *call, Error *e)
{
    _cleanup_json_ json_t *digests = NULL;
    json_t *digest;
    size_t i;
    int r = generation_list(call->store, &digests, e);

    if (r < 0)
        return r;
    if (call->json) {
        json_dumpf(digests, stdout, JSON_COMPACT);
        putchar('\n');
        return 0;
    }
    json_array_foreach (digests, i, digest)
        puts(json_string_value(digest));
    return 0;
}

static int keep_named(json_t *digests, void *userdata, Error *e)
{
    const StoreCall *call = userdata;

    for (size_t i = 0; i < call->n_args; i++)
        if (json_object_set_new(digests, call->args[i], json_true()) < 0)
            return error_errnof(e, -ENOMEM, "cannot collect");
    return 0;
}

static int collect(const StoreCall *call, Error *e)
{
    const StoreCollection collection = {.keep = keep_named, .userdata = (void *) call};
    int n = store_collect(call->store, &collection, e);

    if (n >= 0)
        printf(call->json ? "{\"removed\":%d}\n" : "%d removed\n", n);
    return n;
}

int cmd_generation(int argc, char **argv)
{
    static const StoreAction actions[] = {
        {"create", "--agent NAME [--commit OID] LAYER…, the topmost first", 1, 128, create},
        {"show", "DIGEST", 1, 1, show},
        {"list", "", 0, 0, list},
        {"collect", "DIGEST… (of the generations that stay, with their layers)", 1, SIZE_MAX, collect},
        {},
    };

    return store_verb(argc, argv, actions);
}
