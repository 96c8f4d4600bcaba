/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/change.h"

#include <fnmatch.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define EDITS_MAX 64
#define PATH_LENGTH_MAX 1024

void change_set_done(ChangeSet *set)
{
    for (size_t i = 0; i < set->n; i++) {
        free(set->changes[i].path);
        free(set->changes[i].data);
    }
    free(set->changes);
    *set = (ChangeSet){};
}

bool change_path_valid(const char *path)
{
    size_t n = strlen(path), start = 0;

    if (n == 0 || n > PATH_LENGTH_MAX)
        return false;
    for (size_t i = 0; i <= n; i++) {
        const char *name = path + start;
        size_t len = i - start;

        if (path[i] && (unsigned char) path[i] < ' ')
            return false;
        if (path[i] && path[i] != '/')
            continue;
        if (len == 0 || (len <= 2 && strncmp(name, "..", len) == 0) || (len == 4 && strncasecmp(name, ".git", 4) == 0))
            return false;
        start = i + 1;
    }
    return true;
}

/* Does the glob match the path itself or a directory above it? */
static bool glob_covers(const char *glob, const char *path)
{
    char part[PATH_LENGTH_MAX + 1], plain[PATH_LENGTH_MAX + 1];
    size_t n = strlen(path);

    snprintf(plain, sizeof(plain), "%s", glob);
    if (endswith(plain, "/"))
        plain[strlen(plain) - 1] = '\0';
    for (size_t i = 1; i <= n && n <= PATH_LENGTH_MAX; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (fnmatch(plain, part, FNM_PATHNAME) == 0)
            return true;
    }
    return false;
}

bool change_path_protected(const char *path, const char *const *globs)
{
    for (; globs && *globs; globs++)
        if (glob_covers(*globs, path))
            return true;
    return false;
}

int change_path_check(const char *path, const char *const *globs, Error *e)
{
    if (!change_path_valid(path))
        return error_setf(e, -EBADMSG, "\"%.200s\" is no path inside the source", path);
    if (change_path_protected(path, globs))
        return error_setf(e, -EBADMSG, "%s is protected and may not be changed", path);
    return 0;
}

int change_set_add(ChangeSet *set, const char *path, char *data, size_t len, bool executable)
{
    Change *grown = realloc(set->changes, (set->n + 1) * sizeof(*grown));
    char *copy = strdup(path);

    if (grown)
        set->changes = grown;
    if (!grown || !copy) {
        free(copy);
        free(data);
        return -ENOMEM;
    }
    set->changes[set->n++] = (Change){.path = copy, .data = data, .len = len, .executable = executable};
    return 0;
}

/* A regular file below `tree`; -EBADMSG when it is anything else, -ENOENT when it is not there. */
static int source_read(int tree, const char *path, char **ret, size_t *ret_len, bool *ret_executable, Error *e)
{
    _cleanup_close_ int fd = openat_beneath(tree, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    struct stat st;
    int r;

    if (fd == -ENOENT)
        return error_setf(e, -ENOENT, "%s is no file of the source", path);
    if (fd < 0)
        return error_errnof(e, fd == -ELOOP || fd == -EXDEV || fd == -ENOTDIR ? -EBADMSG : fd, "%s", path);
    if (fstat(fd, &st) < 0)
        return error_errnof(e, -errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return error_setf(e, -EBADMSG, "%s is no regular file", path);
    r = file_read_fd(fd, CHANGE_FILE_MAX, ret, ret_len);
    if (r == -E2BIG)
        return error_setf(e, -EBADMSG, "%s is larger than %zu bytes", path, CHANGE_FILE_MAX);
    if (r < 0)
        return error_errnof(e, r, "%s", path);
    *ret_executable = st.st_mode & S_IXUSR;
    return 0;
}

/* ---- edits ---- */

typedef struct Edit {
    const char *path;
    int64_t start, end;
    json_t *lines;
    size_t order; /* in the list: of two at one place the earlier one comes first */
} Edit;

static int edit_compare(const void *a, const void *b)
{
    const Edit *x = a, *y = b;
    int c = strcmp(x->path, y->path);

    if (c != 0)
        return c;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static int edit_parse(const json_t *o, const char *const *globs, Edit *ret, Error *e)
{
    JsonAt at = {"edit", ""};
    const json_t *line;
    Edit edit = {};
    size_t i;
    int r;

    if (!json_is_object(o))
        return error_setf(e, -EBADMSG, "an edit is no object");
    if ((r = json_need_string(o, at, "path", &edit.path, e)) < 0 ||
        (r = json_need_integer(o, at, "start", 1, INT32_MAX, &edit.start, e)) < 0 ||
        (r = json_need_integer(o, at, "end", 0, INT32_MAX, &edit.end, e)) < 0 ||
        (r = json_need(o, at, "lines", JSON_ARRAY, &edit.lines, e)) < 0)
        return -EBADMSG;
    r = change_path_check(edit.path, globs, e);
    if (r < 0)
        return r;
    if (edit.end < edit.start - 1)
        return error_setf(e, -EBADMSG, "%s: lines %lld to %lld are no range", edit.path, (long long) edit.start,
                          (long long) edit.end);
    json_array_foreach (edit.lines, i, line) {
        if (!json_is_string(line) || strchr(json_string_value(line), '\n'))
            return error_setf(e, -EBADMSG, "%s: a new line is no string, or holds a line break", edit.path);
    }
    *ret = edit;
    return 0;
}

/* Copies lines up to (not including) `line` from *pos of the text; *at is the number of the line at *pos. False when the text ends before. */
static bool copy_lines(const char *text, size_t len, size_t *pos, int64_t *at, int64_t line, StrBuf *out)
{
    while (*at < line) {
        const char *from = text + *pos, *nl = memchr(from, '\n', len - *pos);
        size_t n = nl ? (size_t) (nl - from) + 1 : len - *pos;

        if (n == 0)
            return false;
        if (out && strbuf_add(out, from, n) < 0)
            return false;
        *pos += n;
        (*at)++;
    }
    return true;
}

/* All edits of one file, sorted by place, on its text. */
static int edits_apply(const Edit *edits, size_t n, const char *text, size_t len, StrBuf *out, Error *e)
{
    size_t pos = 0;
    int64_t at = 1;

    for (size_t i = 0; i < n; i++) {
        const Edit *edit = &edits[i];
        const json_t *line;
        size_t k;

        if (edit->start < at)
            return error_setf(e, -EBADMSG, "%s: two edits overlap at line %lld", edit->path, (long long) edit->start);
        if (!copy_lines(text, len, &pos, &at, edit->start, out) ||
            !copy_lines(text, len, &pos, &at, edit->end + 1, NULL))
            return out->failed ? -ENOMEM
                               : error_setf(e, -EBADMSG, "%s has no lines %lld to %lld", edit->path,
                                            (long long) edit->start, (long long) edit->end);
        if (out->len > 0 && out->data[out->len - 1] != '\n' && json_array_size(edit->lines) > 0)
            strbuf_adds(out, "\n");
        json_array_foreach (edit->lines, k, line)
            strbuf_addf(out, "%s\n", json_string_value(line));
    }
    if (strbuf_add(out, text + pos, len - pos) < 0)
        return -ENOMEM;
    if (out->len > CHANGE_FILE_MAX)
        return error_setf(e, -EBADMSG, "%s would be larger than %zu bytes", edits[0].path, CHANGE_FILE_MAX);
    return 0;
}

int change_from_edits(int base, const json_t *list, const char *const *globs, ChangeSet *ret, Error *e)
{
    _cleanup_(change_set_done) ChangeSet set = {};
    Edit edits[EDITS_MAX];
    size_t n = json_array_size(list), i;
    int r;

    if (n == 0 || n > EDITS_MAX)
        return error_setf(e, -EBADMSG, "%zu edits: 1 to %d are taken", n, EDITS_MAX);
    for (i = 0; i < n; i++) {
        r = edit_parse(json_array_get(list, i), globs, &edits[i], e);
        if (r < 0)
            return r;
        edits[i].order = i;
    }
    qsort(edits, n, sizeof(*edits), edit_compare);
    for (size_t from = 0; from < n; from = i) {
        _cleanup_(strbuf_done) StrBuf out = {};
        _cleanup_free_ char *text = NULL;
        bool executable;
        size_t len;

        for (i = from; i < n && streq(edits[i].path, edits[from].path);)
            i++;
        r = source_read(base, edits[from].path, &text, &len, &executable, e);
        if (r < 0)
            return r == -ENOENT ? -EBADMSG : r;
        r = edits_apply(edits + from, i - from, text, len, &out, e);
        if (r < 0)
            return r;
        if (out.len == len && (len == 0 || memcmp(out.data, text, len) == 0))
            continue;
        len = out.len;
        r = change_set_add(&set, edits[from].path, strbuf_take(&out), len, executable);
        if (r < 0)
            return r;
    }
    *ret = set;
    set = (ChangeSet){};
    return 0;
}

/* ---- writing ---- */

/* The parent directory of a path, made if missing; *ret_name is the last component. */
static int open_parent(int tree, const char *path, const char **ret_name, Error *e)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *dir = slash ? strndup(path, (size_t) (slash - path)) : strdup(".");
    int r;

    if (!dir)
        return -ENOMEM;
    *ret_name = slash ? slash + 1 : path;
    if (slash) {
        r = mkdirat_p(tree, dir, 0755);
        if (r < 0)
            return error_errnof(e, r, "cannot make %s", dir);
    }
    r = openat_beneath(tree, dir, O_RDONLY | O_DIRECTORY, 0);
    return r < 0 ? error_errnof(e, r, "%s", dir) : r;
}

static int write_one(int tree, const char *path, const char *data, size_t len, bool executable, Error *e)
{
    const char *name;
    _cleanup_close_ int dir = open_parent(tree, path, &name, e);
    int r;

    if (dir < 0)
        return dir;
    if (!data)
        return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? error_errnof(e, -errno, "cannot remove %s", path) : 0;
    r = file_write_at(dir, name, data, len, executable ? 0755 : 0644, 0);
    return r < 0 ? error_errnof(e, r, "cannot write %s", path) : 0;
}

int change_write(int tree, const ChangeSet *set, Error *e)
{
    /* What is removed goes first: a file may have become a directory. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < set->n; i++) {
            const Change *c = &set->changes[i];
            int r;

            if ((c->data == NULL) != (pass == 0))
                continue;
            r = write_one(tree, c->path, c->data, c->len, c->executable, e);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

int change_undo(int tree, int base, const ChangeSet *set, Error *e)
{
    for (size_t i = 0; i < set->n; i++) {
        const Change *c = &set->changes[i];
        _cleanup_free_ char *text = NULL;
        Error missing = {};
        bool executable = false;
        size_t len = 0;
        int r = source_read(base, c->path, &text, &len, &executable, &missing);

        if (r < 0 && r != -ENOENT)
            return error_setf(e, r, "%s", missing.text);
        r = write_one(tree, c->path, text, len, executable, e);
        if (r < 0)
            return r;
    }
    return 0;
}
