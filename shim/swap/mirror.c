/* SPDX-License-Identifier: Apache-2.0 */
#include "mirror.h"

#include <limits.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "mirror_file.h"
#include "runtime/base/copy.h"
#include "runtime/base/fd.h"
#include "runtime/base/links.h"

#define SYNCED_ONE_BY_ONE 64U
#define XFS_MAGIC 0x58465342

/* One pass. */
typedef struct Pass {
    const MirrorSpec *spec;
    MirrorLookup lookup; /* of spec->known */
    Links links;         /* paths relative to the top of the copy */
    unsigned depth;
    int copied;
    int unsynced[SYNCED_ONE_BY_ONE]; /* fds of what was changed */
    unsigned n_unsynced;
    bool sync_all;
    Error *e;
    bool named; /* *e is set */
} Pass;

/* One entry of a directory, on both sides. */
typedef struct Entry {
    int from, to; /* the directories */
    const char *name, *path;
    struct stat st; /* in `from` */
} Entry;

bool mirror_worthwhile(int fd)
{
    static const long known[] = {EXT4_SUPER_MAGIC, XFS_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC};
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if ((long) fs.f_type == known[i])
            return true;
    return false;
}

/* Has it gone, or become something else, under our hands? */
static bool is_race(const Pass *p, int r)
{
    return p->spec->live && (r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EISDIR || r == -ESTALE);
}

/* ---- durability ---- */

/* Takes the fd. */
static void note_changed(Pass *p, int fd)
{
    if (p->spec->live || p->sync_all || p->n_unsynced == SYNCED_ONE_BY_ONE) {
        p->sync_all = true;
        close(fd);
        return;
    }
    (void) sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* begins */
    p->unsynced[p->n_unsynced++] = fd;
}

/* A few files one by one, since syncfs(2) waits for whatever else is dirty there; many at once. */
static int make_durable(Pass *p)
{
    int r = 0;

    for (unsigned i = 0; i < p->n_unsynced && r >= 0 && !p->sync_all; i++)
        r = fsync(p->unsynced[i]) < 0 ? -errno : 0;
    if (r >= 0 && p->sync_all)
        r = syncfs(p->spec->to) < 0 ? -errno : 0;
    return r;
}

static void pass_done(Pass *p)
{
    for (unsigned i = 0; i < p->n_unsynced; i++)
        close(p->unsynced[i]);
    links_done(&p->links);
    mirror_lookup_done(&p->lookup);
}

/* ---- hard links ---- */

/* The directory of a path below the top of the copy, through no symbolic link, and the name in it. */
static int open_parent(const Pass *p, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    char parent[PATH_MAX];

    *ret_name = slash ? slash + 1 : path;
    snprintf(parent, sizeof(parent), "%.*s", slash ? (int) (slash - path) : 1, slash ? path : ".");
    return openat_walk(p->spec->to, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}

/* 1 if the entry is now a link to what another name of the same file was copied to, 0 if this is the first name that is met. */
static int link_to_first(Pass *p, const Entry *entry)
{
    _cleanup_close_ int parent = -EBADF;
    const char *first, *name;
    struct stat there, here;
    int r;

    if (entry->st.st_nlink < 2)
        return 0;
    r = links_meet(&p->links, &entry->st, entry->path, &first);
    if (r <= 0)
        return r;
    parent = open_parent(p, first, &name);
    if (parent < 0)
        return parent;
    if (fstatat(parent, name, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if ((there.st_mode ^ entry->st.st_mode) & S_IFMT)
        return -ESTALE; /* the tree was changed while it was read */
    if (fstatat(entry->to, entry->name, &here, AT_SYMLINK_NOFOLLOW) == 0) {
        if (here.st_dev == there.st_dev && here.st_ino == there.st_ino)
            return 1;
        r = rm_rf_at(entry->to, entry->name);
        if (r < 0)
            return r;
    }
    p->copied++;
    return linkat(parent, name, entry->to, entry->name, 0) < 0 ? -errno : 1;
}

/* ---- entries ---- */

static bool is_copied(const Pass *p, const Entry *entry)
{
    const MirrorEntry *known = mirror_lookup(&p->lookup, &entry->st);
    struct stat copy;

    return known && fstatat(entry->to, entry->name, &copy, AT_SYMLINK_NOFOLLOW) == 0 &&
           copy.st_ino == known->copy_ino && ((copy.st_mode ^ entry->st.st_mode) & S_IFMT) == 0;
}

static int copy_file(Pass *p, Entry *entry)
{
    _cleanup_close_ int in = -EBADF, out = -EBADF;
    int r;

    in = mirror_open_file(entry->from, entry->name, p->spec->live, &entry->st);
    if (in < 0)
        return in;
    out = openat(entry->to, entry->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0)
        return -errno;
    if ((r = copy_data(in, out, entry->st.st_size)) < 0 || (r = mirror_xattrs(in, out)) < 0 ||
        (r = copy_attributes(out, &entry->st)) < 0)
        return r;
    note_changed(p, TAKE_FD(out));
    return 0;
}

/* Everything but files and directories. */
static int copy_special(Pass *p, const Entry *entry)
{
    const struct timespec times[] = {entry->st.st_atim, entry->st.st_mtim};
    char target[PATH_MAX];
    ssize_t n;

    if (S_ISLNK(entry->st.st_mode)) {
        n = readlinkat(entry->from, entry->name, target, sizeof(target) - 1);
        if (n < 0)
            return errno == EINVAL ? -ESTALE : -errno;
        target[n] = '\0';
        if (symlinkat(target, entry->to, entry->name) < 0)
            return -errno;
    } else if (mknodat(entry->to, entry->name, entry->st.st_mode, entry->st.st_rdev) < 0)
        return -errno;
    if (fchownat(entry->to, entry->name, entry->st.st_uid, entry->st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        (!S_ISLNK(entry->st.st_mode) && fchmodat(entry->to, entry->name, entry->st.st_mode & 07777, 0) < 0) ||
        utimensat(entry->to, entry->name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    p->sync_all = true; /* such a thing has no fd to be synced through */
    return 0;
}

static int copy_directory(Pass *p, const Entry *entry);

static int copy_other(Pass *p, Entry *entry)
{
    struct stat after, copy;
    int r = link_to_first(p, entry);

    if (r != 0)
        return MIN(r, 0);
    if (is_copied(p, entry)) {
        mirror_note_again(p->spec->seen, mirror_lookup(&p->lookup, &entry->st));
        return 0;
    }
    r = rm_rf_at(entry->to, entry->name);
    if (r < 0)
        return r;
    p->copied++;
    r = S_ISREG(entry->st.st_mode) ? copy_file(p, entry) : copy_special(p, entry);
    if (r < 0)
        return r;
    if (fstatat(entry->from, entry->name, &after, AT_SYMLINK_NOFOLLOW) < 0 ||
        fstatat(entry->to, entry->name, &copy, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    mirror_note(p->spec->seen, &entry->st, &after, copy.st_ino);
    return 0;
}

static int copy_entry(Pass *p, int from, int to, const char *name, const char *path)
{
    Entry entry = {.from = from, .to = to, .name = name, .path = path};
    int r;

    if (fstatat(from, name, &entry.st, AT_SYMLINK_NOFOLLOW) < 0)
        r = -errno;
    else if (S_ISSOCK(entry.st.st_mode))
        r = rm_rf_at(to, name);
    else
        r = S_ISDIR(entry.st.st_mode) ? copy_directory(p, &entry) : copy_other(p, &entry);
    if (is_race(p, r))
        return 0;
    if (r < 0 && !p->named) { /* the innermost one knows best */
        p->named = true;
        return error_errnof(p->e, r, "%s", path);
    }
    return r;
}

/* ---- directories ---- */

static DIR *open_list(int fd)
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = again < 0 ? NULL : fdopendir(again);

    if (!d && again >= 0)
        close(again);
    return d;
}

static bool is_dots(const char *name)
{
    return streq(name, ".") || streq(name, "..");
}

/* What is no more in `from`. */
static int remove_vanished(int from, int to)
{
    _cleanup_closedir_ DIR *d = open_list(to);
    struct dirent *de;
    struct stat st;

    if (!d)
        return -errno;
    while (errno = 0, (de = readdir(d))) {
        int r;

        if (is_dots(de->d_name) || fstatat(from, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            continue;
        r = errno == ENOENT ? rm_rf_at(to, de->d_name) : -errno;
        if (r < 0)
            return r;
    }
    return -errno;
}

static int copy_children(Pass *p, int from, int to, const char *at)
{
    _cleanup_closedir_ DIR *d = open_list(from);
    struct dirent *de;
    int r = 0;

    if (!d)
        return -errno;
    while (r >= 0 && (errno = 0, de = readdir(d))) {
        char path[PATH_MAX];

        if (is_dots(de->d_name))
            continue;
        if (snprintf(path, sizeof(path), "%s%s%s", at, *at ? "/" : "", de->d_name) >= (int) sizeof(path)) {
            p->named = true;
            return error_setf(p->e, -ENAMETOOLONG, "%.200s...: the path has more than %d bytes", at, PATH_MAX - 1);
        }
        r = copy_entry(p, from, to, de->d_name, path);
    }
    return r < 0 ? r : -errno;
}

/* From here on the two have the same content; owner, mode, times and xattrs come last, since what is done in a directory changes them. */
static int copy_content(Pass *p, int from, int to, const char *path)
{
    struct stat source, before, after;
    int r, fd;

    if (p->depth >= MIRROR_DEPTH_MAX) {
        p->named = true;
        return error_setf(p->e, -ELOOP, "%.200s...: more than %u directories deep", path, MIRROR_DEPTH_MAX);
    }
    if (fstat(from, &source) < 0 || fstat(to, &before) < 0)
        return -errno;
    p->depth++;
    r = p->spec->known ? remove_vanished(from, to) : 0;
    if (r >= 0)
        r = copy_children(p, from, to, path);
    p->depth--;
    if (r < 0 || (r = mirror_xattrs(from, to)) < 0)
        return r;
    if (fstat(to, &after) < 0)
        return -errno;
    if (mirror_is_same(&source, &before, &after))
        return 0;
    fd = fcntl(to, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    r = copy_attributes(to, &source);
    note_changed(p, fd);
    return r;
}

static int copy_directory(Pass *p, const Entry *entry)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    _cleanup_close_ int in = openat(entry->from, entry->name, flags), out = -EBADF;
    int r;

    if (in < 0)
        return -errno;
    out = openat(entry->to, entry->name, flags);
    if (out < 0) {
        r = rm_rf_at(entry->to, entry->name);
        if (r < 0)
            return r;
        if (mkdirat(entry->to, entry->name, 0700) < 0)
            return -errno;
        out = openat(entry->to, entry->name, flags);
        if (out < 0)
            return -errno;
    }
    return copy_content(p, in, out, entry->path);
}

int mirror_pass(const MirrorSpec *spec, Error *e)
{
    _cleanup_(pass_done) Pass p = {.spec = spec, .e = e};
    int r = mirror_lookup_init(&p.lookup, spec->known);

    if (spec->seen)
        mirror_index_clear(spec->seen);
    if (r >= 0)
        r = copy_content(&p, spec->from, spec->to, "");
    if (r >= 0 && !spec->live)
        r = make_durable(&p);
    if (r < 0)
        return p.named ? r : error_errnof(e, r, "state");
    return p.copied;
}
