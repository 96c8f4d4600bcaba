/* SPDX-License-Identifier: Apache-2.0 */
#include "mirror_file.h"

#include <sys/mman.h>
#include <sys/xattr.h>
#include <time.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"

#define ENTRIES_MAX ((size_t) 1 << 20)
#define XATTR_MAX 65536U /* XATTR_LIST_MAX and XATTR_SIZE_MAX of the kernel */
/* A clock tick is at most 10 ms, and what a file has of one tick may be of two changes. */
#define TICK_USEC (50 * USEC_PER_MSEC)

struct MirrorIndex {
    size_t n;
    MirrorEntry entries[ENTRIES_MAX]; /* memory that was never written to costs nothing */
};

MirrorIndex *mirror_index_new(void)
{
    MirrorIndex *index =
        mmap(NULL, sizeof(*index), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return index == MAP_FAILED ? NULL : index;
}

MirrorIndex *mirror_index_free(MirrorIndex *index)
{
    if (index)
        munmap(index, sizeof(*index));
    return NULL;
}

void mirror_index_clear(MirrorIndex *index)
{
    index->n = 0;
}

void mirror_note_again(MirrorIndex *index, const MirrorEntry *entry)
{
    if (index && index->n < ENTRIES_MAX)
        index->entries[index->n++] = *entry;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_settled(const struct timespec *ctime)
{
    struct timespec now;
    int64_t age;

    if (clock_gettime(CLOCK_REALTIME_COARSE, &now) < 0)
        return false;
    age = (now.tv_sec - ctime->tv_sec) * (int64_t) USEC_PER_SEC + (now.tv_nsec - ctime->tv_nsec) / 1000;
    return age > (int64_t) TICK_USEC;
}

void mirror_note(MirrorIndex *index, const struct stat *before, const struct stat *after, ino_t copy)
{
    if (before->st_ino == after->st_ino && before->st_size == after->st_size &&
        same_time(&before->st_ctim, &after->st_ctim) && is_settled(&before->st_ctim))
        mirror_note_again(index, &(MirrorEntry){.dev = before->st_dev,
                                                .ino = before->st_ino,
                                                .copy_ino = copy,
                                                .size = before->st_size,
                                                .ctime = before->st_ctim,
                                                .mtime = before->st_mtim});
}

/* ---- lookup ---- */

static uint32_t *find_slot(const MirrorLookup *lookup, uint64_t dev, uint64_t ino)
{
    size_t i = (ino * 0x9e3779b97f4a7c15ULL >> 20 ^ dev) & (lookup->size - 1);

    for (;; i = (i + 1) & (lookup->size - 1)) {
        uint32_t at = lookup->slots[i];

        if (at == 0 || (lookup->index->entries[at - 1].ino == ino && lookup->index->entries[at - 1].dev == dev))
            return &lookup->slots[i];
    }
}

int mirror_lookup_init(MirrorLookup *lookup, const MirrorIndex *index)
{
    *lookup = (MirrorLookup){.index = index, .size = 64};
    if (!index || index->n == 0)
        return 0;
    while (lookup->size < 2 * index->n)
        lookup->size *= 2;
    lookup->slots = calloc(lookup->size, sizeof(*lookup->slots));
    if (!lookup->slots)
        return -ENOMEM;
    for (size_t i = 0; i < index->n; i++)
        *find_slot(lookup, index->entries[i].dev, index->entries[i].ino) = (uint32_t) i + 1;
    return 0;
}

const MirrorEntry *mirror_lookup(const MirrorLookup *lookup, const struct stat *st)
{
    uint32_t at = lookup->slots ? *find_slot(lookup, st->st_dev, st->st_ino) : 0;
    const MirrorEntry *entry = at ? &lookup->index->entries[at - 1] : NULL;

    return entry && entry->size == st->st_size && same_time(&entry->ctime, &st->st_ctim) &&
                   same_time(&entry->mtime, &st->st_mtim)
               ? entry
               : NULL;
}

void mirror_lookup_done(MirrorLookup *lookup)
{
    free(lookup->slots);
    lookup->slots = NULL;
}

/* ---- inodes ---- */

int mirror_open_file(int dirfd, const char *name, bool live, struct stat *ret)
{
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    _cleanup_close_ int fd = openat(dirfd, name, flags | O_NOATIME);
    struct stat st;

    if (fd < 0 && errno == EPERM)
        fd = openat(dirfd, name, flags);
    if (fd < 0)
        return errno == ENXIO ? -ESTALE : -errno;
    /* A page is written to without a word while it is dirty already: make it clean. */
    if (live && sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE_AND_WAIT) < 0 && errno != ESPIPE && errno != EINVAL)
        return -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -ESTALE;
    *ret = st;
    return TAKE_FD(fd);
}

/* The names, one behind the other; how many bytes they have. */
static ssize_t list_xattrs(int fd, char **ret)
{
    _cleanup_free_ char *names = NULL;
    ssize_t n = flistxattr(fd, NULL, 0);

    if (n <= 0)
        return n < 0 && errno != EOPNOTSUPP ? -errno : 0;
    names = malloc(XATTR_MAX);
    if (!names)
        return -ENOMEM;
    n = flistxattr(fd, names, XATTR_MAX);
    if (n < 0)
        return -errno;
    *ret = TAKE_PTR(names);
    return n;
}

/* Ours to copy; others are the host's, which labels each file by its own rules. */
static bool is_content(const char *name)
{
    return startswith(name, "user.") || startswith(name, "trusted.") || startswith(name, "security.capability") ||
           startswith(name, "system.posix_acl_");
}

static int remove_others(int from, int to)
{
    _cleanup_free_ char *names = NULL;
    ssize_t n = list_xattrs(to, &names);

    if (n <= 0)
        return (int) n;
    for (char *p = names; p < names + n; p += strlen(p) + 1)
        if (is_content(p) && fgetxattr(from, p, NULL, 0) < 0 && (errno != ENODATA || fremovexattr(to, p) < 0))
            return -errno;
    return 0;
}

/* `buf` has room for two values. */
static int copy_xattr(int from, int to, const char *name, char *buf)
{
    ssize_t size = fgetxattr(from, name, buf, XATTR_MAX), there;

    if (size < 0)
        return errno == ENODATA ? 0 : -errno;
    there = fgetxattr(to, name, buf + XATTR_MAX, XATTR_MAX);
    if (there == size && memcmp(buf, buf + XATTR_MAX, (size_t) size) == 0)
        return 0;
    return fsetxattr(to, name, buf, (size_t) size, 0) < 0 && is_content(name) ? -errno : 0;
}

int mirror_xattrs(int from, int to)
{
    _cleanup_free_ char *names = NULL, *values = NULL;
    ssize_t n;
    int r = remove_others(from, to);

    if (r < 0)
        return r;
    n = list_xattrs(from, &names);
    if (n <= 0)
        return (int) n;
    values = malloc((size_t) 2 * XATTR_MAX);
    if (!values)
        return -ENOMEM;
    for (char *p = names; p < names + n; p += strlen(p) + 1) {
        r = copy_xattr(from, to, p, values);
        if (r < 0)
            return r;
    }
    return 0;
}

bool mirror_is_same(const struct stat *source, const struct stat *before, const struct stat *after)
{
    return same_time(&before->st_ctim, &after->st_ctim) && same_time(&source->st_mtim, &after->st_mtim) &&
           source->st_mode == after->st_mode && source->st_uid == after->st_uid && source->st_gid == after->st_gid;
}
