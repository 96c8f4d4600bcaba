/* SPDX-License-Identifier: Apache-2.0 */
#include "mounts.h"

#include <linux/magic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "filesystem.h"
#include "rootfs.h"
#include "runtime/base/fd.h"
#include "runtime/box/cgroup.h"

int mounts_init(Mounts *m, const Config *config, int bundle, Error *e)
{
    *m = (Mounts){.config = config,
                  .bundle = bundle,
                  .shared_users = !config->namespaces[NS_USER].wanted,
                  .root = -EBADF,
                  .place = -EBADF,
                  .null = -EBADF,
                  .nodes = -EBADF,
                  .proc = -EBADF,
                  .sys = -EBADF,
                  .sources = calloc(config->n_mounts + 1, sizeof(int)),
                  .read_only = calloc(config->n_mounts + 1, sizeof(int)),
                  .idmaps = calloc(config->n_mounts + 1, sizeof(int))};
    if (!m->sources || !m->read_only || !m->idmaps)
        return error_errnof(e, -ENOMEM, "mounts");
    for (size_t i = 0; i <= config->n_mounts; i++)
        m->sources[i] = m->read_only[i] = m->idmaps[i] = -EBADF;
    return 0;
}

void mounts_close_sources(Mounts *m)
{
    for (size_t i = 0; m->config && i < m->config->n_mounts; i++) {
        fd_closep(&m->sources[i]);
        fd_closep(&m->read_only[i]);
        fd_closep(&m->idmaps[i]);
    }
    fd_closep(&m->null);
    fd_closep(&m->nodes);
    fd_closep(&m->proc);
    fd_closep(&m->sys);
}

void mounts_done(Mounts *m)
{
    if (m->sources && m->read_only && m->idmaps)
        mounts_close_sources(m);
    fd_closep(&m->root);
    fd_closep(&m->place);
    fd_closep(&m->bundle);
    free(m->sources);
    free(m->read_only);
    free(m->idmaps);
    *m = (Mounts) MOUNTS_INIT;
}

int mounts_clone(int fd, bool recursive)
{
    int tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));

    return tree < 0 ? -errno : tree;
}

/* There is no second way by mount(2), which takes paths and would have to be kept as safe as the first: refused rather than done otherwise. */
static int no_mount_api(Error *e)
{
    return error_setf(
        e, -ENOSYS,
        "needs the mount API of Linux 5.12 (open_tree, fsmount, mount_setattr), which is missing or blocked here");
}

/* The same owners as an earlier mount's? Volumes mostly have the same. */
static int find_idmap(const Mounts *m, size_t i)
{
    const ConfigMount *c = &m->config->mounts[i], *d;

    for (size_t k = 0; k < i; k++) {
        d = &m->config->mounts[k];
        if (m->idmaps[k] >= 0 && c->n_uid_map == d->n_uid_map && c->n_gid_map == d->n_gid_map &&
            (c->n_uid_map == 0 || (memcmp(c->uid_map, d->uid_map, c->n_uid_map * sizeof(*c->uid_map)) == 0 &&
                                   memcmp(c->gid_map, d->gid_map, c->n_gid_map * sizeof(*c->gid_map)) == 0)))
            return m->idmaps[k];
    }
    return -EBADF;
}

int mounts_open_idmaps(Mounts *m, Error *e)
{
    const char *joined = m->config->namespaces[NS_USER].path;

    for (size_t i = 0; i < m->config->n_mounts; i++) {
        const ConfigMount *c = &m->config->mounts[i];
        int same;

        if (!c->options.idmap)
            continue;
        same = find_idmap(m, i);
        if (same >= 0)
            m->idmaps[i] = fcntl(same, F_DUPFD_CLOEXEC, 3);
        else if (c->n_uid_map == 0)
            m->idmaps[i] = open(joined, O_RDONLY | O_CLOEXEC);
        else {
            m->idmaps[i] = userns_open(c->uid_map, c->n_uid_map, c->gid_map, c->n_gid_map, e);
            if (m->idmaps[i] < 0)
                return error_wrapf(e, m->idmaps[i], "mount %s: mapped owners", c->destination);
        }
        if (m->idmaps[i] < 0)
            return error_errnof(e, -errno, "mount %s: mapped owners", c->destination);
    }
    return 0;
}

static int map_owners(const Mounts *m, size_t i, int tree, Error *e)
{
    const ConfigMount *c = &m->config->mounts[i];
    unsigned flags = AT_EMPTY_PATH | (c->options.idmap_recursive ? AT_RECURSIVE : 0);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t) m->idmaps[i]};

    if (!c->options.idmap || mount_setattr(tree, "", flags, &attr, sizeof(attr)) == 0)
        return 0;
    return error_errnof(e, -errno, "mount %s: the owners cannot be mapped%s", c->destination,
                        errno == EINVAL  ? " (not every file system can, and none twice)"
                        : errno == EPERM ? " (this takes privilege over the file system)"
                                         : "");
}

/* A mount of cgroup2 in the host's cgroup namespace would be the same hierarchy, and give it the options of this mount (cgroup-v2.rst, "nsdelegate"). */
static int clone_cgroups(const ConfigMount *c, Error *e)
{
    struct mount_attr attr = {.attr_set = c->options.attr_set & ~(uint64_t) MOUNT_ATTR_RDONLY};
    _cleanup_close_ int top = cgroup_open_top(e), tree = -EBADF;

    if (top < 0)
        return top;
    tree = mounts_clone(top, false);
    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return error_errnof(e, tree < 0 ? tree : -errno, "cannot mount cgroup2 on %s", c->destination);
    return TAKE_FD(tree);
}

static int make_tree(const Mounts *m, const ConfigMount *c, Error *e)
{
    if ((streq(c->type, "cgroup") || streq(c->type, "cgroup2")) && !m->config->namespaces[NS_CGROUP].wanted)
        return clone_cgroups(c, e);
    return filesystem_make(c, m->config->mount_label, e);
}

static int open_source(const Mounts *m, const ConfigMount *c, Error *e)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (c->options.recursive ? AT_RECURSIVE : 0);
    int tree;

    if (!c->options.bind)
        return make_tree(m, c, e);
    tree = open_tree(m->bundle, c->source, flags);
    if (tree >= 0)
        return tree;
    return errno == ENOSYS ? no_mount_api(e)
                           : error_errnof(e, -errno, "mount %s: source %s", c->destination, c->source);
}

/* A file system with mapped owners is made by the runtime, too: its owners are mapped to those of the host, which a user namespace has no say in. All in their
 * order, as since Linux 6.8 mountinfo shows mounts in the order in which they came to be. */
int mounts_open_sources(Mounts *m, bool inside, Error *e)
{
    for (size_t i = 0; i < m->config->n_mounts; i++) {
        const ConfigMount *c = &m->config->mounts[i];
        int r;

        if ((!inside && !c->options.bind && !c->options.idmap) || c->options.remount || m->sources[i] >= 0)
            continue;
        m->sources[i] = open_source(m, c, e);
        if (m->sources[i] < 0)
            return m->sources[i];
        r = map_owners(m, i, m->sources[i], e);
        if (r < 0)
            return r;
    }
    return 0;
}

int mounts_open_root(Mounts *m, Error *e)
{
    const Config *c = m->config;
    struct mount_attr attr = {.propagation = c->root_propagation & (MS_PRIVATE | MS_SLAVE)};

    m->place = openat(m->bundle, c->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (m->place < 0)
        return error_errnof(e, -errno, "root file system %s", c->root);
    m->root = mounts_clone(m->place, true);
    if (m->root < 0)
        return m->root == -ENOSYS ? no_mount_api(e) : error_errnof(e, m->root, "root file system %s", c->root);
    if (!attr.propagation)
        attr.propagation = MS_PRIVATE; /* the others are given at the end, when nothing has to be cloned any more */
    if (mount_setattr(m->root, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return errno == ENOSYS ? no_mount_api(e) : error_errnof(e, -errno, "root file system %s: propagation", c->root);
    return 0;
}

int mounts_attach_root(Mounts *m, Error *e)
{
    struct mount_attr slave = {.propagation = MS_SLAVE}, own = {.propagation = MS_PRIVATE};
    bool shared = !config_new(m->config, NS_MOUNT);
    int r;

    /* Nothing that is mounted here may reach the host; what the host unmounts must not be held here. */
    if (!shared && mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &slave, sizeof(slave)) < 0)
        return error_errnof(e, -errno, "cannot take the mounts of the container away from those of the host");
    m->null = device_open_host("/dev/null", S_IFCHR, makedev(1, 3));
    if (m->null < 0)
        return error_errnof(e, m->null, "/dev/null of the host");
    r = rootfs_attach(m->root, m->place);
    fd_closep(&m->place);
    /* What is attached to a mount that others share is shared, too: what is mounted in the container is not. */
    if (r >= 0 && shared && mount_setattr(m->root, "", AT_EMPTY_PATH | AT_RECURSIVE, &own, sizeof(own)) < 0)
        r = -errno;
    return r < 0 ? error_errnof(e, r, "root file system %s: cannot be mounted", m->config->root) : 0;
}

static int set_attributes(int tree, const MountOptions *o)
{
    struct mount_attr attr = {.attr_set = o->attr_set, .attr_clr = o->attr_clear};
    struct mount_attr all = {.attr_set = o->attr_set_rec, .attr_clr = o->attr_clear_rec};
    struct statfs fs;

    /* A read-only /sys of the host's with writable cgroups in it would be read-only by name (CVE-2023-25809). */
    if (o->recursive && o->read_only && fstatfs(tree, &fs) == 0 && fs.f_type == SYSFS_MAGIC)
        all.attr_set |= MOUNT_ATTR_RDONLY;
    if ((attr.attr_set || attr.attr_clr) && mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return -errno;
    if ((all.attr_set || all.attr_clr) && mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &all, sizeof(all)) < 0)
        return -errno;
    return 0;
}

/* A mount that shares nothing by itself gets what the root has (private until the end if that is given then); "shared" of a bind mount keeps its tie to the host, which is what it is asked for. */
static int set_propagation(int tree, const MountOptions *o, uint64_t root_propagation)
{
    uint64_t flags = o->propagation ? o->propagation : root_propagation;
    struct mount_attr attr = {.propagation = flags & ~(uint64_t) MS_REC};
    unsigned at = AT_EMPTY_PATH | (flags & MS_REC || !o->propagation ? AT_RECURSIVE : 0);

    if (!o->propagation && (flags & MS_SHARED))
        return 0;
    if (!o->propagation && (flags & MS_UNBINDABLE))
        attr.propagation = MS_PRIVATE;
    return mount_setattr(tree, "", at, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

static bool below(const char *path, const char *dir)
{
    const char *rest = startswith(path, dir);

    return rest && (*rest == '/' || *rest == '\0');
}

/* A path of the configuration with repeated and final slashes taken away, to compare it. */
static void normalise(const char *path, char *buf, size_t size)
{
    size_t n = 0;

    for (const char *p = path; *p && n + 1 < size; p++)
        if (*p != '/' || (p[1] != '/' && p[1] != '\0'))
            buf[n++] = *p;
    buf[n] = '\0';
}

/* Writes to a fake /proc would go anywhere, so nothing may lie on it but what lxcfs and the like put there. */
static int check_proc(const ConfigMount *c, int tree, const char *destination, Error *e)
{
    static const char *const allowed[] = {
        "/proc/cpuinfo",
        "/proc/diskstats",
        "/proc/meminfo",
        "/proc/stat",
        "/proc/swaps",
        "/proc/uptime",
        "/proc/loadavg",
        "/proc/slabinfo",
        "/proc/cgroups",
        "/proc/net/dev",
        "/proc/sys/kernel/ns_last_pid",
        "/proc/sys/crypto/fips_enabled",
    };
    struct statfs fs;

    if (strstr(destination, "/../") || endswith(destination, "/.."))
        return error_setf(e, -EINVAL, "mount %s: a destination with \"..\" is refused", c->destination);
    if (!below(destination, "/proc"))
        return 0;
    if (streq(destination, "/proc")) {
        if (fstatfs(tree, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC)
            return 0;
        return error_setf(e, -EINVAL, "mount %s: only a procfs may be mounted there", c->destination);
    }
    if (c->options.bind)
        for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
            if (streq(destination, allowed[i]))
                return 0;
    return error_setf(e, -EINVAL, "mount %s: nothing may be mounted inside /proc", c->destination);
}

static int mount_id(int fd, uint64_t *ret)
{
    struct statx st;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
        return -errno;
    *ret = st.stx_mnt_id;
    return 0;
}

/* A symlink of the image may lead to where check_proc() would not have let the mount go. */
static int check_target(const Mounts *m, const ConfigMount *c, int target, const char *destination, Error *e)
{
    _cleanup_close_ int proc = -EBADF;
    uint64_t there = 0, own = 0;
    struct statfs fs;
    int r = 0;

    if (fstatfs(target, &fs) < 0)
        return error_errnof(e, -errno, "mount %s", c->destination);
    if (fs.f_type != PROC_SUPER_MAGIC || below(destination, "/proc"))
        return 0;
    proc = rootfs_open(m->root, "/proc", ROOTFS_EXISTING);
    if (proc < 0 || (r = mount_id(proc, &own)) < 0 || (r = mount_id(target, &there)) < 0)
        return error_errnof(e, proc < 0 ? proc : r, "mount %s", c->destination);
    return own == there
               ? error_setf(e, -EINVAL, "mount %s: leads into /proc, where nothing may be mounted", c->destination)
               : 0;
}

static int open_target(const Mounts *m, const ConfigMount *c, int tree, Error *e)
{
    _cleanup_close_ int fd = -EBADF;
    char destination[4096], part[PATH_MAX];
    struct stat st;
    int r;

    destination[0] = '/';
    normalise(c->destination, destination + (c->destination[0] != '/'), sizeof(destination) - 1);
    if (streq(destination, "/") || !*destination)
        return error_setf(e, -EINVAL, "mount %s: the root itself cannot be mounted over", c->destination);
    r = check_proc(c, tree, destination, e);
    if (r < 0)
        return r;
    if (!c->options.bind && (streq(c->type, "proc") || streq(c->type, "sysfs"))) {
        fd = rootfs_open_plain_directory(m->root, destination);
        if (fd == -ELOOP || fd == -ENOTDIR || fd == -EXDEV)
            return error_setf(e, fd, "mount %s: %s must be mounted on ordinary directory", c->destination, c->type);
    } else {
        if (fstat(tree, &st) < 0)
            return error_errnof(e, -errno, "mount %s", c->destination);
        fd = rootfs_open(m->root, destination, S_ISDIR(st.st_mode) ? ROOTFS_DIRECTORY : ROOTFS_FILE);
    }
    if (fd == -ENOTDIR)
        return error_setf(e, fd, "mount %s: %s is not a directory", c->destination,
                          rootfs_obstacle(m->root, destination, part));
    if (fd == -EISDIR)
        return error_setf(e, fd, "mount %s: is a directory, and its source %s is none", c->destination, c->source);
    if (fd < 0)
        return error_errnof(e, fd, "mount %s: cannot make its target", c->destination);
    r = check_target(m, c, fd, destination, e);
    return r < 0 ? r : TAKE_FD(fd);
}

/* tmpcopyup: the directory's own content is to be found in the tmpfs that covers it. */
static int copy_up(int target, int tree, const ConfigMount *c, Error *e)
{
    _cleanup_close_ int from = openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int to = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = from < 0 || to < 0 ? -errno : copy_tree_at(from, to);

    return r < 0 ? error_errnof(e, r, "mount %s: cannot copy what the directory holds", c->destination) : 0;
}

/* A tmpfs has the mode of the directory that it covers unless its options say otherwise. Returns whether there is one to be set. */
static bool covered_mode(const Mounts *m, const ConfigMount *c, int tree, mode_t *ret)
{
    _cleanup_close_ int covered = -EBADF;
    bool given = false;
    struct stat st;

    if (c->options.bind || !streq(c->type, "tmpfs"))
        return false;
    for (const char **p = c->options.parameters; *p; p++)
        given = given || startswith(*p, "mode=");
    if (given && !c->options.copy_up)
        return false;
    covered = given ? -EBADF : rootfs_open(m->root, c->destination, ROOTFS_EXISTING);
    if ((!given && covered < 0) || fstat(given ? tree : covered, &st) < 0 || !S_ISDIR(st.st_mode))
        return false;
    *ret = st.st_mode & 07777;
    return true;
}

static int set_mode(int tree, mode_t mode)
{
    _cleanup_close_ int top = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return top < 0 || fchmod(top, mode) < 0 ? -errno : 0;
}

/* "remount": other options for what is mounted there already. */
static int change_one(Mounts *m, size_t i, Error *e)
{
    const ConfigMount *c = &m->config->mounts[i];
    MountOptions writable = c->options;
    struct statx st = {};
    _cleanup_close_ int target = rootfs_open(m->root, c->destination, ROOTFS_EXISTING);
    int r;

    if (target < 0 || statx(target, "", AT_EMPTY_PATH, 0, &st) < 0)
        return error_errnof(e, target < 0 ? target : -errno, "mount %s: remount", c->destination);
    if (!(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
        return error_setf(e, -EINVAL, "mount %s: remount: nothing is mounted there", c->destination);
    writable.attr_set &= ~(uint64_t) MOUNT_ATTR_RDONLY; /* comes last */
    r = set_attributes(target, &writable);
    if (r < 0)
        return error_errnof(e, r, "mount %s: remount: cannot set its options", c->destination);
    r = filesystem_change(target, c, e);
    if (r < 0)
        return r;
    if (c->options.propagation && (r = set_propagation(target, &c->options, 0)) < 0)
        return error_errnof(e, r, "mount %s: cannot set its propagation", c->destination);
    if (c->options.attr_set & MOUNT_ATTR_RDONLY)
        m->read_only[i] = TAKE_FD(target);
    return 0;
}

/* What is to be masked there must be found even if somebody gives the directories of the root file system other names meanwhile. */
static int keep(Mounts *m, const ConfigMount *c, int tree, Error *e)
{
    int *place = streq(c->destination, "/proc") ? &m->proc : streq(c->destination, "/sys") ? &m->sys : NULL;

    if (!place)
        return 0;
    fd_closep(place);
    *place = fcntl(tree, F_DUPFD_CLOEXEC, 3);
    return *place < 0 ? error_errnof(e, -errno, "mount %s", c->destination) : 0;
}

/* A read-only bind in which a later mount lies, as podman's secrets lie in /run/secrets, is writable until their targets are made. */
static bool read_only_late(const Mounts *m, size_t i)
{
    const ConfigMount *c = &m->config->mounts[i];

    if (!c->options.bind || !(c->options.attr_set & MOUNT_ATTR_RDONLY))
        return false;
    for (size_t k = i + 1; k < m->config->n_mounts; k++)
        if (below(m->config->mounts[k].destination, c->destination))
            return true;
    return false;
}

static int apply_one(Mounts *m, size_t i, Error *e)
{
    const ConfigMount *c = &m->config->mounts[i];
    _cleanup_close_ int tree = TAKE_FD(m->sources[i]), target = -EBADF;
    bool late = read_only_late(m, i);
    MountOptions options = c->options;
    mode_t mode = 0;
    bool has_mode;
    int r;

    has_mode = covered_mode(m, c, tree, &mode);
    target = open_target(m, c, tree, e);
    if (target < 0)
        return target;
    if (c->options.copy_up && has_mode && (r = copy_up(target, tree, c, e)) < 0) /* without one, nothing was there */
        return r;
    if (has_mode && (r = set_mode(tree, mode)) < 0)
        return error_errnof(e, r, "mount %s: mode", c->destination);
    if (late)
        options.attr_set &= ~(uint64_t) MOUNT_ATTR_RDONLY;
    if (c->options.bind && (r = set_attributes(tree, &options)) < 0)
        return error_errnof(e, r, "mount %s: cannot set its options", c->destination);
    r = set_propagation(tree, &c->options, m->config->root_propagation);
    if (r < 0)
        return error_errnof(e, r, "mount %s: cannot set its propagation", c->destination);
    r = rootfs_attach(tree, target);
    if (r < 0)
        return error_errnof(e, r, "cannot mount %s on %s", c->source ? c->source : c->type, c->destination);
    r = keep(m, c, tree, e);
    if (r >= 0 && (late || (!c->options.bind && c->options.read_only)))
        m->read_only[i] = TAKE_FD(tree);
    return r;
}

int mounts_apply(Mounts *m, Error *e)
{
    for (size_t i = 0; i < m->config->n_mounts; i++) {
        int r = m->config->mounts[i].options.remount ? change_one(m, i, e) : apply_one(m, i, e);

        if (r < 0)
            return r;
    }
    return 0;
}

int mounts_seal(Mounts *m, Error *e)
{
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    struct mount_attr propagation = {.propagation = m->config->root_propagation & (MS_SHARED | MS_UNBINDABLE)};
    unsigned flags = AT_EMPTY_PATH | (m->config->root_propagation & MS_REC ? AT_RECURSIVE : 0);

    for (size_t i = 0; i < m->config->n_mounts; i++)
        if (m->read_only[i] >= 0 &&
            mount_setattr(m->read_only[i], "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) < 0)
            return error_errnof(e, -errno, "mount %s: cannot become read-only", m->config->mounts[i].destination);
    if (m->config->root_readonly && mount_setattr(m->root, "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) < 0)
        return error_errnof(e, -errno, "root file system: cannot become read-only");
    if (propagation.propagation && mount_setattr(m->root, "", flags, &propagation, sizeof(propagation)) < 0)
        return error_errnof(e, -errno, "root file system: cannot become %s",
                            propagation.propagation == MS_SHARED ? "shared" : "unbindable");
    return 0;
}
