/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/mount.h>

#include "runtime/base/fd.h"
#include "store.h"

#define LAYERS_MAX 128U
#define DEFAULT_SIZE ((uint64_t) 256 << 20)

static int attach(const StoreCall *call, const int *lowers, size_t n, const char *target, Error *e)
{
    _cleanup_close_ int upper_dir = -EBADF, mnt = -EBADF;
    SnapshotUpper upper = {.tmpfs_size = call->size ? call->size : DEFAULT_SIZE};

    if (call->upper) {
        upper_dir = open(call->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (upper_dir < 0)
            return error_errnof(e, -errno, "%s", call->upper);
        upper.dir_fd = upper_dir;
    }
    mnt = call->read_only ? snapshot_mount_read_only(lowers, n, e) : snapshot_mount(lowers, n, &upper, NULL, e);
    if (mnt < 0)
        return mnt;
    if (move_mount(mnt, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_errnof(e, -errno, "cannot attach the snapshot at %s", target);
    return 0;
}

static int mount_generation(const StoreCall *call, Error *e)
{
    _cleanup_(generation_freep) Generation *g = NULL;
    int lowers[LAYERS_MAX], r;

    r = generation_load(call->store, call->args[0], &g, e);
    if (r < 0)
        return r;
    r = generation_open_layers(call->store, g, lowers, e);
    if (r < 0)
        return r;
    r = attach(call, lowers, g->n_layers, call->args[1], e);
    for (size_t i = 0; i < g->n_layers; i++)
        close(lowers[i]);
    return r;
}

static int mount_layers(const StoreCall *call, Error *e)
{
    size_t n = 0;
    int lowers[LAYERS_MAX], r = 0;

    for (; n < call->n_args - 1; n++) {
        lowers[n] = layer_open(call->store, call->args[n], e);
        if (lowers[n] < 0) {
            r = lowers[n];
            break;
        }
    }
    if (r >= 0)
        r = attach(call, lowers, n, call->args[n], e);
    while (n > 0)
        close(lowers[--n]);
    return r;
}

int cmd_snapshot(int argc, char **argv)
{
    static const StoreAction actions[] = {
        {"mount", "GENERATION TARGET [--size BYTES | --upper DIRECTORY | --read-only]", 2, 2, mount_generation},
        {"mount-layers", "DIGEST… TARGET [--size BYTES | --upper DIRECTORY | --read-only], the topmost layer first", 2,
         LAYERS_MAX, mount_layers},
        {},
    };

    return store_verb(argc, argv, actions);
}
