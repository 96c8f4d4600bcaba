/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_STORE_STORE_H
#define MOSS_STORE_STORE_H

/* The store: sealed layers and generation manifests, content-addressed, below one directory (/var/lib/moss, or $XDG_DATA_HOME/moss).
 *
 *     layers/sha256/<digest>/      a sealed, read-only tree
 *     generations/<digest>.json    a manifest
 *     tmp/                         what is being made; removed by store_open() when nobody holds it (flock)
 *     lock                         shared by who writes, exclusive for store_collect()
 *
 * layers/, generations/ and tmp/ are 0700: layers hold set-id programs of any origin.
 *
 * A layer is sealed as: tree complete in tmp/, digest, syncfs, digest again from the disk and compare, rename, fsync of the directory. So a name that
 * exists is complete. The digest of a tree (tree.c has the format) covers each entry's path, type, mode, uid, gid, size, content, symlink target, device number,
 * xattrs, and which entries are hard links of one file. Times and the host's labels are not part of it.
 * Whiteouts (0:0 character devices), opaque directories, xattrs and hard links survive. An opaque directory of a sealed layer has both trusted.overlay.opaque and
 * user.overlay.opaque (without the right to set it: only the latter), and counts once in the digest; other attributes of an overlay's are dropped when
 * they only note where a copy came from, refused when they mean something (redirect, metacopy). */

#include <jansson.h>
#include <stdbool.h>

#include "runtime/base/error.h"
#include "runtime/base/hash.h"

typedef struct Store Store;

int store_open(const char *path, Store **ret, Error *e);
Store *store_free(Store *store);
static inline void store_freep(Store **s)
{
    store_free(*s);
}
int store_fd(const Store *store);
const char *store_path(const Store *store);

/* Where the store of this user is: $MOSS_STORE, /var/lib/moss for root of the system (see process_is_system()), $XDG_DATA_HOME/moss or ~/.local/share/moss. The caller
 * frees. */
char *store_default_path(void);

/* ---- layers (layer.c) ---- */

/* Copies the tree below `dirfd` into the store and seals it. The same content gives the same digest and is stored once. */
int layer_import(Store *store, int dirfd, char ret_digest[static DIGEST_SIZE], Error *e);

/* A new, empty directory in tmp/ (O_RDONLY fd) to build a layer in, and its sealing, which consumes the name in any case. */
typedef struct LayerDraft {
    int fd;        /* of the directory; -EBADF when there is none */
    char name[40]; /* in tmp/ */
} LayerDraft;
int layer_draft(Store *store, LayerDraft *ret, Error *e);
int layer_seal(Store *store, LayerDraft *draft, char ret_digest[static DIGEST_SIZE], Error *e);
void layer_draft_drop(Store *store, LayerDraft *draft);

/* An O_PATH fd of a sealed layer; -ENOENT when it is not there. */
int layer_open(Store *store, const char *digest, Error *e);
/* Reads everything again; -EUCLEAN when the content is not what the name says. */
int layer_verify(Store *store, const char *digest, Error *e);
/* The digest of any tree. */
int tree_digest(int dirfd, char ret_digest[static DIGEST_SIZE], Error *e);

/* ---- generations (generation.c) ----
 * {"version":1,"agent":"clerk","layers":["<digest>",…topmost first],"commit":"<git oid>","build":{…record…}} */

typedef struct Generation {
    char digest[DIGEST_SIZE]; /* of the canonical manifest */
    json_t *manifest;
    const char *agent;
    const char *commit;
    const char **layers; /* topmost first, NULL-terminated; strings belong to the manifest */
    size_t n_layers;
} Generation;

/* Writes the manifest (durably; all its layers must be there) and gives its digest. */
int generation_create(Store *store, const char *agent, const char *const *layers, const char *commit, json_t *build,
                      char ret_digest[static DIGEST_SIZE], Error *e);
/* Loads and checks: schema, digest, presence of every layer. */
int generation_load(Store *store, const char *digest, Generation **ret, Error *e);
/* Opens the layers as O_PATH fds (topmost first) that the caller closes; `fds` has room for n_layers. None is left open on failure. */
int generation_open_layers(Store *store, const Generation *g, int *fds, Error *e);
/* The digests of all generations: an array of strings, in no order. */
int generation_list(Store *store, json_t **ret, Error *e);
Generation *generation_free(Generation *g);
static inline void generation_freep(Generation **g)
{
    generation_free(*g);
}

/* ---- snapshots (snapshot.c) ----
 * A writable root in O(1): overlay of `n` lower directory fds (topmost first) over an upper, built detached (fsopen, fsmount).
 *
 * May be called inside a fresh user and mount namespace: allocates nothing, keeps nothing. An overlay takes its layers from the caller's own mount namespace, so layers (and
 * dir_fd) that were opened in another one are opened again by their name in /proc/self/fd: the parts of the store are 0700, so do it while the process still has
 * the user id of the store's owner; or make the snapshot before the clone(2) and hand its fd over. The tmpfs is nosuid and nodev, which says nothing about the
 * overlay on it: whoever attaches that sets its flags (mount_setattr). */

typedef struct SnapshotUpper {
    uint64_t tmpfs_size; /* a fresh tmpfs of this size (0: what the kernel gives, half of the memory)… */
    int dir_fd;          /* …or this directory (if not 0), in which "upper" and "work" are made */
} SnapshotUpper;

/* Returns the fd of a detached overlay mount; *ret_upper_fd (may be NULL) is an O_PATH fd of the upper directory. */
int snapshot_mount(const int *lowers, size_t n, const SnapshotUpper *upper, int *ret_upper_fd, Error *e);
/* The same without an upper: read-only. One layer alone is no overlay: its whiteouts show. */
int snapshot_mount_read_only(const int *lowers, size_t n, Error *e);
/* ---- what nobody needs any more ---- */

typedef struct StoreCollection {
    /* Sets the members of `digests` that are generations that stay, with their layers. Called with the store locked: nothing is written to it, and what is pinned has been
     * named where this looks. One that cannot be loaded makes the collection fail, before anything goes. */
    int (*keep)(json_t *digests, void *userdata, Error *e);
    void *userdata;
    unsigned grace_seconds; /* what a collection has not found needless so long ago stays, too; 0: nothing else does */
    bool dry_run;
    json_t *removed; /* an array that gets the digests; NULL: nobody asks */
} StoreCollection;

/* <store>/collect.json is what the last collection found needless and left, and since when, so that the next one knows how long that has been so. This is
 * by the host's time since its start, as anybody may have set its clock: {"version":1,"boot_id":"<uuid>","seen":{"<name>":{"changed":"<ctime>","usec":61000000}}}. What was
 * found in an earlier boot is as old as this boot at least. What is sealed or created again has another ctime, and begins anew.
 *
 * Removes every layer and generation that is not to be kept (or says which, in a dry run). Returns how many. -EBUSY while
 * another process has sealed or created something and not closed its store yet, or this one has: a layer without a generation may be about to get one. Killed at any
 * point it leaves only garbage: a generation goes before its layers, a layer leaves its name before its content goes. */
int store_collect(Store *store, const StoreCollection *collection, Error *e);

/* From here to store_unpin() nothing is collected: for whoever looks at a generation and then writes down that it is needed. Waits for a collection that goes on. */
int store_pin(Store *store, Error *e);
void store_unpin(Store *store);

#endif
