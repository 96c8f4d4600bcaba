/* SPDX-License-Identifier: Apache-2.0 */
#include "filesystem.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include "runtime/base/apart.h"
#include "runtime/base/fd.h"
#include "runtime/base/strbuf.h"

#define VALUE_MAX 256        /* of fsconfig(2), with the zero */
#define LEGACY_DATA_MAX 4096 /* of mount(2), with the zero: what is longer it cuts off */

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

/* Layers one by one (Linux 6.7): fsconfig(2) takes no more than 255 bytes at once. */
static int set_layers(int fs, const char *list)
{
    char layer[VALUE_MAX];
    size_t n = 0;

    for (const char *p = list;; p++) {
        if (*p && *p != ':') {
            p += *p == '\\' && p[1];
            if (n + 1 >= sizeof(layer))
                return -ENAMETOOLONG;
            layer[n++] = *p;
            continue;
        }
        layer[n] = '\0';
        if (n == 0 || fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir+", layer, 0) < 0)
            return n == 0 ? -EINVAL : -errno;
        if (!*p)
            return 0;
        n = 0;
    }
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
    if (streq(key, "lowerdir") && value && strlen(value + 1) >= VALUE_MAX)
        return set_layers(fs, value + 1);
    if (value)
        return fsconfig(fs, FSCONFIG_SET_STRING, key, value + 1, 0) < 0 ? -errno : 0;
    return fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0) < 0 ? -errno : 0;
}

static int set_parameters(int fs, const MountOptions *o, bool foreign)
{
    char drop[256];
    int r = 0;

    for (const char **p = o->parameters; *p && !foreign && r >= 0; p++)
        r = set_parameter(fs, *p);
    for (const char **p = o->flags; *p && r >= 0; p++)
        r = set_parameter(fs, *p);
    for (const char **p = o->tried; *p && r >= 0; p++)
        if (set_parameter(fs, *p) < 0)
            while (read(fs, drop, sizeof(drop)) > 0)
                ; /* it has no such switch: its words about that are not about what follows */
    return r;
}

/* File systems of the kernel's own objects have labels by policy; a message queue's is that of its root. */
static bool labelled(const char *type, const MountOptions *o)
{
    static const char *const never[] = {"proc", "sysfs", "cgroup2", "mqueue"};

    for (size_t i = 0; i < ARRAY_SIZE(never); i++)
        if (streq(type, never[i]))
            return false;
    for (const char **p = o->parameters; *p; p++)
        if (startswith(*p, "context=") || startswith(*p, "fscontext=") || startswith(*p, "defcontext="))
            return false;
    return true;
}

static int label_root(int mount, const char *label)
{
    _cleanup_close_ int root = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return root < 0 || fsetxattr(root, "security.selinux", label, strlen(label) + 1, 0) < 0 ? -errno : 0;
}

/* ---- before Linux 6.7, an overlay with more layers than fsconfig(2) takes at once ---- */

static bool has_long_layers(const MountOptions *o)
{
    for (const char **p = o->parameters; *p; p++)
        if (startswith(*p, "lowerdir=") && strlen(*p) - strlen("lowerdir=") >= VALUE_MAX)
            return true;
    return false;
}

/* A kernel whose overlay takes whatever it is told reads it as mount(2) does (before 6.5); between the two, "lowerdir+" is unknown. */
static bool overlay_takes_layers(void)
{
    _cleanup_close_ int fs = fsopen("overlay", FSOPEN_CLOEXEC);

    return fs >= 0 && fsconfig(fs, FSCONFIG_SET_FLAG, "moss-no-such-option", NULL, 0) < 0 &&
           fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir+", "/", 0) == 0;
}

typedef struct LongOverlay {
    const ConfigMount *config;
    const char *data;
    int mount; /* or -errno */
} LongOverlay;

/* Separated by commas, so that none may have one. */
static int join_parameters(const ConfigMount *c, const char *label, StrBuf *ret)
{
    for (const char **p = c->options.parameters; *p; p++) {
        if (strchr(*p, ','))
            return -EINVAL;
        (void) strbuf_addf(ret, "%s%s", ret->len ? "," : "", *p);
    }
    if (label)
        (void) strbuf_addf(ret, ",context=\"%s\"", label);
    return ret->failed ? -ENOMEM : ret->len >= LEGACY_DATA_MAX ? -E2BIG : 0;
}

/* Mount(2) takes a page of options, and a place: /proc, in a mount namespace of its own. */
static void mount_at_proc(void *userdata)
{
    LongOverlay *o = userdata;
    const char *source = o->config->source ? o->config->source : o->config->type;

    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount(source, "/proc", "overlay", 0, o->data) == 0)
        o->mount = open_tree(AT_FDCWD, "/proc", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (o->mount < 0)
        o->mount = -errno;
}

static int make_long_overlay(const ConfigMount *c, const char *label, uint64_t attr, Error *e)
{
    struct mount_attr set = {.attr_set = attr, .attr_clr = MOUNT_ATTR__ATIME};
    _cleanup_(strbuf_done) StrBuf data = {};
    LongOverlay o = {.config = c, .mount = -EBADF};
    int r = join_parameters(c, label, &data);

    o.data = data.data;
    if (r >= 0)
        r = run_apart(mount_at_proc, &o, true);
    if (r >= 0)
        r = o.mount;
    if (r >= 0 && mount_setattr(o.mount, "", AT_EMPTY_PATH, &set, sizeof(set)) < 0) {
        r = -errno;
        close(o.mount);
    }
    return r < 0 ? error_errnof(e, r, "cannot mount %s on %s", c->type, c->destination) : r;
}

int filesystem_make(const ConfigMount *c, const char *label, Error *e)
{
    bool cgroup = streq(c->type, "cgroup");
    const char *type = cgroup ? "cgroup2" : c->type; /* there is no other here */
    uint64_t attr =
        ((c->options.attr_set & ~c->options.attr_clear_rec) | c->options.attr_set_rec) & ~(uint64_t) MOUNT_ATTR_RDONLY;
    _cleanup_close_ int fs = fsopen(type, FSOPEN_CLOEXEC), fd = -EBADF;
    int r;

    if (streq(type, "overlay") && has_long_layers(&c->options) && !overlay_takes_layers())
        return make_long_overlay(c, labelled(type, &c->options) ? label : NULL, attr, e);
    if (fs < 0 && errno == ENODEV)
        return error_setf(e, -ENODEV, "mount %s: this kernel does not know the file system \"%s\"", c->destination,
                          type);
    if (fs < 0)
        return error_errnof(e, -errno, "cannot mount %s on %s", type, c->destination);
    if (c->source && fsconfig(fs, FSCONFIG_SET_STRING, "source", c->source, 0) < 0)
        return fs_error(fs, -errno, c, e);
    if (label && labelled(type, &c->options) && fsconfig(fs, FSCONFIG_SET_STRING, "context", label, 0) < 0)
        return fs_error(fs, -errno, c, e);
    r = set_parameters(fs, &c->options, cgroup);
    if (r < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return fs_error(fs, r < 0 ? r : -errno, c, e);
    fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned) attr);
    if (fd < 0)
        return fs_error(fs, -errno, c, e);
    if (label && streq(type, "mqueue") && (r = label_root(fd, label)) < 0)
        return error_errnof(e, r, "linux.mountLabel: mount %s", c->destination);
    return TAKE_FD(fd);
}

int filesystem_change(int mount, const ConfigMount *c, Error *e)
{
    const MountOptions *o = &c->options;
    _cleanup_close_ int fs = -EBADF;
    int r;

    if (o->bind || (!*o->parameters && !*o->flags && !*o->tried))
        return 0;
    fs = fspick(mount, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
    if (fs < 0)
        return error_errnof(e, -errno, "mount %s: remount", c->destination);
    r = set_parameters(fs, o, false);
    if (r >= 0 && fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
        r = -errno;
    return r < 0 ? error_errnof(e, r, "mount %s: remount: the file system refuses its options", c->destination) : 0;
}

static int small_tmpfs(const char *label, const char *size, const char *inodes, const char *mode, unsigned attributes)
{
    _cleanup_close_ int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
    int fd;

    if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) < 0 ||
        fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", inodes, 0) < 0 ||
        fsconfig(fs, FSCONFIG_SET_STRING, "mode", mode, 0) < 0 ||
        (label && fsconfig(fs, FSCONFIG_SET_STRING, "context", label, 0) < 0) ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | attributes);
    return fd < 0 ? -errno : fd;
}

int filesystem_for_nodes(const char *label)
{
    return small_tmpfs(label, "64k", "0", "755", 0);
}

int filesystem_empty(const char *label)
{
    return small_tmpfs(label, "0", "2", "555", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
}
