/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs.h"

#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "runtime/base/fd.h"

#define SYMLINKS_MAX 40 /* as the kernel's own */

static int open_in_root(int root, const char *path, uint64_t resolve)
{
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve,
    };

    for (unsigned tries = 0; tries < 32; tries++) {
        long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

        if (fd >= 0)
            return (int) fd;
        if (errno != EAGAIN) /* a rename raced with "..": the kernel asks for another try */
            return -errno;
    }
    return -EAGAIN;
}

static bool openat2_missing(int r)
{
    return r == -ENOSYS || r == -EPERM;
}

/* Where a walk has come to: `at` is open, `path` names it from the root without any symlink, `rest` is still to go. */
typedef struct Walk {
    int root;
    int at;
    unsigned links;
    char path[PATH_MAX];
    char rest[PATH_MAX];
} Walk;

static void walk_done(Walk *w)
{
    fd_closep(&w->at);
}

static int walk_move(Walk *w, int fd)
{
    if (fd < 0)
        return -errno;
    fd_closep(&w->at);
    w->at = fd;
    return 0;
}

/* Opens w->path again, from the root down; no component of it may have become a symlink meanwhile. */
static int walk_reopen(Walk *w)
{
    char path[PATH_MAX], *save = NULL;
    int r;

    r = walk_move(w, openat(w->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    memcpy(path, w->path, sizeof(path));
    for (char *name = strtok_r(path, "/", &save); name && r >= 0; name = strtok_r(NULL, "/", &save))
        r = walk_move(w, openat(w->at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    return r;
}

/* Puts `front` before what is left to go. */
static int walk_prepend(Walk *w, const char *front, size_t len)
{
    size_t rest = strlen(w->rest);

    if (len + 1 + rest + 1 > sizeof(w->rest))
        return -ENAMETOOLONG;
    memmove(w->rest + len + 1, w->rest, rest + 1);
    memcpy(w->rest, front, len);
    w->rest[len] = '/';
    return 0;
}

static int walk_symlink(Walk *w, const char *name)
{
    char target[PATH_MAX];
    struct statfs fs;
    ssize_t n;
    int r;

    if (++w->links > SYMLINKS_MAX)
        return -ELOOP;
    if (fstatfs(w->at, &fs) < 0)
        return -errno;
    if (fs.f_type == PROC_SUPER_MAGIC)
        return -ELOOP;
    n = readlinkat(w->at, name, target, sizeof(target));
    if (n < 0)
        return -errno;
    if (n == 0 || (size_t) n >= sizeof(target))
        return -ENAMETOOLONG;
    if (target[0] == '/') {
        w->path[0] = '\0';
        r = walk_reopen(w);
        if (r < 0)
            return r;
    }
    return walk_prepend(w, target, (size_t) n);
}

static int walk_up(Walk *w)
{
    char *slash = strrchr(w->path, '/');

    if (!slash)
        return 0; /* ".." of the root is the root */
    *slash = '\0';
    return walk_reopen(w);
}

static int walk_make(Walk *w, const char *name, bool last, RootfsKind kind)
{
    int fd;

    if (kind == ROOTFS_EXISTING)
        return -ENOENT;
    if (!last || kind == ROOTFS_DIRECTORY)
        return mkdirat(w->at, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
    fd = openat(w->at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return errno == EEXIST ? 0 : -errno;
    close(fd);
    return 0;
}

/* One step: `name` is neither "." nor "..". */
static int walk_into(Walk *w, const char *name, bool last, RootfsKind kind)
{
    size_t len = strlen(w->path);
    struct stat st;
    int r;

    if (fstatat(w->at, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            return -errno;
        r = walk_make(w, name, last, kind);
        if (r < 0)
            return r;
    } else if (S_ISLNK(st.st_mode)) {
        return walk_symlink(w, name);
    }
    if (len + 1 + strlen(name) >= sizeof(w->path))
        return -ENAMETOOLONG;
    snprintf(w->path + len, sizeof(w->path) - len, "/%s", name);
    r = walk_move(w, openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | (last ? 0 : O_DIRECTORY)));
    if (r < 0 || fstat(w->at, &st) < 0)
        return r < 0 ? r : -errno;
    return S_ISLNK(st.st_mode) ? -ELOOP : 0; /* it has become one since we looked */
}

static int walk(Walk *w, RootfsKind kind)
{
    int r = walk_reopen(w);

    while (r >= 0) {
        char name[NAME_MAX + 1];
        const char *p = w->rest + strspn(w->rest, "/");
        size_t n = strcspn(p, "/");
        bool last;

        if (n == 0)
            break;
        if (n > NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(name, p, n);
        name[n] = '\0';
        p += n;
        last = p[strspn(p, "/")] == '\0';
        memmove(w->rest, p, strlen(p) + 1);
        if (streq(name, "."))
            continue;
        r = streq(name, "..") ? walk_up(w) : walk_into(w, name, last, kind);
    }
    return r;
}

static int open_by_walk(int root, const char *path, RootfsKind kind)
{
    _cleanup_(walk_done) Walk w = {.root = root, .at = -EBADF};
    int r;

    if (strlen(path) >= sizeof(w.rest))
        return -ENAMETOOLONG;
    memcpy(w.rest, path, strlen(path) + 1);
    r = walk(&w, kind);
    return r < 0 ? r : TAKE_FD(w.at);
}

static int check_kind(int fd, RootfsKind kind)
{
    struct stat st;

    if (kind == ROOTFS_EXISTING)
        return 0;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (kind == ROOTFS_DIRECTORY)
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    return S_ISDIR(st.st_mode) ? -EISDIR : 0;
}

int rootfs_open(int root, const char *path, RootfsKind kind)
{
    _cleanup_close_ int fd = open_in_root(root, *path ? path : "/", 0);
    int r;

    if (openat2_missing(fd) || (fd == -ENOENT && kind != ROOTFS_EXISTING))
        fd = open_by_walk(root, path, kind);
    if (fd < 0)
        return fd;
    r = check_kind(fd, kind);
    return r < 0 ? r : TAKE_FD(fd);
}

const char *rootfs_obstacle(int root, const char *path, char part[static PATH_MAX])
{
    for (size_t n = 1; n < PATH_MAX; n++) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (path[n] && path[n] != '/')
            continue;
        memcpy(part, path, n);
        part[n] = '\0';
        fd = rootfs_open(root, part, ROOTFS_EXISTING);
        if (!path[n] || fd < 0 || fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
            return part;
    }
    return path;
}

int rootfs_open_plain_directory(int root, const char *path)
{
    _cleanup_close_ int fd = open_in_root(root, path, RESOLVE_NO_SYMLINKS);
    int r;

    if (fd < 0 && fd != -ENOENT && !openat2_missing(fd))
        return fd;
    if (fd < 0) {
        r = mkdirat_p(root, path, 0755);
        if (r < 0)
            return r == -ENOTDIR ? -ELOOP : r;
        fd = openat_beneath(root, path + strspn(path, "/"), O_PATH | O_NOFOLLOW, 0);
        if (fd < 0)
            return fd;
    }
    r = check_kind(fd, ROOTFS_DIRECTORY);
    return r < 0 ? r : TAKE_FD(fd);
}

int rootfs_attach(int tree, int target)
{
    return move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno : 0;
}
