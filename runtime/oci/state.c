/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include <inttypes.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/process.h"
#include "runtime/box/cgroup.h"

#define STATE_FILE "state.json"
#define ID_MAX 255 /* it becomes a file name */

const char *const status_names[] = {"creating", "created", "running", "paused", "stopped"};

int container_id_check(const char *id, Error *e)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-.";
    size_t n = strlen(id), valid = strspn(id, allowed);

    if (n == 0)
        return error_setf(e, -EINVAL, "container id is empty");
    if (n > ID_MAX)
        return error_setf(e, -EINVAL, "container id is %zu bytes long, at most %d are allowed", n, ID_MAX);
    if (valid != n)
        return error_setf(
            e, -EINVAL,
            "container id \"%s\" is invalid: invalid character `%c` in the ID: letters, digits and _ + - . are allowed",
            id, id[valid]);
    if (streq(id, ".") || streq(id, ".."))
        return error_setf(e, -EINVAL, "container id \"%s\" is invalid: it names a directory", id);
    return 0;
}

int state_root_open(const char *path, Error *e)
{
    char part[4096];
    int fd;

    if (strlen(path) >= sizeof(part))
        return error_setf(e, -ENAMETOOLONG, "--root %s: too long", path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT)
        return fd < 0 ? error_errnof(e, -errno, "--root %s", path) : fd;
    for (size_t i = 1; i <= strlen(path); i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return error_errnof(e, -errno, "--root %s: cannot make %s", path, part);
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_errnof(e, -errno, "--root %s", path) : fd;
}

static int open_locked(int root, const char *id, bool lock)
{
    _cleanup_close_ int fd = openat(root, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return -errno;
    if (lock && flock(fd, LOCK_EX) < 0)
        return -errno;
    if (lock && (fstat(fd, &st) < 0 || st.st_nlink == 0))
        return -ENOENT; /* deleted while we waited */
    return TAKE_FD(fd);
}

int state_create(int root, const char *id, Error *e)
{
    int fd, r;

    r = container_id_check(id, e);
    if (r < 0)
        return r;
    if (mkdirat(root, id, 0700) < 0)
        return errno == EEXIST ? error_setf(e, -EEXIST, "container with id \"%s\" already exists", id)
                               : error_errnof(e, -errno, "cannot make the state directory of container \"%s\"", id);
    fd = open_locked(root, id, true);
    if (fd < 0)
        unlinkat(root, id, AT_REMOVEDIR);
    return fd < 0 ? error_errnof(e, fd, "state directory of container \"%s\"", id) : fd;
}

int state_open(int root, const char *id, bool lock, Error *e)
{
    int fd, r;

    r = container_id_check(id, e);
    if (r < 0)
        return r;
    fd = open_locked(root, id, lock);
    if (fd == -ENOENT)
        return error_setf(e, -ENOENT, "container \"%s\": container does not exist", id);
    return fd < 0 ? error_errnof(e, fd, "state of container \"%s\"", id) : fd;
}

int state_remove(int root, const char *id, Error *e)
{
    static const char *const files[] = {STATE_FILE, "config.json", "unit"};
    char path[ID_MAX + 16];
    int r;

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", id, files[i]);
        (void) unlinkat(root, path, 0);
    }
    /* mostly that was all */
    r = unlinkat(root, id, AT_REMOVEDIR) == 0 ? 0 : rm_rf_at(root, id);
    return r < 0 ? error_errnof(e, r, "cannot remove the state of container \"%s\"", id) : 0;
}

int state_save(int dir, const State *s, Error *e)
{
    _cleanup_json_ json_t *o =
        json_pack("{s:i, s:s, s:i, s:I, s:s, s:s, s:s*, s:s*, s:s, s:s, s:i, s:I, s:O*}", "version", 1, "id", s->id,
                  "pid", (int) s->pid, "startTime", (json_int_t) s->start_time, "bundle", s->bundle, "rootfs",
                  s->rootfs, "cgroup", s->cgroup, "unit", s->unit, "created", s->created, "ociVersion", s->version,
                  "owner", (int) s->owner, "rootMount", (json_int_t) s->root_mount, "annotations", s->annotations);

    if (!o)
        return error_setf(e, -EINVAL, "state of container \"%s\": a path is not valid UTF-8", s->id);
    return json_write_at(dir, STATE_FILE, o, 0600, 0, e);
}

int state_load(int dir, State *ret, Error *e)
{
    static const JsonAt at = {STATE_FILE, ""};
    _cleanup_json_ json_t *doc = NULL;
    int64_t version, pid = 0, start = 0, owner = 0, mount = 0;
    State s = {};
    int r;

    if ((r = json_read_at(dir, STATE_FILE, JSON_FILE_MAX, &doc, e)) < 0 ||
        (r = json_need_integer(doc, at, "version", 1, 1, &version, e)) < 0 ||
        (r = json_need_string(doc, at, "id", &s.id, e)) < 0 ||
        (r = json_need_string(doc, at, "bundle", &s.bundle, e)) < 0 ||
        (r = json_need_string(doc, at, "rootfs", &s.rootfs, e)) < 0 ||
        (r = json_want_string(doc, at, "cgroup", &s.cgroup, e)) < 0 ||
        (r = json_want_string(doc, at, "unit", &s.unit, e)) < 0 ||
        (r = json_need_string(doc, at, "created", &s.created, e)) < 0 ||
        (r = json_need_string(doc, at, "ociVersion", &s.version, e)) < 0 ||
        (r = json_want(doc, at, "annotations", JSON_OBJECT, &s.annotations, e)) < 0 ||
        (r = json_need_integer(doc, at, "pid", 0, INT32_MAX, &pid, e)) < 0 ||
        (r = json_want_integer(doc, at, "startTime", 0, INT64_MAX, &start, e)) < 0 ||
        (r = json_want_integer(doc, at, "rootMount", 0, INT64_MAX, &mount, e)) < 0 ||
        (r = json_want_integer(doc, at, "owner", 0, UINT32_MAX, &owner, e)) < 0)
        return r;
    s.pid = (pid_t) pid;
    s.start_time = (uint64_t) start;
    s.root_mount = (uint64_t) mount;
    s.owner = (uid_t) owner;
    s.doc = TAKE_PTR(doc);
    *ret = s;
    return 0;
}

void state_done(State *s)
{
    json_decref(s->doc);
    *s = (State){};
}

int process_start_time(pid_t pid, uint64_t *ret, bool *ret_zombie)
{
    _cleanup_close_ int fd = -EBADF;
    char path[32], text[1024], *p, state;
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    n = fd_read_full(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return n < 0 ? (int) n : -ESRCH;
    text[n] = '\0';
    p = strrchr(text, ')'); /* the name before it may hold anything */
    if (!p || sscanf(p, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64, &state,
                     ret) != 2)
        return -EIO;
    if (ret_zombie)
        *ret_zombie = state == 'Z' || state == 'X';
    return 0;
}

int state_pidfd(const State *s)
{
    _cleanup_close_ int fd = -EBADF;
    uint64_t start;
    bool zombie;

    if (s->pid <= 0)
        return -ESRCH;
    fd = pidfd_open_cloexec(s->pid);
    if (fd < 0)
        return fd;
    if (process_start_time(s->pid, &start, &zombie) < 0 || start != s->start_time || zombie)
        return -ESRCH;
    return TAKE_FD(fd);
}

static bool frozen(const State *s)
{
    _cleanup_close_ int top = -EBADF, group = -EBADF;
    uint64_t v = 0;

    if (!s->cgroup)
        return false;
    top = cgroup_open_top(NULL);
    if (top < 0)
        return false;
    group = openat_beneath(top, s->cgroup, O_PATH | O_DIRECTORY, 0);
    return group >= 0 && cgroup_get(group, "cgroup.freeze", NULL, &v) >= 0 && v == 1;
}

Status state_status(int dir, const State *s)
{
    _cleanup_close_ int pidfd = state_pidfd(s);

    if (s->pid == 0)
        return STATUS_CREATING;
    if (pidfd < 0)
        return STATUS_STOPPED;
    if (faccessat(dir, "start", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return STATUS_CREATED;
    return frozen(s) ? STATUS_PAUSED : STATUS_RUNNING;
}

uint64_t state_mount(const State *s)
{
    struct statx st;

    if (statx(AT_FDCWD, s->rootfs, 0, STATX_MNT_ID, &st) < 0 || !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
        return 0;
    return st.stx_mnt_id;
}

void state_release_root(const State *s)
{
    if (s->root_mount && state_mount(s) == s->root_mount)
        (void) umount2(s->rootfs, MNT_DETACH);
}

json_t *state_public(const State *s, const char *status)
{
    json_t *pid = !streq(status, "stopped") && s->pid > 0 ? json_integer(s->pid) : NULL;
    json_t *o = json_pack("{s:s, s:s, s:o*, s:s, s:s}", "ociVersion", s->version, "id", s->id, "pid", pid, "status",
                          status, "bundle", s->bundle);

    if (o && json_object_size(s->annotations) > 0)
        json_object_set(o, "annotations", s->annotations);
    return o;
}
