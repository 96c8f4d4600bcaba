/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "runtime/base/fd.h"
#include "store.h"

static int import(const StoreCall *call, Error *e)
{
    _cleanup_close_ int dir = open(call->args[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char digest[DIGEST_SIZE];
    int r;

    if (dir < 0)
        return error_errnof(e, -errno, "%s", call->args[0]);
    r = layer_import(call->store, dir, digest, e);
    if (r < 0)
        return error_wrapf(e, r, "%s", call->args[0]);
    store_print_digest(call, digest);
    return 0;
}

static int verify(const StoreCall *call, Error *e)
{
    for (size_t i = 0; i < call->n_args; i++) {
        int r = layer_verify(call->store, call->args[i], e);

        if (r < 0)
            return r;
    }
    return 0;
}

static int path(const StoreCall *call, Error *e)
{
    _cleanup_close_ int fd = layer_open(call->store, call->args[0], e);

    if (fd < 0)
        return fd;
    printf("%s/layers/sha256/%s\n", store_path(call->store), call->args[0]);
    return 0;
}

static int digest(const StoreCall *call, Error *e)
{
    _cleanup_close_ int dir = open(call->args[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char text[DIGEST_SIZE];
    int r;

    if (dir < 0)
        return error_errnof(e, -errno, "%s", call->args[0]);
    r = tree_digest(dir, text, e);
    if (r < 0)
        return error_wrapf(e, r, "%s", call->args[0]);
    store_print_digest(call, text);
    return 0;
}

int cmd_layer(int argc, char **argv)
{
    static const StoreAction actions[] = {
        {"import", "DIRECTORY", 1, 1, import},
        {"verify", "DIGEST…", 1, SIZE_MAX, verify},
        {"path", "DIGEST", 1, 1, path},
        {"digest", "DIRECTORY", 1, 1, digest},
        {},
    };

    return store_verb(argc, argv, actions);
}
