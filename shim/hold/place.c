/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "runtime/base/fd.h"

typedef struct Place {
    char tag[16]; /* the name in our directory */
    int parent;
    const char *name;
} Place;

static void place_done(Place *p)
{
    fd_closep(&p->parent);
}

static int find(unsigned tag, int state, const char *path, Place *ret)
{
    const char *slash = strrchr(path, '/');
    char parent[PATH_MAX] = ".";

    snprintf(ret->tag, sizeof(ret->tag), "%u", tag);
    ret->name = slash ? slash + 1 : path;
    if (slash)
        snprintf(parent, sizeof(parent), "%.*s", (int) (slash - path), path);
    if (!*ret->name || streq(ret->name, ".") || streq(ret->name, ".."))
        return -EINVAL;
    ret->parent = openat_beneath(state, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    return ret->parent < 0 ? ret->parent : 0;
}

/* Is it a socket? *ret_same: the one that is known by the tag. */
static int look(int links, const Place *p, bool *ret_same)
{
    struct stat there, ours;

    if (fstatat(p->parent, p->name, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISSOCK(there.st_mode))
        return -ENOTSOCK;
    *ret_same = fstatat(links, p->tag, &ours, AT_SYMLINK_NOFOLLOW) == 0 && ours.st_dev == there.st_dev &&
                ours.st_ino == there.st_ino;
    return 0;
}

int place_keep(int links, unsigned tag, int state, const char *path)
{
    _cleanup_(place_done) Place p = {.parent = -EBADF};
    bool same = false;
    int r = find(tag, state, path, &p);

    if (r >= 0)
        r = look(links, &p, &same);
    if (r < 0 || same)
        return r;
    (void) unlinkat(links, p.tag, 0);
    if (linkat(p.parent, p.name, links, p.tag, 0) < 0)
        return -errno;
    r = look(links, &p, &same);
    if (r >= 0 && same)
        return 0;
    (void) unlinkat(links, p.tag, 0); /* the agent has put another thing there meanwhile */
    return r < 0 ? r : -ENOTSOCK;
}

int place_restore(int links, unsigned tag, int state, const char *path)
{
    _cleanup_(place_done) Place p = {.parent = -EBADF};
    bool same = false;
    int r = find(tag, state, path, &p);

    if (r < 0)
        return r;
    r = look(links, &p, &same);
    if (r >= 0 && same)
        return 0;
    if (r >= 0)
        (void) unlinkat(p.parent, p.name, 0);
    else if (r != -ENOENT)
        return r;
    return linkat(links, p.tag, p.parent, p.name, 0) < 0 ? -errno : 0;
}

int place_bind(int links, unsigned tag, int state, const char *path, mode_t mode)
{
    _cleanup_(place_done) Place p = {.parent = -EBADF};
    bool same = false;
    int r = find(tag, state, path, &p);

    if (r < 0)
        return r;
    if (linkat(links, p.tag, p.parent, p.name, 0) < 0) {
        r = errno == EEXIST ? look(links, &p, &same) : -errno;
        if (r < 0 || !same)
            return r < 0 ? r : -EEXIST;
    }
    return fchmodat(links, p.tag, mode, 0) < 0 ? -errno : 0;
}

void place_forget(int links, unsigned tag)
{
    char name[16];

    snprintf(name, sizeof(name), "%u", tag);
    (void) unlinkat(links, name, 0);
}
