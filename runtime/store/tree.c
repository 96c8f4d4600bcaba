/* SPDX-License-Identifier: Apache-2.0 */

/* A walk over a tree in a fixed order, for its digest and for making it fit to be a layer.
 *
 * The digest is the sha256 of one record an entry, depth first, names in byte order within each directory:
 *
 *     path NUL "f 100755 0 0 4711" NUL <digest of the content> NUL     regular file: type, mode, uid, gid, size
 *     path NUL "d 40755 0 0" NUL                                       directory ("" is the top), then "opaque" NUL if it is
 *     path NUL "l 120777 0 0" NUL target NUL                           symlink
 *     path NUL "c 20666 0 0 1 3" NUL                                   device: major, minor; whiteouts are "c 20000 0 0 0 0"
 *     path NUL "h" NUL path of the first link NUL                      a further hard link
 *
 * with "x" NUL name NUL length NUL value for each extended attribute behind the record, sorted by name. The digest of a content leaves runs of zeros
 * out (see content.c), so that it costs what is stored, not what a hostile size claims. */

#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "content.h"
#include "internal.h"
#include "runtime/base/fd.h"
#include "runtime/base/links.h"
#include "runtime/base/strbuf.h"

#define TREE_DEPTH_MAX 300U /* deeper than what copy_tree() makes */
#define XATTR_NAMES_MAX 65536
#define XATTR_VALUE_MAX 65536

typedef struct Walk {
    bool normalise; /* change, do not hash */
    bool uncached;
    Hash hash;
    Links links;
    StrBuf path;
    unsigned depth;
    Error *e;
} Walk;

static void walk_done(Walk *w)
{
    links_done(&w->links);
    strbuf_done(&w->path);
}

static const char *walk_at(const Walk *w)
{
    return w->path.len > 0 ? w->path.data : "the top of the tree";
}

static int complain(Walk *w, int code, const char *what)
{
    return error_errnof(w->e, code, "%s: %s", walk_at(w), what);
}

/* ---- extended attributes ---- */

typedef enum XattrKind { XATTR_CONTENT, XATTR_OPAQUE, XATTR_PRIVATE, XATTR_FOREIGN, XATTR_HOST } XattrKind;

static XattrKind xattr_kind(const char *name)
{
    static const char *const private[] = {"origin", "impure", "nlink", "uuid", "protattr", "upper"};
    const char *own = startswith(name, "trusted.overlay.");

    if (!own)
        own = startswith(name, "user.overlay.");
    if (own) {
        for (size_t i = 0; i < ARRAY_SIZE(private); i++)
            if (streq(own, private[i]))
                return XATTR_PRIVATE;
        return streq(own, "opaque") ? XATTR_OPAQUE : XATTR_FOREIGN;
    }
    if (startswith(name, "user.") || startswith(name, "trusted.") || streq(name, "security.capability") ||
        startswith(name, "system.posix_acl_"))
        return XATTR_CONTENT;
    return XATTR_HOST; /* labels that the host puts on all it stores */
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

typedef struct XattrNames {
    char *text;
    const char **names; /* sorted */
    size_t n;
} XattrNames;

static void xattr_names_done(XattrNames *x)
{
    free(x->text);
    free(x->names);
}

static int xattr_names(const char *path, XattrNames *ret)
{
    _cleanup_free_ char *text = malloc(XATTR_NAMES_MAX);
    _cleanup_free_ const char **names = NULL;
    ssize_t len;
    size_t n = 0;

    if (!text)
        return -ENOMEM;
    len = listxattr(path, text, XATTR_NAMES_MAX);
    if (len < 0 && errno != EOPNOTSUPP)
        return -errno;
    if (len <= 0)
        return 0;
    for (char *p = text; p < text + len; p += strlen(p) + 1)
        n++;
    names = calloc(n, sizeof(*names));
    if (!names)
        return -ENOMEM;
    n = 0;
    for (char *p = text; p < text + len; p += strlen(p) + 1)
        names[n++] = p;
    qsort(names, n, sizeof(*names), compare_names);
    *ret = (XattrNames){TAKE_PTR(text), TAKE_PTR(names), n};
    return 0;
}

static int hash_xattr(Walk *w, const char *path, const char *name)
{
    _cleanup_free_ char *value = malloc(XATTR_VALUE_MAX);
    char size[24];
    ssize_t n;

    if (!value)
        return -ENOMEM;
    n = getxattr(path, name, value, XATTR_VALUE_MAX);
    if (n < 0)
        return -errno;
    snprintf(size, sizeof(size), "%zd", n);
    hash_adds(&w->hash, "x");
    hash_adds(&w->hash, name);
    hash_adds(&w->hash, size);
    hash_add(&w->hash, value, (size_t) n);
    return 0;
}

/* 1 for "y"; anything else an overlay can write there has a meaning that a layer must not carry. */
static int opaque_value(const char *path, const char *name)
{
    char value[8];
    ssize_t n = getxattr(path, name, value, sizeof(value));

    if (n < 0)
        return -errno;
    return n == 1 && value[0] == 'y' ? 1 : -EINVAL;
}

static int mark_opaque(const char *path)
{
    if (setxattr(path, "trusted.overlay.opaque", "y", 1, 0) < 0 && errno != EPERM && errno != EOPNOTSUPP)
        return -errno;
    return setxattr(path, "user.overlay.opaque", "y", 1, 0) < 0 ? -errno : 0;
}

/* `path` is /proc/self/fd/N of a file or directory: an fd may be O_PATH, which the f*xattr calls refuse. */
static int do_xattrs(Walk *w, const char *path)
{
    _cleanup_(xattr_names_done) XattrNames x = {};
    bool opaque = false;
    int r = xattr_names(path, &x);

    for (size_t i = 0; r >= 0 && i < x.n; i++)
        switch (xattr_kind(x.names[i])) {
        case XATTR_CONTENT:
            r = w->normalise ? 0 : hash_xattr(w, path, x.names[i]);
            break;
        case XATTR_OPAQUE:
            r = opaque_value(path, x.names[i]);
            if (r < 0)
                return complain(w, r, x.names[i]);
            opaque = true;
            break;
        case XATTR_PRIVATE:
            if (w->normalise && removexattr(path, x.names[i]) < 0)
                r = -errno;
            break;
        case XATTR_FOREIGN:
            return error_setf(w->e, -EINVAL, "%s: carries %s, which has a meaning only in the overlay it comes from",
                              walk_at(w), x.names[i]);
        case XATTR_HOST:
            break;
        }
    if (r >= 0 && opaque) {
        if (w->normalise)
            r = mark_opaque(path);
        else
            hash_adds(&w->hash, "opaque");
    }
    return r < 0 ? complain(w, r, "extended attributes") : 0;
}

/* ---- entries ---- */

static char type_letter(mode_t mode)
{
    return S_ISREG(mode)   ? 'f'
           : S_ISDIR(mode) ? 'd'
           : S_ISLNK(mode) ? 'l'
           : S_ISCHR(mode) ? 'c'
           : S_ISBLK(mode) ? 'b'
                           : 'p';
}

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* A kernel gives whiteouts whatever owner and mode, and shares one inode between many: all that matters is that they are there. */
static void hash_head(Walk *w, const struct stat *st)
{
    char head[128];
    int n;

    if (is_whiteout(st)) {
        hash_adds(&w->hash, "c 20000 0 0 0 0");
        return;
    }
    n = snprintf(head, sizeof(head), "%c %o %u %u", type_letter(st->st_mode), st->st_mode, st->st_uid, st->st_gid);
    if (S_ISREG(st->st_mode))
        snprintf(head + n, sizeof(head) - (size_t) n, " %lld", (long long) st->st_size);
    else if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
        snprintf(head + n, sizeof(head) - (size_t) n, " %u %u", major(st->st_rdev), minor(st->st_rdev));
    hash_adds(&w->hash, head);
}

static int hash_link(Walk *w, const struct stat *st)
{
    const char *first;
    int r;

    if (st->st_nlink < 2 || S_ISDIR(st->st_mode) || is_whiteout(st))
        return 0;
    r = links_meet(&w->links, st, w->path.data, &first);
    if (r <= 0)
        return r;
    hash_adds(&w->hash, "h");
    hash_adds(&w->hash, first);
    return 1;
}

static int do_symlink(Walk *w, int dirfd, const char *name)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);

    if (n < 0)
        return complain(w, -errno, "cannot read the symlink");
    target[n] = '\0';
    hash_adds(&w->hash, target);
    return 0;
}

static int do_dir(Walk *w, int fd);

static int do_openable(Walk *w, int dirfd, const char *name, const struct stat *st)
{
    bool dir = S_ISDIR(st->st_mode);
    _cleanup_close_ int fd =
        openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (dir ? O_DIRECTORY : 0));
    char path[FD_PATH_MAX], content[DIGEST_SIZE];
    struct stat now;
    int r;

    if (fd < 0 || fstat(fd, &now) < 0)
        return complain(w, -errno, "cannot open");
    if (now.st_dev != st->st_dev || now.st_ino != st->st_ino)
        return complain(w, -EAGAIN, "was exchanged while it was read");
    if (!dir && !w->normalise) {
        r = content_digest(fd, st->st_size, w->uncached, content);
        if (r < 0)
            return complain(w, r, "cannot read");
        hash_adds(&w->hash, content);
    }
    r = do_xattrs(w, fd_path(fd, path));
    return r < 0 || !dir ? r : do_dir(w, fd);
}

static int do_entry(Walk *w, int dirfd, const char *name)
{
    struct stat st;
    int r;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return complain(w, -errno, "cannot look at it");
    if (S_ISSOCK(st.st_mode))
        return error_setf(w->e, -EINVAL, "%s: a socket cannot be part of a layer", w->path.data);
    if (!w->normalise) {
        hash_adds(&w->hash, w->path.data);
        r = hash_link(w, &st);
        if (r != 0)
            return MIN(r, 0);
        hash_head(w, &st);
    }
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
        return do_openable(w, dirfd, name, &st);
    return S_ISLNK(st.st_mode) && !w->normalise ? do_symlink(w, dirfd, name) : 0;
}

/* ---- directories ---- */

typedef struct Names {
    char **list;
    size_t n, size;
} Names;

static void names_done(Names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->list[i]);
    free(names->list);
}

static int read_names(int fd, Names *names)
{
    _cleanup_closedir_ DIR *d = NULL;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *de;

    if (copy < 0)
        return -errno;
    d = fdopendir(copy);
    if (!d) {
        close(copy);
        return -ENOMEM;
    }
    while (errno = 0, (de = readdir(d))) {
        if (streq(de->d_name, ".") || streq(de->d_name, ".."))
            continue;
        if (names->n == names->size) {
            char **grown = reallocarray(names->list, names->size ? names->size * 2 : 16, sizeof(*grown));

            if (!grown)
                return -ENOMEM;
            names->list = grown;
            names->size = names->size ? names->size * 2 : 16;
        }
        names->list[names->n] = strdup(de->d_name);
        if (!names->list[names->n])
            return -ENOMEM;
        names->n++;
    }
    if (errno)
        return -errno;
    if (names->n > 0)
        qsort(names->list, names->n, sizeof(*names->list), compare_names);
    return 0;
}

static int do_dir(Walk *w, int fd)
{
    _cleanup_(names_done) Names names = {};
    size_t len = w->path.len;
    int r;

    if (w->depth >= TREE_DEPTH_MAX)
        return error_setf(w->e, -ELOOP, "%.200s...: more than %u directories deep", walk_at(w), TREE_DEPTH_MAX);
    r = read_names(fd, &names);
    if (r < 0)
        return complain(w, r, "cannot read the directory");
    w->depth++;
    for (size_t i = 0; r >= 0 && i < names.n; i++) {
        r = strbuf_addf(&w->path, "%s%s", len > 0 ? "/" : "", names.list[i]);
        if (r >= 0)
            r = do_entry(w, fd, names.list[i]);
        w->path.len = len;
        if (w->path.data)
            w->path.data[len] = '\0';
    }
    w->depth--;
    return r;
}

static int walk(Walk *w, int dirfd)
{
    char path[FD_PATH_MAX];
    struct stat st;
    int r;

    if (fstat(dirfd, &st) < 0)
        return complain(w, -errno, "cannot look at it");
    if (!w->normalise) {
        hash_adds(&w->hash, "");
        hash_head(w, &st);
    }
    r = do_xattrs(w, fd_path(dirfd, path));
    return r < 0 ? r : do_dir(w, dirfd);
}

static int digest(int dirfd, bool uncached, char ret_digest[static DIGEST_SIZE], Error *e)
{
    _cleanup_(walk_done) Walk w = {.uncached = uncached, .e = e};
    int r;

    hash_init(&w.hash);
    r = walk(&w, dirfd);
    if (r < 0)
        return r;
    hash_final(&w.hash, ret_digest);
    return 0;
}

int tree_digest(int dirfd, char ret_digest[static DIGEST_SIZE], Error *e)
{
    return digest(dirfd, false, ret_digest, e);
}

int tree_digest_uncached(int dirfd, char ret_digest[static DIGEST_SIZE], Error *e)
{
    return digest(dirfd, true, ret_digest, e);
}

int tree_normalise(int dirfd, Error *e)
{
    _cleanup_(walk_done) Walk w = {.normalise = true, .e = e};
    struct stat st;

    if (fstat(dirfd, &st) < 0)
        return error_errnof(e, -errno, "cannot look at the top of the tree");
    /* A directory that its owner cannot write cannot be moved into its place either. */
    if ((st.st_mode & 0700) != 0700 && fchmod(dirfd, (st.st_mode & 07777) | 0700) < 0)
        return error_errnof(e, -errno, "cannot prepare the top of the tree");
    return walk(&w, dirfd);
}
