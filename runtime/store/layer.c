/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "internal.h"
#include "runtime/base/fd.h"

/* The lock on tmp/ covers the moment between making the directory and locking it: see sweep_drafts(). */
static int make_draft(Store *store, const char *name)
{
    _cleanup_close_ int top = openat(store->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -EBADF;

    if (top < 0 || flock(top, LOCK_SH) < 0 || mkdirat(store->tmp, name, 0700) < 0)
        return -errno;
    fd = openat(store->tmp, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0755) < 0 || flock(fd, LOCK_EX) < 0) {
        int r = -errno;

        unlinkat(store->tmp, name, AT_REMOVEDIR);
        return r;
    }
    return TAKE_FD(fd);
}

int layer_draft(Store *store, LayerDraft *ret, Error *e)
{
    LayerDraft draft = {.fd = -EBADF};
    uint64_t salt;

    if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
        return error_setf(e, -EIO, "no random numbers");
    snprintf(draft.name, sizeof(draft.name), "layer-%016llx", (unsigned long long) salt);
    draft.fd = make_draft(store, draft.name);
    if (draft.fd < 0)
        return error_errnof(e, draft.fd, "cannot make a layer in %s", store->path);
    *ret = draft;
    return 0;
}

void layer_draft_drop(Store *store, LayerDraft *draft)
{
    if (draft->fd < 0)
        return;
    (void) rm_rf_at(store->tmp, draft->name); /* what stays is swept by the next store_open() */
    fd_closep(&draft->fd);
}

/* A digest that is taken twice, the second time from the disk: what the kernel has not managed to write shows here and not after a crash. */
static int digest_durably(Store *store, LayerDraft *draft, char ret_digest[static DIGEST_SIZE], Error *e)
{
    char again[DIGEST_SIZE];
    int r;

    r = tree_digest(draft->fd, ret_digest, e);
    if (r < 0)
        return r;
    if (syncfs(draft->fd) < 0)
        return error_errnof(e, -errno, "cannot write a layer to %s", store->path);
    r = tree_digest_uncached(draft->fd, again, e);
    if (r < 0)
        return r;
    if (!streq(ret_digest, again))
        return error_setf(
            e, -EUCLEAN, "%s: a layer read back differs from what was written: a disk fault, or it is still written to",
            store->path);
    return 0;
}

static int publish(Store *store, LayerDraft *draft, const char *digest, Error *e)
{
    if (renameat2(store->tmp, draft->name, store->layers, digest, RENAME_NOREPLACE) < 0) {
        if (errno != EEXIST && errno != ENOTEMPTY)
            return error_errnof(e, -errno, "cannot put layer %s into %s", digest, store->path);
        layer_draft_drop(store, draft);                                      /* the same content is there already, */
        if (utimensat(store->layers, digest, NULL, AT_SYMLINK_NOFOLLOW) < 0) /* and somebody needs it, as of now */
            return error_errnof(e, -errno, "layer %s", digest);
    }
    fd_closep(&draft->fd);
    if (fsync(store->layers) < 0)
        return error_errnof(e, -errno, "cannot put layer %s into %s for good", digest, store->path);
    return 0;
}

int layer_seal(Store *store, LayerDraft *draft, char ret_digest[static DIGEST_SIZE], Error *e)
{
    char digest[DIGEST_SIZE];
    int r;

    r = store_begin_writing(store, e);
    if (r >= 0)
        r = tree_normalise(draft->fd, e);
    if (r >= 0)
        r = digest_durably(store, draft, digest, e);
    if (r >= 0)
        r = publish(store, draft, digest, e);
    layer_draft_drop(store, draft);
    if (r >= 0)
        memcpy(ret_digest, digest, sizeof(digest));
    return r;
}

int layer_import(Store *store, int dirfd, char ret_digest[static DIGEST_SIZE], Error *e)
{
    LayerDraft draft;
    int r;

    r = layer_draft(store, &draft, e);
    if (r < 0)
        return r;
    r = copy_tree(dirfd, draft.fd, e);
    if (r < 0) {
        layer_draft_drop(store, &draft);
        return error_wrapf(e, r, "cannot copy the tree into %s", store->path);
    }
    return layer_seal(store, &draft, ret_digest, e);
}

int layer_open(Store *store, const char *digest, Error *e)
{
    int fd;

    if (!digest_valid(digest))
        return error_setf(e, -EINVAL, "\"%.80s\" is no digest: 64 lower-case hex digits", digest);
    fd = openat(store->layers, digest, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_setf(e, -ENOENT, "%s holds no layer %s", store->path, digest);
    return fd < 0 ? error_errnof(e, -errno, "cannot open layer %s", digest) : fd;
}

int layer_verify(Store *store, const char *digest, Error *e)
{
    _cleanup_close_ int fd = layer_open(store, digest, e);
    char actual[DIGEST_SIZE];
    int r;

    if (fd < 0)
        return fd;
    r = tree_digest(fd, actual, e);
    if (r < 0)
        return error_wrapf(e, r, "layer %s", digest);
    if (!streq(actual, digest))
        return error_setf(e, -EUCLEAN, "layer %s: its content has the digest %s: it was changed or damaged", digest,
                          actual);
    return 0;
}
