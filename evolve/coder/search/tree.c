/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/tree.h"

#include <sys/stat.h>

#include "evolve/coder/search/scope.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"

typedef struct Walk {
    Tree *tree;
    size_t entries;
    Error *error;
} Walk;

static bool is_text(const char *text, size_t len)
{
    size_t column = 0;

    for (size_t i = 0; i < len; i++) {
        column = text[i] == '\n' ? 0 : column + 1;
        if (text[i] == '\0' || column > TREE_LINE_MAX)
            return false;
    }
    return true;
}

int tree_add(Tree *tree, const char *path, const char *text, size_t len)
{
    File f;
    int r;

    for (size_t i = 0; i < tree->n_files; i++)
        if (streq(tree->files[i].path, path))
            return 0;
    if (!is_text(text, len)) {
        tree->skipped++;
        return 0;
    }
    r = source_read(tree->arena, tree->symbols, path, text, len, &f);
    if (r == -EINVAL) {
        tree->skipped++;
        return 0;
    }
    if (r < 0)
        return r;
    if (!ARENA_GROW(tree->arena, tree->files, tree->n_files, tree->files_size))
        return -ENOMEM;
    tree->files[tree->n_files++] = f;
    tree->total += len;
    return 0;
}

/* A file that cannot be read is left out: only want of memory ends the walk. */
static int add_at(Walk *w, int dirfd, const char *name, const char *path)
{
    Tree *tree = w->tree;
    _cleanup_free_ char *data = NULL;
    _cleanup_close_ int fd = -EBADF;
    struct stat st;
    size_t len;
    char *copy;

    if (language_of(path) == LANGUAGE_NONE)
        return 0;
    fd = openat_beneath(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (size_t) st.st_size > TREE_FILE_MAX ||
        tree->total + (size_t) st.st_size > TREE_TOTAL_MAX || file_read_fd(fd, TREE_FILE_MAX, &data, &len) < 0) {
        tree->skipped++;
        return 0;
    }
    copy = arena_copy(tree->arena, data, len);
    path = arena_copy(tree->arena, path, strlen(path));
    return copy && path ? tree_add(tree, path, copy, len) : -ENOMEM;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static bool is_foreign(const char *name)
{
    static const char *const foreign[] = {"node_modules", "vendor", "third_party", "build",
                                          "dist",         "target", "venv",        "site-packages"};

    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
        if (streq(name, foreign[i]))
            return true;
    return name[0] == '.' || startswith(name, "__pycache__");
}

static int walk(Walk *w, int dirfd, const char *prefix, unsigned depth);

static int walk_entry(Walk *w, int dirfd, const char *prefix, const char *name, unsigned depth)
{
    _cleanup_close_ int fd = -EBADF;
    const char *path = arena_printf(w->tree->arena, "%s%s", prefix, name), *below;
    struct stat st;

    if (!path)
        return -ENOMEM;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (S_ISREG(st.st_mode))
        return add_at(w, dirfd, name, path);
    if (!S_ISDIR(st.st_mode) || depth >= TREE_DEPTH_MAX)
        return 0;
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    below = arena_printf(w->tree->arena, "%s/", path);
    if (!below)
        return -ENOMEM;
    return fd < 0 ? 0 : walk(w, fd, below, depth + 1);
}

static int walk(Walk *w, int dirfd, const char *prefix, unsigned depth)
{
    int copy = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
    _cleanup_closedir_ DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    const char **names = NULL;
    size_t n = 0, size = 0;
    struct dirent *entry;

    if (!dir) {
        int r = -errno;

        if (copy >= 0)
            close(copy);
        return error_errnof(w->error, r, "cannot read directory %s of the source", prefix);
    }
    while (w->entries < TREE_ENTRIES_MAX && (entry = readdir(dir))) {
        if (is_foreign(entry->d_name))
            continue;
        w->entries++;
        if (!ARENA_GROW(w->tree->arena, names, n, size))
            return -ENOMEM;
        names[n] = arena_copy(w->tree->arena, entry->d_name, strlen(entry->d_name));
        if (!names[n++])
            return -ENOMEM;
    }
    if (n > 0)
        qsort(names, n, sizeof(*names), compare_names);
    for (size_t i = 0; i < n; i++) {
        int r = walk_entry(w, dirfd, prefix, names[i], depth);

        if (r < 0)
            return r;
    }
    return 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const File *) a)->path, ((const File *) b)->path);
}

int tree_read(Arena *arena, Symbols *symbols, int dirfd, const char *const *first, Tree *ret, Error *e)
{
    Tree tree = {.arena = arena, .symbols = symbols};
    Walk w = {.tree = &tree, .error = e};
    int r = 0;

    for (size_t i = 0; first && first[i] && r >= 0; i++)
        r = add_at(&w, dirfd, first[i], first[i]);
    if (r >= 0)
        r = walk(&w, dirfd, "", 0);
    if (r >= 0 && tree.n_files > 0) {
        qsort(tree.files, tree.n_files, sizeof(*tree.files), by_path);
        r = tree_count(&tree);
    }
    if (r == -ENOMEM)
        return error_setf(e, r, "no memory left to read the source");
    if (r < 0)
        return r;
    *ret = tree;
    return 0;
}

/* ---- what is usual ---- */

enum { FACT_OCCURS = 1, FACT_ATTRIBUTE, FACT_BOUND, FACT_MEMBER, FACT_PAIR, FACT_TRIPLE };

static uint64_t key_of(unsigned fact, Symbol a, Symbol b, Symbol c)
{
    uint64_t h = hash64_number(HASH64_START, fact | ((uint64_t) a << 32));

    h = hash64_number(h, b | ((uint64_t) c << 32));
    return h ? h : 1;
}

static unsigned count_of(const Counts *c, uint64_t key)
{
    if (c->n_slots == 0)
        return 0;
    for (size_t at = key & (c->n_slots - 1); c->keys[at]; at = (at + 1) & (c->n_slots - 1))
        if (c->keys[at] == key)
            return c->counts[at];
    return 0;
}

static void count(Counts *c, uint64_t key)
{
    size_t at = key & (c->n_slots - 1);

    while (c->keys[at] && c->keys[at] != key)
        at = (at + 1) & (c->n_slots - 1);
    c->keys[at] = key;
    c->counts[at]++;
}

static void count_members(Counts *c, const File *f, const Statement *s)
{
    const Token *t = statement_tokens(f, s);
    Symbol class;

    if (s->function == NONE || (class = f->functions[s->function].class) == 0)
        return;
    if (s->kind == STATEMENT_FUNCTION)
        count(c, key_of(FACT_MEMBER, class, f->functions[s->function].name, 0));
    for (uint32_t i = 0; i + 2 < s->n; i++)
        if ((token_is(f, &t[i], "self") || token_is(f, &t[i], "this")) && token_is(f, &t[i + 1], "."))
            count(c, key_of(FACT_MEMBER, class, t[i + 2].symbol, 0));
}

static void count_file(Counts *c, const File *f)
{
    for (size_t i = 0; i < f->n_bindings; i++) {
        const Statement *s = &f->statements[f->bindings[i].statement];

        count(c, key_of(FACT_BOUND, f->bindings[i].name, 0, 0));
        if (f->bindings[i].function == NONE && s->parent != NONE && f->statements[s->parent].kind == STATEMENT_CLASS)
            count(c, key_of(FACT_MEMBER, statement_tokens(f, &f->statements[s->parent])[1].symbol, f->bindings[i].name,
                            0));
    }
    for (size_t i = 0; i < f->n_statements; i++) {
        const Statement *s = &f->statements[i];
        const Token *t = statement_tokens(f, s);
        Symbol a = TREE_EDGE, b = TREE_EDGE;

        count_members(c, f, s);
        for (uint32_t k = 0; k <= s->n; k++) {
            Symbol next = k < s->n ? t[k].symbol : TREE_EDGE;

            count(c, key_of(FACT_PAIR, b, next, 0));
            if (k > 0)
                count(c, key_of(FACT_TRIPLE, a, b, next));
            if (k < s->n && t[k].kind == TOKEN_NAME)
                count(c, key_of(k > 0 && token_is(f, &t[k - 1], ".") ? FACT_ATTRIBUTE : FACT_OCCURS, next, 0, 0));
            a = b;
            b = next;
        }
    }
}

int tree_count(Tree *tree)
{
    size_t n = 0, slots = 1024;

    for (size_t i = 0; i < tree->n_files; i++)
        n += 5 * tree->files[i].tokens.n + 3 * tree->files[i].n_statements + 2 * tree->files[i].n_bindings;
    while (slots < 2 * n)
        slots *= 2;
    tree->counts = (Counts){.n_slots = slots};
    tree->counts.keys = arena_alloc(tree->arena, slots * sizeof(*tree->counts.keys));
    tree->counts.counts = arena_alloc(tree->arena, slots * sizeof(*tree->counts.counts));
    if (!tree->counts.keys || !tree->counts.counts)
        return -ENOMEM;
    for (size_t i = 0; i < tree->n_files; i++)
        count_file(&tree->counts, &tree->files[i]);
    return 0;
}

unsigned tree_follows(const Tree *tree, Symbol a, Symbol b, Symbol c)
{
    return count_of(&tree->counts, c ? key_of(FACT_TRIPLE, a, b, c) : key_of(FACT_PAIR, a, b, 0));
}

unsigned tree_occurs(const Tree *tree, Symbol name)
{
    return count_of(&tree->counts, key_of(FACT_OCCURS, name, 0, 0)) + tree_is_attribute(tree, name);
}

unsigned tree_is_attribute(const Tree *tree, Symbol name)
{
    return count_of(&tree->counts, key_of(FACT_ATTRIBUTE, name, 0, 0));
}

unsigned tree_is_bound(const Tree *tree, Symbol name)
{
    return count_of(&tree->counts, key_of(FACT_BOUND, name, 0, 0));
}

unsigned tree_has_attribute(const Tree *tree, Symbol class, Symbol attribute)
{
    return count_of(&tree->counts, key_of(FACT_MEMBER, class, attribute, 0));
}

bool tree_name_works(const Tree *tree, const File *f, uint32_t at, Symbol name)
{
    return scope_sees(f, at, name) ||
           (tree_occurs(tree, name) > tree_is_attribute(tree, name) && !tree_is_bound(tree, name));
}
