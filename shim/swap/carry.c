/* SPDX-License-Identifier: Apache-2.0 */
#include "carry.h"

#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/box/mounts.h"

#define MOUNTINFO_MAX ((size_t) 4 << 20)
#define CARRIED_MAX 512U

typedef struct Line {
    uint64_t id, parent;
    char *path;
} Line;

void carry_done(Carry *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->list[i].path);
        fd_closep(&c->list[i].mnt);
    }
    free(c->list);
    *c = (Carry){};
}

/* ---- mountinfo ---- */

/* Blanks and backslashes are written as three octal digits. */
static void unescape(char *s)
{
    char *to = s;

    while (*s) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
            *to++ = (char) ((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
            s += 4;
        } else
            *to++ = *s++;
    }
    *to = '\0';
}

/* "36 35 98:0 /root /mount/point rw,noatime …" */
static int parse_line(char *line, Line *ret)
{
    char *save = NULL, *field[5], *end;

    for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
        field[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
        if (!field[i])
            return -EBADMSG;
    }
    errno = 0;
    ret->id = strtoull(field[0], &end, 10);
    if (errno || *end)
        return -EBADMSG;
    ret->parent = strtoull(field[1], &end, 10);
    if (errno || *end)
        return -EBADMSG;
    unescape(field[4]);
    ret->path = field[4];
    return 0;
}

static int parse_lines(char *text, Line **ret, size_t *ret_n)
{
    _cleanup_free_ Line *lines = NULL;
    char *save = NULL;
    size_t n = 0;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        Line *more = realloc(lines, (n + 1) * sizeof(*lines));
        int r;

        if (!more)
            return -ENOMEM;
        lines = more;
        r = parse_line(line, &lines[n++]);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(lines);
    *ret_n = n;
    return 0;
}

/* What is mounted on top of `id` at the same place, and on top of that. */
static uint64_t topmost(const Line *lines, size_t n, uint64_t id, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (lines[i].parent == id && streq(lines[i].path, path) && lines[i].id != id) {
            id = lines[i].id;
            i = (size_t) -1;
        }
    return id;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const Carried *) a)->path, ((const Carried *) b)->path);
}

static int collect(const Line *lines, size_t n, uint64_t root, Carry *c)
{
    for (size_t i = 0; i < n; i++) {
        if (lines[i].parent != root || lines[i].id == root)
            continue;
        if (c->n == CARRIED_MAX)
            return -E2BIG;
        c->list[c->n] = (Carried){strdup(lines[i].path), topmost(lines, n, lines[i].id, lines[i].path), -EBADF};
        if (!c->list[c->n++].path)
            return -ENOMEM;
    }
    qsort(c->list, c->n, sizeof(*c->list), by_path);
    return 0;
}

int carry_parse(char *text, Carry *ret, Error *e)
{
    _cleanup_(carry_done) Carry c = {};
    _cleanup_free_ Line *lines = NULL;
    const Line *root = NULL;
    size_t n = 0;
    int r = parse_lines(text, &lines, &n);

    for (size_t i = 0; r >= 0 && i < n; i++)
        if (streq(lines[i].path, "/"))
            root = &lines[i]; /* the last is the one on top */
    if (r >= 0 && !root)
        r = -EBADMSG;
    if (r >= 0 && !(c.list = calloc(CARRIED_MAX, sizeof(*c.list))))
        r = -ENOMEM;
    if (r >= 0)
        r = collect(lines, n, root->id, &c);
    if (r == -E2BIG)
        return error_setf(e, r, "more than %u mounts on the root of the container", CARRIED_MAX);
    if (r < 0)
        return error_errnof(e, r, "mounts of the container");
    *ret = c;
    c = (Carry){};
    return 0;
}

int carry_open(pid_t pid, Error *e)
{
    char path[48];
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int) pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? error_errnof(e, -errno, "%s", path) : fd;
}

int carry_list(int mountinfo, Carry *ret, Error *e)
{
    _cleanup_free_ char *text = NULL;
    int r = file_read_fd(mountinfo, MOUNTINFO_MAX, &text, NULL);

    return r < 0 ? error_errnof(e, r, "mounts of the container") : carry_parse(text, ret, e);
}

/* ---- the container ---- */

/* Is `path` the place `place`, or below it? */
static bool lies_in(const char *path, const char *place)
{
    const char *rest = startswith(path, place);

    return rest && (*rest == '\0' || *rest == '/');
}

int carry_check(const Carry *c, const char *state_path, Error *e)
{
    for (size_t i = 0; i < c->n; i++)
        if (lies_in(c->list[i].path, state_path) || lies_in(state_path, c->list[i].path))
            return error_setf(
                e, -EINVAL,
                "state.path %s: the engine has mounted %s in the container: the state volume is MOSS's to mount",
                state_path, c->list[i].path);
    return 0;
}

static int take(Carried *m, Error *e)
{
    struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
    _cleanup_close_ int fd = (int) syscall(SYS_openat2, AT_FDCWD, m->path, &how, sizeof(how));
    struct statx st;

    if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
        return error_errnof(e, -errno, "mount at %s", m->path);
    if (!(st.stx_mask & STATX_MNT_ID) || st.stx_mnt_id != m->id)
        return error_setf(e, -EUCLEAN, "%s is not what was mounted there", m->path);
    m->mnt = open_tree(fd, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return m->mnt < 0 ? error_errnof(e, -errno, "mount at %s", m->path) : 0;
}

static bool listed(const char *const *list, const char *path)
{
    while (*list && !streq(*list, path))
        list++;
    return *list;
}

int carry_take(Carry *c, const char *const *except, Error *e)
{
    for (size_t i = 0; i < c->n; i++) {
        int r = listed(except, c->list[i].path) ? 0 : take(&c->list[i], e);

        if (r < 0)
            return r;
    }
    return 0;
}

int carry_attach(const Carry *c, int root, Error *e)
{
    for (size_t i = 0; i < c->n; i++) {
        _cleanup_close_ int at = c->list[i].mnt < 0 ? -EBADF : mount_attach(c->list[i].mnt, root, c->list[i].path, e);

        if (c->list[i].mnt >= 0 && at < 0)
            return at;
    }
    return 0;
}
