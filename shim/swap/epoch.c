/* SPDX-License-Identifier: Apache-2.0 */
#include "epoch.h"

#include <inttypes.h>
#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/subvolume.h"

#define REHEARSAL "rehearsal.tmp"
#define RESERVE "reserve.tmp"
#define OWN_DEPTH_MAX 200U

static int open_epochs(int agent_dir, Error *e)
{
    int fd = openat(agent_dir, "epochs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? error_errnof(e, -errno, "epochs") : fd;
}

static int open_directory(int at, const char *name, Error *e)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? error_errnof(e, -errno, "epoch %s", name) : fd;
}

int epoch_open(int agent_dir, int64_t epoch, Error *e)
{
    _cleanup_close_ int epochs = open_epochs(agent_dir, e);
    char name[32];

    if (epochs < 0)
        return epochs;
    snprintf(name, sizeof(name), "%" PRIi64, epoch);
    return open_directory(epochs, name, e);
}

/* For a copy: where they are, and the one that is copied. */
static int open_source(int agent_dir, int64_t from, int *ret_epochs, Error *e)
{
    _cleanup_close_ int epochs = open_epochs(agent_dir, e);
    int source = epochs < 0 ? epochs : epoch_open(agent_dir, from, e);

    if (source >= 0)
        *ret_epochs = TAKE_FD(epochs);
    return source;
}

/* A fresh and empty directory. */
static int make_empty(int epochs, const char *name, Error *e)
{
    int r = subvolume_rm_rf(epochs, name);

    if (r < 0)
        return error_errnof(e, r, "cannot remove what was left of epoch %s", name);
    r = subvolume_or_directory(epochs, name, 0700);
    return r < 0 ? error_errnof(e, r, "cannot make epoch %s", name) : open_directory(epochs, name, e);
}

/* -EOPNOTSUPP: it has to be copied. */
static int take_snapshot(int epochs, int from, const char *name, Error *e)
{
    int r = subvolume_is(from) ? subvolume_rm_rf(epochs, name) : -EOPNOTSUPP;

    if (r >= 0)
        r = subvolume_snapshot(from, epochs, name);
    if (r == -EOPNOTSUPP || r == -EPERM || r == -ENOTTY)
        return -EOPNOTSUPP;
    return r < 0 ? error_errnof(e, r, "cannot snapshot the state to epoch %s", name) : 0;
}

/* What the passes before have begun is gone on with if `spec` knows of it. */
static int copy_to(int epochs, const char *name, MirrorSpec spec, Error *e)
{
    _cleanup_close_ int fd = spec.known ? open_directory(epochs, name, e) : make_empty(epochs, name, e);
    int r;

    if (fd < 0)
        return fd;
    spec.to = fd;
    r = mirror_pass(&spec, e);
    if (r < 0)
        return error_wrapf(e, r, "cannot copy the state to epoch %s", name);
    if (spec.live && spec.seen && syncfs(fd) < 0)
        return error_errnof(e, -errno, "cannot make epoch %s durable", name);
    return 0;
}

/* What `tmp` holds is on the disk, and now under its name. */
static int publish(int epochs, const char *tmp, const char *name, Error *e)
{
    int r = subvolume_rm_rf(epochs, name);

    if (r < 0)
        return error_errnof(e, r, "cannot replace epoch %s", name);
    if (renameat2(epochs, tmp, epochs, name, RENAME_NOREPLACE) < 0 || fsync(epochs) < 0)
        return error_errnof(e, -errno, "cannot make epoch %s durable", name);
    return 0;
}

static int clone_anew(int epochs, int source, const char *name, Error *e)
{
    char tmp[40];
    int r;

    snprintf(tmp, sizeof(tmp), "%s.tmp", name);
    r = take_snapshot(epochs, source, tmp, e);
    if (r == -EOPNOTSUPP)
        r = copy_to(epochs, tmp, (MirrorSpec){.from = source}, e);
    if (r >= 0)
        r = publish(epochs, tmp, name, e);
    if (r < 0)
        (void) subvolume_rm_rf(epochs, tmp);
    return r;
}

int epoch_clone(int agent_dir, int64_t from, int64_t to, const MirrorIndex *known, Error *e)
{
    _cleanup_close_ int epochs = -EBADF, source = open_source(agent_dir, from, &epochs, e);
    char name[32];
    int r;

    if (source < 0)
        return source;
    snprintf(name, sizeof(name), "%" PRIi64, to);
    if (!known)
        return clone_anew(epochs, source, name, e);
    r = copy_to(epochs, name, (MirrorSpec){.from = source, .known = known}, e);
    if (r < 0)
        (void) subvolume_rm_rf(epochs, name);
    return r;
}

bool epoch_wants_precopy(int agent_dir, int64_t from)
{
    _cleanup_close_ int source = epoch_open(agent_dir, from, NULL);

    return source >= 0 && mirror_worthwhile(source) && !subvolume_is(source);
}

int epoch_precopy(int agent_dir, int64_t from, int64_t to, const MirrorIndex *known, MirrorIndex *seen, Error *e)
{
    _cleanup_close_ int epochs = -EBADF, source = open_source(agent_dir, from, &epochs, e);
    char name[32], tmp[40];
    int r;

    if (source < 0)
        return source;
    snprintf(name, sizeof(name), "%" PRIi64, to);
    snprintf(tmp, sizeof(tmp), "%s.tmp", name);
    r = copy_to(epochs, tmp, (MirrorSpec){.from = source, .known = known, .seen = seen, .live = true}, e);
    return r >= 0 && known ? publish(epochs, tmp, name, e) : r;
}

int epoch_copy_for_rehearsal(int agent_dir, int64_t from, Error *e)
{
    _cleanup_close_ int epochs = -EBADF, source = open_source(agent_dir, from, &epochs, e);
    int r;

    if (source < 0)
        return source;
    r = take_snapshot(epochs, source, REHEARSAL, e);
    if (r == -EOPNOTSUPP)
        r = copy_to(epochs, REHEARSAL, (MirrorSpec){.from = source, .live = true}, e);
    return r;
}

int epoch_open_rehearsal(int agent_dir, Error *e)
{
    _cleanup_close_ int epochs = open_epochs(agent_dir, e);

    return epochs < 0 ? epochs : open_directory(epochs, REHEARSAL, e);
}

void epoch_drop_rehearsal(int agent_dir)
{
    _cleanup_close_ int epochs = open_epochs(agent_dir, NULL);

    if (epochs >= 0)
        (void) subvolume_rm_rf(epochs, REHEARSAL);
}

int epoch_reserve(int agent_dir, Error *e)
{
    _cleanup_close_ int epochs = open_epochs(agent_dir, e), fd = -EBADF;
    int r;

    if (epochs < 0)
        return epochs;
    fd = openat(epochs, RESERVE, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 && (fallocate(fd, 0, 0, EPOCH_RESERVE) == 0 || errno == EOPNOTSUPP))
        return 0;
    r = -errno;
    epoch_give_up_reserve(agent_dir);
    return error_errnof(e, r, "cannot reserve %" PRIi64 " MiB for the way back", EPOCH_RESERVE >> 20);
}

void epoch_give_up_reserve(int agent_dir)
{
    _cleanup_close_ int epochs = open_epochs(agent_dir, NULL);

    if (epochs >= 0)
        (void) unlinkat(epochs, RESERVE, 0);
}

/* Is this name an epoch, and which? */
static bool parse_name(const char *name, int64_t *ret)
{
    char *end;

    if (name[0] < '0' || name[0] > '9' || strlen(name) > 15)
        return false;
    *ret = strtoll(name, &end, 10);
    return *end == '\0';
}

int epoch_collect(int agent_dir, const Head *head, Error *e)
{
    _cleanup_close_ int epochs = open_epochs(agent_dir, e);
    _cleanup_closedir_ DIR *d = NULL;
    struct dirent *de;
    int fd;

    if (epochs < 0)
        return epochs;
    fd = openat(epochs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return error_errnof(e, -errno, "epochs");
    while ((de = readdir(d))) {
        int64_t epoch;
        int r;

        if (parse_name(de->d_name, &epoch) ? swap_keeps(head, epoch) : !endswith(de->d_name, ".tmp"))
            continue;
        r = subvolume_rm_rf(epochs, de->d_name);
        if (r < 0)
            return error_errnof(e, r, "cannot remove epoch %s", de->d_name);
    }
    return 0;
}

static int own_below(int fd, uid_t uid, gid_t gid, unsigned depth)
{
    _cleanup_closedir_ DIR *d = fdopendir(fd);
    struct dirent *de;

    if (!d) {
        close(fd);
        return -ENOMEM;
    }
    if (depth > OWN_DEPTH_MAX)
        return -ELOOP;
    while (errno = 0, (de = readdir(d))) {
        int sub, r;

        if (streq(de->d_name, ".") || streq(de->d_name, ".."))
            continue;
        if (fchownat(dirfd(d), de->d_name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
            return -errno;
        sub = openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        if (sub < 0 && (errno == ENOTDIR || errno == ELOOP))
            continue;
        if (sub < 0)
            return -errno;
        r = own_below(sub, uid, gid, depth + 1);
        if (r < 0)
            return r;
    }
    return -errno;
}

int epoch_own(int fd, uid_t uid, gid_t gid, Error *e)
{
    int sub = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

    if (sub < 0)
        return error_errnof(e, -errno, "state");
    r = fchown(sub, uid, gid) < 0 ? -errno : 0;
    if (r < 0)
        close(sub);
    else
        r = own_below(sub, uid, gid, 0);
    if (r >= 0 && syncfs(fd) < 0)
        r = -errno;
    return r < 0 ? error_errnof(e, r, "cannot give the state to user %u", uid) : 0;
}
