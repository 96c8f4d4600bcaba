/* SPDX-License-Identifier: Apache-2.0 */
#include "mounts.h"

#include <linux/magic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "rootfs.h"
#include "runtime/base/fd.h"

int mounts_init(Mounts *m, const Config *config, int bundle, Error *e)
{
    *m = (Mounts){.config = config,
                  .bundle = bundle,
                  .shared_users = !config->namespaces[NS_USER].wanted,
                  .root = -EBADF,
                  .null = -EBADF,
                  .sources = calloc(config->n_mounts + 1, sizeof(int)),
                  .read_only = calloc(config->n_mounts + 1, sizeof(int))};
    if (!m->sources || !m->read_only)
        return error_errnof(e, -ENOMEM, "mounts");
    for (size_t i = 0; i <= config->n_mounts; i++)
        m->sources[i] = m->read_only[i] = -EBADF;
    return 0;
}

void mounts_close_sources(Mounts *m)
{
    for (size_t i = 0; m->config && i < m->config->n_mounts; i++) {
        fd_closep(&m->sources[i]);
        fd_closep(&m->read_only[i]);
    }
    fd_closep(&m->null);
}

void mounts_done(Mounts *m)
{
    if (m->sources && m->read_only)
        mounts_close_sources(m);
    fd_closep(&m->root);
    fd_closep(&m->bundle);
    free(m->sources);
    free(m->read_only);
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

int mounts_open_sources(Mounts *m, Error *e)
{
    for (size_t i = 0; i < m->config->n_mounts; i++) {
        const ConfigMount *c = &m->config->mounts[i];
        unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (c->options.recursive ? AT_RECURSIVE : 0);

        if (!c->options.bind || m->sources[i] >= 0)
            continue;
        m->sources[i] = open_tree(m->bundle, c->source, flags);
        if (m->sources[i] < 0)
            return errno == ENOSYS ? no_mount_api(e)
                                   : error_errnof(e, -errno, "cannot mount %s on %s", c->source, c->destination);
    }
    return 0;
}

int mounts_open_root(Mounts *m, Error *e)
{
    const Config *c = m->config;
    struct mount_attr slave = {.propagation = MS_SLAVE};
    struct mount_attr attr = {.propagation = c->root_propagation & (MS_PRIVATE | MS_UNBINDABLE | MS_SLAVE)};
    _cleanup_close_ int path = -EBADF;
    int r;

    /* Nothing that is mounted here may reach the host; what the host unmounts must not be held here. */
    if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &slave, sizeof(slave)) < 0)
        return errno == ENOSYS
                   ? no_mount_api(e)
                   : error_errnof(e, -errno, "cannot take the mounts of the container away from those of the host");
    m->null = device_open_host("/dev/null", S_IFCHR, makedev(1, 3));
    if (m->null < 0)
        return error_errnof(e, m->null, "/dev/null of the host");
    path = openat(m->bundle, c->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (path < 0)
        return error_errnof(e, -errno, "root file system %s", c->root);
    m->root = mounts_clone(path, true);
    if (m->root < 0)
        return error_errnof(e, m->root, "root file system %s", c->root);
    if (!attr.propagation)
        attr.propagation = MS_PRIVATE; /* "shared" is given at the end, to a tree that is all its own */
    if (mount_setattr(m->root, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return error_errnof(e, -errno, "root file system %s: propagation", c->root);
    r = rootfs_attach(m->root, path);
    return r < 0 ? error_errnof(e, r, "root file system %s: cannot be mounted", c->root) : 0;
}

/* The kernel's own words about the last failure, which say more than errno ("e tmpfs: Bad value for 'size'"). */
static int fs_error(int fs, int code, const ConfigMount *c, Error *e)
{
    char log[256];
    ssize_t n = read(fs, log, sizeof(log) - 1);

    if (n <= 2)
        return error_errnof(e, code, "cannot mount %s on %s", c->type, c->destination);
    log[n] = '\0';
    log[strcspn(log, "\n")] = '\0';
    return error_errnof(e, code, "cannot mount %s on %s: %s", c->type, c->destination, log + 2);
}

static int set_parameter(int fs, const char *parameter)
{
    char key[64];
    const char *value = strchr(parameter, '=');
    size_t n = value ? (size_t) (value - parameter) : strlen(parameter);

    if (n >= sizeof(key))
        return -EINVAL;
    memcpy(key, parameter, n);
    key[n] = '\0';
    if (value)
        return fsconfig(fs, FSCONFIG_SET_STRING, key, value + 1, 0) < 0 ? -errno : 0;
    return fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0) < 0 ? -errno : 0;
}

/* A new instance of a file system as a detached mount. */
static int make_filesystem(const ConfigMount *c, Error *e)
{
    bool cgroup = streq(c->type, "cgroup");
    const char *type = cgroup ? "cgroup2" : c->type; /* there is no other here */
    uint64_t attr = c->options.attr_set & ~(uint64_t) MOUNT_ATTR_RDONLY;
    _cleanup_close_ int fs = fsopen(type, FSOPEN_CLOEXEC);
    int r = 0, fd;

    if (fs < 0)
        return error_errnof(e, -errno, "cannot mount %s on %s", type, c->destination);
    if (c->source && fsconfig(fs, FSCONFIG_SET_STRING, "source", c->source, 0) < 0)
        return fs_error(fs, -errno, c, e);
    for (const char **p = c->options.parameters; *p && !cgroup && r >= 0; p++)
        r = set_parameter(fs, *p);
    for (const char **p = c->options.flags; *p && r >= 0; p++)
        r = set_parameter(fs, *p);
    if (r < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return fs_error(fs, r < 0 ? r : -errno, c, e);
    fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned) attr);
    return fd < 0 ? fs_error(fs, -errno, c, e) : fd;
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

/* A mount that shares nothing by itself gets what the root has; "shared" of a bind mount keeps its tie to the host, which is what it is asked for. */
static int set_propagation(int tree, const MountOptions *o, uint64_t root_propagation)
{
    uint64_t flags = o->propagation ? o->propagation : root_propagation;
    struct mount_attr attr = {.propagation = flags & ~(uint64_t) MS_REC};
    unsigned at = AT_EMPTY_PATH | (flags & MS_REC || !o->propagation ? AT_RECURSIVE : 0);

    if (!o->propagation && (flags & MS_SHARED))
        return 0;
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
    int r;

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
    char destination[4096];
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

static int apply_one(Mounts *m, size_t i, Error *e)
{
    const ConfigMount *c = &m->config->mounts[i];
    _cleanup_close_ int tree = c->options.bind ? TAKE_FD(m->sources[i]) : make_filesystem(c, e), target = -EBADF;
    int r;

    if (tree < 0)
        return tree;
    target = open_target(m, c, tree, e);
    if (target < 0)
        return target;
    if (c->options.copy_up && !c->options.bind && (r = copy_up(target, tree, c, e)) < 0)
        return r;
    if (c->options.bind && (r = set_attributes(tree, &c->options)) < 0)
        return error_errnof(e, r, "mount %s: cannot set its options", c->destination);
    r = set_propagation(tree, &c->options, m->config->root_propagation);
    if (r < 0)
        return error_errnof(e, r, "mount %s: cannot set its propagation", c->destination);
    r = rootfs_attach(tree, target);
    if (r < 0)
        return error_errnof(e, r, "cannot mount %s on %s", c->source ? c->source : c->type, c->destination);
    if (!c->options.bind && c->options.read_only)
        m->read_only[i] = TAKE_FD(tree);
    return 0;
}

int mounts_apply(Mounts *m, Error *e)
{
    for (size_t i = 0; i < m->config->n_mounts; i++) {
        int r = apply_one(m, i, e);

        if (r < 0)
            return r;
    }
    return 0;
}

int mounts_seal(Mounts *m, Error *e)
{
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    struct mount_attr shared = {.propagation = MS_SHARED};
    unsigned flags = AT_EMPTY_PATH | (m->config->root_propagation & MS_REC ? AT_RECURSIVE : 0);

    for (size_t i = 0; i < m->config->n_mounts; i++)
        if (m->read_only[i] >= 0 &&
            mount_setattr(m->read_only[i], "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) < 0)
            return error_errnof(e, -errno, "mount %s: cannot become read-only", m->config->mounts[i].destination);
    if (m->config->root_readonly && mount_setattr(m->root, "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) < 0)
        return error_errnof(e, -errno, "root file system: cannot become read-only");
    if ((m->config->root_propagation & MS_SHARED) && mount_setattr(m->root, "", flags, &shared, sizeof(shared)) < 0)
        return error_errnof(e, -errno, "root file system: cannot become shared");
    return 0;
}

int mounts_enter_root(Mounts *m, Error *e)
{
    if (fchdir(m->root) < 0)
        return error_errnof(e, -errno, "root file system");
    /* The old root ends up on top of the new one, from where it is taken away. */
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return error_errnof(e, -errno, "root file system: pivot_root");
    if (umount2(".", MNT_DETACH) < 0)
        return error_errnof(e, -errno, "root file system: cannot let go of the host's");
    return chdir("/") < 0 ? error_errnof(e, -errno, "root file system") : 0;
}
