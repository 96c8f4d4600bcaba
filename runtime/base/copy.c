/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "copy.h"
#include "fd.h"
#include "links.h"

/* Copies are depth-first; a file with several links is copied once and linked afterwards. */
typedef struct Copy {
    int top;
    Links links; /* paths relative to the top of the copy */
    unsigned depth;
    Error *e;
    bool named; /* *e is set */
} Copy;

#define COPY_DEPTH_MAX 256U /* three fds a level; deeper trees are refused, not half copied */

static void copy_done(Copy *c)
{
    links_done(&c->links);
}

static int copy_dir(Copy *c, int from, int to, const char *at);

static int copy_range(int from, int to, off_t at, off_t end)
{
    off_t out = at;

    while (at < end) {
        ssize_t n = copy_file_range(from, &at, to, &out, (size_t) MIN(end - at, (off_t) 1 << 24), 0);

        if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS)) {
            if (lseek(to, out, SEEK_SET) < 0)
                return -errno;
            n = sendfile(to, from, &at, (size_t) MIN(end - at, (off_t) 1 << 24));
            out = at;
        }
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0) /* it became shorter meanwhile */
            return 0;
    }
    return 0;
}

/* A file of a tebibyte that holds one block takes one block. */
int copy_data(int from, int to, off_t size)
{
    off_t at = 0;

    if (size == 0 || ioctl(to, FICLONE, from) == 0)
        return 0;
    if (ftruncate(to, size) < 0)
        return -errno;
    while (at < size) {
        off_t data = lseek(from, at, SEEK_DATA), hole;
        int r;

        if (data < 0 && errno == ENXIO)
            return 0;
        if (data < 0)
            return -errno;
        hole = lseek(from, data, SEEK_HOLE);
        if (hole < 0)
            return -errno;
        at = MIN(hole, size);
        r = copy_range(from, to, data, at);
        if (r < 0)
            return r;
    }
    return 0;
}

/* xattrs that the target's file system does not take are an error only where losing them would change what the file is. */
static int copy_xattrs(int from, int to)
{
    char names[4096], value[8192];
    ssize_t n = flistxattr(from, names, sizeof(names));

    if (n < 0)
        return errno == EOPNOTSUPP ? 0 : -errno;
    for (char *p = names; p < names + n; p += strlen(p) + 1) {
        ssize_t m = fgetxattr(from, p, value, sizeof(value));

        if (m < 0)
            return -errno;
        if (fsetxattr(to, p, value, (size_t) m, 0) < 0 &&
            (startswith(p, "user.") || startswith(p, "trusted.") || startswith(p, "security.capability")))
            return -errno;
    }
    return 0;
}

int copy_attributes(int fd, const struct stat *st)
{
    const struct timespec times[] = {st->st_atim, st->st_mtim};

    if (fchown(fd, st->st_uid, st->st_gid) < 0 && errno != EPERM)
        return -errno;
    if (fchmod(fd, st->st_mode & 07777) < 0) /* after the owner: chown clears set-id bits */
        return -errno;
    return futimens(fd, times) < 0 ? -errno : 0;
}

/* 1 if the file was linked to a copy made before, 0 if it is new. */
static int copy_as_link(Copy *c, const struct stat *st, int to, const char *name, const char *path)
{
    const char *first;
    int r;

    if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
        return 0;
    r = links_meet(&c->links, st, path, &first);
    if (r <= 0)
        return r;
    return linkat(c->top, first, to, name, 0) < 0 ? -errno : 1;
}

static int copy_special(const struct stat *st, int from, int to, const char *name)
{
    char target[PATH_MAX];
    ssize_t n;

    if (S_ISLNK(st->st_mode)) {
        n = readlinkat(from, name, target, sizeof(target) - 1);
        if (n < 0)
            return -errno;
        target[n] = '\0';
        if (symlinkat(target, to, name) < 0)
            return -errno;
    } else if (mknodat(to, name, st->st_mode, st->st_rdev) < 0)
        return -errno;
    return fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EPERM ? -errno : 0;
}

static int copy_inode(Copy *c, int from, int to, const char *name, const char *path)
{
    _cleanup_close_ int in = -EBADF, out = -EBADF;
    struct stat st;
    int r;

    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (S_ISSOCK(st.st_mode))
        return 0;
    r = copy_as_link(c, &st, to, name, path);
    if (r != 0)
        return MIN(r, 0);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return copy_special(&st, from, to, name);

    in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
    if (in < 0)
        return -errno;
    if (S_ISDIR(st.st_mode)) {
        if (mkdirat(to, name, 0700) < 0)
            return -errno;
        out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    } else
        out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0)
        return -errno;
    r = S_ISDIR(st.st_mode) ? copy_dir(c, in, out, path) : copy_data(in, out, st.st_size);
    if (r >= 0)
        r = copy_xattrs(in, out);
    return r < 0 ? r : copy_attributes(out, &st);
}

static int copy_entry(Copy *c, int from, int to, const char *name, const char *path)
{
    int r = copy_inode(c, from, to, name, path);

    if (r < 0 && !c->named) { /* the innermost one knows best */
        c->named = true;
        return error_errnof(c->e, r, "%s", path);
    }
    return r;
}

static int copy_dir(Copy *c, int from, int to, const char *at)
{
    _cleanup_closedir_ DIR *d = NULL;
    struct dirent *de;
    int fd, r = 0;

    if (c->depth >= COPY_DEPTH_MAX) {
        c->named = true;
        return error_setf(c->e, -ELOOP, "%.200s...: more than %u directories deep", at, COPY_DEPTH_MAX);
    }
    fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    d = fdopendir(fd);
    if (!d) {
        close(fd);
        return -ENOMEM;
    }
    c->depth++;
    while (r >= 0 && (errno = 0, de = readdir(d))) {
        char path[PATH_MAX];

        if (streq(de->d_name, ".") || streq(de->d_name, ".."))
            continue;
        if (snprintf(path, sizeof(path), "%s%s%s", at, *at ? "/" : "", de->d_name) >= (int) sizeof(path))
            r = -ENAMETOOLONG;
        else
            r = copy_entry(c, from, to, de->d_name, path);
    }
    c->depth--;
    return r < 0 ? r : -errno;
}

int copy_tree(int from, int to, Error *e)
{
    _cleanup_(copy_done) Copy c = {.top = to, .e = e};
    struct stat st;
    int r;

    if (fstat(from, &st) < 0)
        return error_errnof(e, -errno, "cannot look at the tree");
    r = copy_dir(&c, from, to, "");
    if (r >= 0)
        r = copy_xattrs(from, to);
    if (r >= 0)
        r = copy_attributes(to, &st);
    return r < 0 && !c.named ? error_errnof(e, r, "cannot copy the top of the tree") : r;
}

int copy_tree_at(int from, int to)
{
    return copy_tree(from, to, NULL);
}
