/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "mounts.h"
#include "rootfs.h"
#include "runtime/base/fd.h"

/* What every container has (runtime-spec, "Default Devices"). */
static const struct {
    const char *path;
    unsigned major, minor;
} default_devices[] = {
    {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
    {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};

static const struct {
    const char *name, *target;
} default_links[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},
};

static bool same_device(const struct stat *st, mode_t type, dev_t number)
{
    return (st->st_mode & S_IFMT) == type && (type == S_IFIFO || st->st_rdev == number);
}

int device_open_host(const char *path, mode_t type, dev_t number)
{
    _cleanup_close_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    return same_device(&st, type, number) ? TAKE_FD(fd) : -ENODEV;
}

/* Without the right to make nodes, the host's own is mounted over an empty file. */
static int bind_device(const Mounts *m, const ConfigDevice *d, Error *e)
{
    _cleanup_close_ int host = -EBADF, tree = -EBADF, target = -EBADF;
    int r;

    host = device_open_host(d->path, d->type, d->number);
    if (host < 0)
        return error_errnof(e, host, "device %s: the host's cannot be used", d->path);
    tree = mounts_clone(host, false);
    if (tree < 0)
        return error_errnof(e, tree, "device %s", d->path);
    target = rootfs_open(m->root, d->path, ROOTFS_FILE);
    if (target < 0)
        return error_errnof(e, target, "device %s: cannot make its place", d->path);
    r = rootfs_attach(tree, target);
    return r < 0 ? error_errnof(e, r, "device %s: cannot be mounted", d->path) : 0;
}

/* The directory that holds `path`, and the last component. */
static int open_parent(const Mounts *m, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    char dir[4096];

    if (!slash || !slash[1] || streq(slash + 1, "..") || streq(slash + 1, ".") ||
        (size_t) (slash - path) >= sizeof(dir))
        return -EINVAL;
    memcpy(dir, path, (size_t) (slash - path));
    dir[slash - path] = '\0';
    *ret_name = slash + 1;
    return rootfs_open(m->root, dir, ROOTFS_DIRECTORY);
}

static int make_device(const Mounts *m, const ConfigDevice *d, Error *e)
{
    _cleanup_close_ int dir = -EBADF;
    const char *name;
    struct stat st;

    dir = open_parent(m, d->path, &name);
    if (dir < 0)
        return error_errnof(e, dir, "device %s: cannot make its directory", d->path);
    if (mknodat(dir, name, d->type | d->mode, d->number) < 0 && errno != EEXIST)
        /* root of a user namespace that an engine has made for all its containers makes no nodes either */
        return errno == EPERM && d->type != S_IFIFO ? bind_device(m, d, e)
                                                    : error_errnof(e, -errno, "device %s: cannot be made", d->path);
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errnof(e, -errno, "device %s", d->path);
    if (!same_device(&st, d->type, d->number))
        return error_setf(e, -EEXIST, "device %s: the root file system has something else there", d->path);
    if (st.st_uid == d->uid && st.st_gid == d->gid)
        return 0;
    if (fchownat(dir, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errnof(e, -errno, "device %s: owner", d->path);
    return 0;
}

static int one_device(const Mounts *m, const ConfigDevice *d, Error *e)
{
    return m->shared_users || d->type == S_IFIFO ? make_device(m, d, e) : bind_device(m, d, e);
}

static bool configured(const Config *c, const char *path)
{
    for (size_t i = 0; i < c->n_devices; i++)
        if (streq(c->devices[i].path, path))
            return true;
    return false;
}

/* /dev/ptmx has to be that of the container's own devpts. */
static int link_ptmx(int dev, Error *e)
{
    struct stat st;

    if (fstatat(dev, "ptmx", &st, AT_SYMLINK_NOFOLLOW) == 0 && unlinkat(dev, "ptmx", 0) < 0)
        return error_errnof(e, -errno, "/dev/ptmx: cannot be replaced");
    return symlinkat("pts/ptmx", dev, "ptmx") < 0 ? error_errnof(e, -errno, "/dev/ptmx") : 0;
}

static int make_links(const Mounts *m, Error *e)
{
    _cleanup_close_ int dev = rootfs_open(m->root, "/dev", ROOTFS_DIRECTORY);

    if (dev < 0)
        return error_errnof(e, dev, "/dev");
    for (size_t i = 0; i < ARRAY_SIZE(default_links); i++)
        if (symlinkat(default_links[i].target, dev, default_links[i].name) < 0 && errno != EEXIST)
            return error_errnof(e, -errno, "/dev/%s", default_links[i].name);
    return link_ptmx(dev, e);
}

int devices_apply(Mounts *m, Error *e)
{
    const Config *c = m->config;
    int r;

    for (size_t i = 0; i < c->n_mounts; i++)
        if (c->mounts[i].options.bind &&
            (streq(c->mounts[i].destination, "/dev") || streq(c->mounts[i].destination, "/dev/")))
            return 0; /* somebody else's: nothing is put there */
    for (size_t i = 0; i < ARRAY_SIZE(default_devices); i++) {
        ConfigDevice d = {.path = default_devices[i].path,
                          .type = S_IFCHR,
                          .number = makedev(default_devices[i].major, default_devices[i].minor),
                          .mode = 0666};

        if (!configured(c, d.path) && (r = one_device(m, &d, e)) < 0)
            return r;
    }
    for (size_t i = 0; i < c->n_devices; i++)
        if ((r = one_device(m, &c->devices[i], e)) < 0)
            return r;
    return make_links(m, e);
}
