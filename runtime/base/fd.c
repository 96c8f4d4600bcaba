/* SPDX-License-Identifier: Apache-2.0 */
#include "fd.h"

#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int fd_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        p += n;
        len -= (size_t) n;
    }
    return 0;
}

ssize_t fd_read_full(int fd, void *buf, size_t size)
{
    size_t got = 0;

    while (got < size) {
        ssize_t n = read(fd, (char *) buf + got, size - got);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (n == 0)
            break;
        got += (size_t) n;
    }
    return (ssize_t) got;
}

/* Splits the next component off *path into `name`; 0 at the end. "." and empty components are skipped, ".." is refused. */
static int next_component(const char **path, char name[static NAME_MAX + 1])
{
    const char *p = *path;
    size_t n;

    for (;;) {
        p += strspn(p, "/");
        n = strcspn(p, "/");
        if (n == 1 && p[0] == '.')
            p += 1;
        else
            break;
    }
    if (n > NAME_MAX)
        return -ENAMETOOLONG;
    if (n == 2 && p[0] == '.' && p[1] == '.')
        return -EXDEV;
    memcpy(name, p, n);
    name[n] = '\0';
    *path = p + n;
    return n > 0;
}

int openat_walk(int dirfd, const char *path, int flags, mode_t mode)
{
    _cleanup_close_ int at = -EBADF;
    char name[NAME_MAX + 1], next[NAME_MAX + 1];
    int r;

    r = next_component(&path, name);
    if (r < 0)
        return r;
    if (r == 0)
        memcpy(name, ".", 2);
    for (;;) {
        int fd;

        r = next_component(&path, next);
        if (r < 0)
            return r;
        if (r == 0)
            break;
        fd = openat(at >= 0 ? at : dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        fd_closep(&at);
        at = fd;
        memcpy(name, next, sizeof(name));
    }
    r = openat(at >= 0 ? at : dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
    return r < 0 ? -errno : r;
}

int openat_beneath(int dirfd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t) (unsigned) flags | O_CLOEXEC,
        .mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd;

    if (path[0] == '/')
        return -EXDEV;
    for (unsigned tries = 0; tries < 32; tries++) {
        fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
        if (fd >= 0)
            return (int) fd;
        if (errno == ENOSYS || errno == EPERM)
            return openat_walk(dirfd, path, flags, mode);
        if (errno != EAGAIN) /* a rename raced with "..": the kernel asks for another try */
            return -errno;
    }
    return -EAGAIN;
}

int mkdirat_p(int dirfd, const char *path, mode_t mode)
{
    _cleanup_close_ int at = -EBADF;
    char name[NAME_MAX + 1];
    int r;

    while ((r = next_component(&path, name)) > 0) {
        int base = at >= 0 ? at : dirfd, fd;

        if (mkdirat(base, name, mode) < 0 && errno != EEXIST)
            return -errno;
        fd = openat(base, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        fd_closep(&at);
        at = fd;
    }
    return r;
}

int mkdir_p(const char *path, mode_t mode)
{
    char at[PATH_MAX];
    size_t n = 0;

    while (path[n]) {
        n += strspn(path + n, "/");
        n += strcspn(path + n, "/");
        if (n >= sizeof(at))
            return -ENAMETOOLONG;
        memcpy(at, path, n);
        at[n] = '\0';
        if (n > 0 && mkdir(at, mode) < 0 && errno != EEXIST && errno != EISDIR)
            return -errno;
    }
    return 0;
}

/* Whoever made the tree may have nested more directories than we can have open: what lies too deep is moved up to its top, and met again there. */
#define RM_DEPTH_MAX 64U

typedef struct Removal {
    int top;
    dev_t dev;
    unsigned moved;
} Removal;

static int rm_rf_fd(int fd, Removal *removal, unsigned depth);

/* A directory that only its owner's missing bits close to us: a tree that a box left behind may hold some of mode 0. */
static int open_closed(int dirfd, const char *name)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) >= 0)
        fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int move_up(int dirfd, const char *name, Removal *removal)
{
    char place[32];
    int r;

    do {
        snprintf(place, sizeof(place), "moss-removed-%u", removal->moved++);
        r = renameat2(dirfd, name, removal->top, place, RENAME_NOREPLACE) < 0 ? -errno : 0;
    } while (r == -EEXIST);
    return r;
}

static int rm_entry(int dirfd, const char *name, Removal *removal, unsigned depth)
{
    _cleanup_close_ int fd = -EBADF;
    struct stat st;
    int r;

    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    fd = open_closed(dirfd, name);
    if (fd < 0 || fstat(fd, &st) < 0)
        return fd < 0 ? fd : -errno;
    if (st.st_dev != removal->dev)
        return -EXDEV;
    if (depth == RM_DEPTH_MAX)
        return move_up(dirfd, name, removal);
    r = rm_rf_fd(TAKE_FD(fd), removal, depth + 1);
    if (r < 0)
        return r;
    return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int rm_rf_fd(int fd, Removal *removal, unsigned depth)
{
    _cleanup_closedir_ DIR *d = fdopendir(fd);
    struct dirent *de;

    if (!d) {
        int r = -errno;

        close(fd);
        return r;
    }
    (void) fchmod(dirfd(d), 0700);
    while (errno = 0, (de = readdir(d))) {
        int r;

        if (streq(de->d_name, ".") || streq(de->d_name, ".."))
            continue;
        r = rm_entry(dirfd(d), de->d_name, removal, depth);
        if (r < 0)
            return r;
    }
    return -errno;
}

int rm_rf_at(int dirfd, const char *name)
{
    _cleanup_close_ int top = -EBADF;
    Removal removal = {};
    unsigned before;
    struct stat st;

    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    removal.top = top = open_closed(dirfd, name);
    if (top < 0 || fstat(top, &st) < 0)
        return top < 0 ? top : -errno;
    removal.dev = st.st_dev;
    do {
        int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

        if (fd < 0)
            return -errno;
        before = removal.moved;
        r = rm_rf_fd(fd, &removal, 0);
        if (r < 0)
            return r;
    } while (removal.moved != before);
    return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int fd_reopen_path(int fd)
{
    _cleanup_close_ int again = -EBADF;
    char link[FD_PATH_MAX], path[PATH_MAX];
    ssize_t n = readlink(fd_path(fd, link), path, sizeof(path) - 1);
    struct stat a, b;

    if (n < 0)
        return -errno;
    path[n] = '\0';
    again = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (again < 0 || fstat(fd, &a) < 0 || fstat(again, &b) < 0)
        return -errno;
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino ? TAKE_FD(again) : -ESTALE;
}

const char *fd_path(int fd, char buf[static FD_PATH_MAX])
{
    snprintf(buf, FD_PATH_MAX, "/proc/self/fd/%d", fd);
    return buf;
}
