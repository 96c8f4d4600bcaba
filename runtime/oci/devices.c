/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "filesystem.h"
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

static int attach(const Mounts *m, int tree, const char *path, Error *e)
{
    _cleanup_close_ int target = rootfs_open(m->root, path, ROOTFS_FILE);
    int r;

    if (target < 0)
        return error_errnof(e, target, "device %s: cannot make its place", path);
    r = rootfs_attach(tree, target);
    return r < 0 ? error_errnof(e, r, "device %s: cannot be mounted", path) : 0;
}

/* Without the right to make nodes, the host's own is mounted over an empty file. Its owner and mode are the host's, and no one here may change them, were it
 * the host's root. */
static int bind_device(const Mounts *m, const ConfigDevice *d, Error *e)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    _cleanup_close_ int host = -EBADF, tree = -EBADF;

    host = device_open_host(d->path, d->type, d->number);
    if (host < 0)
        return error_errnof(e, host, "device %s: the host's cannot be used", d->path);
    tree = mounts_clone(host, false);
    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return error_errnof(e, tree < 0 ? tree : -errno, "device %s", d->path);
    return attach(m, tree, d->path, e);
}

static const char *node_name(char name[static 24], size_t i)
{
    snprintf(name, 24, "%zu", i);
    return name;
}

static int outside(const IdMap *map, size_t n, uint32_t id, uint32_t *ret)
{
    for (size_t i = 0; i < n; i++)
        if (id >= map[i].inside && id - map[i].inside < map[i].count) {
            *ret = map[i].outside + (id - map[i].inside);
            return 0;
        }
    return -EINVAL;
}

int devices_make(Mounts *m, Error *e)
{
    const Config *c = m->config;
    char name[24];

    if (c->n_devices == 0 || !config_new(c, NS_USER))
        return 0;
    m->nodes = filesystem_for_nodes(c->mount_label);
    if (m->nodes < 0)
        return 0; /* what is missing is told when mounts are made */
    for (size_t i = 0; i < c->n_devices; i++) {
        const ConfigDevice *d = &c->devices[i];
        uint32_t uid, gid;

        if (d->type == S_IFIFO)
            continue;
        if (outside(c->uid_map, c->n_uid_map, d->uid, &uid) < 0 || outside(c->gid_map, c->n_gid_map, d->gid, &gid) < 0)
            return error_setf(e, -EINVAL, "device %s: its owner %u:%u has no place in the user namespace", d->path,
                              d->uid, d->gid);
        node_name(name, i);
        if (mknodat(m->nodes, name, d->type | 0600, d->number) < 0) {
            if (errno != EPERM)
                return error_errnof(e, -errno, "device %s: cannot be made", d->path);
            fd_closep(&m->nodes); /* in a user namespace of an engine's nobody can */
            return 0;
        }
        if (fchownat(m->nodes, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 || fchmodat(m->nodes, name, d->mode, 0) < 0)
            return error_errnof(e, -errno, "device %s: owner and mode", d->path);
    }
    return 0;
}

/* A file of a detached mount cannot be cloned before Linux 6.15, so it is attached for that moment: over the root, which is open, and so is not covered for us. */
static int attach_made(const Mounts *m, Error *e)
{
    _cleanup_close_ int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const Config *c = m->config;
    int r = cwd < 0 ? -errno : rootfs_attach(m->nodes, m->root);
    char name[24];

    if (r < 0)
        return error_errnof(e, r, "devices");
    for (size_t i = 0; i < c->n_devices && r >= 0; i++) {
        _cleanup_close_ int tree = -EBADF;

        if (c->devices[i].type == S_IFIFO)
            continue;
        tree = open_tree(m->nodes, node_name(name, i), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
        r = tree < 0 ? error_errnof(e, -errno, "device %s", c->devices[i].path)
                     : attach(m, tree, c->devices[i].path, e);
    }
    if (r >= 0 && (fchdir(m->nodes) < 0 || umount2(".", MNT_DETACH) < 0 || fchdir(cwd) < 0))
        r = error_errnof(e, -errno, "devices");
    return r;
}

/* The directory of the device before, which is mostly that of the next one. */
typedef struct Parent {
    const char *path; /* of a device in it */
    size_t len;       /* of the part that names the directory */
    int fd;
} Parent;

static void parent_done(Parent *p)
{
    fd_closep(&p->fd);
}

/* Opens the directory that holds `path`; *ret_name is the last component. */
static int parent_open(Parent *p, const Mounts *m, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    char dir[4096];
    size_t len;

    if (!slash || !slash[1] || streq(slash + 1, "..") || streq(slash + 1, ".") ||
        (size_t) (slash - path) >= sizeof(dir))
        return -EINVAL;
    *ret_name = slash + 1;
    len = (size_t) (slash - path);
    if (p->fd >= 0 && p->len == len && memcmp(p->path, path, len) == 0)
        return 0;
    memcpy(dir, path, len);
    dir[len] = '\0';
    fd_closep(&p->fd);
    *p = (Parent){path, len, rootfs_open(m->root, dir, ROOTFS_DIRECTORY)};
    return p->fd < 0 ? p->fd : 0;
}

/* What a mount has put there, as engines do with the host's devices, keeps the owner that its source has. */
static bool is_mounted(int dir, const char *name)
{
    struct statx st;

    return statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &st) == 0 &&
           (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static int make_device(const Mounts *m, Parent *p, const ConfigDevice *d, Error *e)
{
    const char *name;
    struct stat st;
    int dir, r = parent_open(p, m, d->path, &name);

    if (r < 0)
        return error_errnof(e, r, "device %s: cannot make its directory", d->path);
    dir = p->fd;
    if (mknodat(dir, name, d->type | d->mode, d->number) < 0 && errno != EEXIST)
        /* root of a user namespace that an engine has made for all its containers makes no nodes either */
        return errno == EPERM && d->type != S_IFIFO ? bind_device(m, d, e)
                                                    : error_errnof(e, -errno, "device %s: cannot be made", d->path);
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errnof(e, -errno, "device %s", d->path);
    if (!same_device(&st, d->type, d->number))
        return error_setf(e, -EEXIST, "device %s: the root file system has something else there", d->path);
    if ((st.st_uid == d->uid && st.st_gid == d->gid) || is_mounted(dir, name))
        return 0;
    if (fchownat(dir, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errnof(e, -errno, "device %s: owner", d->path);
    return 0;
}

static int one_device(const Mounts *m, Parent *p, const ConfigDevice *d, Error *e)
{
    return m->shared_users || d->type == S_IFIFO ? make_device(m, p, d, e) : bind_device(m, d, e);
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

static int make_links(const Mounts *m, Parent *p, Error *e)
{
    const char *name;
    int dev, r = parent_open(p, m, default_devices[0].path, &name);

    if (r < 0)
        return error_errnof(e, r, "/dev");
    dev = p->fd;
    for (size_t i = 0; i < ARRAY_SIZE(default_links); i++)
        if (symlinkat(default_links[i].target, dev, default_links[i].name) < 0 && errno != EEXIST)
            return error_errnof(e, -errno, "/dev/%s", default_links[i].name);
    return link_ptmx(dev, e);
}

int devices_apply(Mounts *m, Error *e)
{
    _cleanup_(parent_done) Parent p = {.fd = -EBADF};
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

        if (!configured(c, d.path) && (r = one_device(m, &p, &d, e)) < 0)
            return r;
    }
    if (m->nodes >= 0 && (r = attach_made(m, e)) < 0)
        return r;
    for (size_t i = 0; i < c->n_devices; i++)
        if ((m->nodes < 0 || c->devices[i].type == S_IFIFO) && (r = one_device(m, &p, &c->devices[i], e)) < 0)
            return r;
    return make_links(m, &p, e);
}
