/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/search.h"
#include "runtime/base/strbuf.h"

#define IMPROVED_MAX 60
#define RAISED_STATEMENT 1.6
#define RAISED_FUNCTION 1.25
#define SUSPICION_MAX 4.0

typedef struct Known {
    Edit edits[EDITS_MAX];
    uint32_t n;
} Known;

static const File *file_named(const Tree *tree, const char *path)
{
    for (size_t i = 0; path && i < tree->n_files; i++)
        if (streq(tree->files[i].path, path))
            return &tree->files[i];
    return NULL;
}

static int joined(Arena *arena, const json_t *lines, const char **ret)
{
    _cleanup_(strbuf_done) StrBuf b = {};
    const json_t *line;
    size_t i;

    *ret = NULL;
    if (json_array_size(lines) == 0)
        return 0;
    json_array_foreach (lines, i, line) {
        if (i > 0)
            strbuf_adds(&b, "\n");
        strbuf_adds(&b, json_is_string(line) ? json_string_value(line) : "");
    }
    if (b.failed)
        return -ENOMEM;
    *ret = arena_copy(arena, b.data ? b.data : "", b.len);
    return *ret ? 0 : -ENOMEM;
}

/* What the evidence tells of a candidate, held against the tree. Returns 1, 0 when it does not fit in, or -ENOMEM. */
static int parse(const Search *s, const json_t *edits, Known *ret)
{
    const json_t *o;
    size_t i;

    ret->n = 0;
    if (json_array_size(edits) > EDITS_MAX)
        return 0;
    json_array_foreach (edits, i, o) {
        Edit *e = &ret->edits[ret->n];
        json_int_t start = json_integer_value(json_object_get(o, "start")),
                   end = json_integer_value(json_object_get(o, "end"));

        e->file = file_named(s->tree, json_string_value(json_object_get(o, "path")));
        if (!e->file || start < 1 || end < start - 1 || end > (json_int_t) e->file->n_lines)
            return 0;
        e->first = (uint32_t) start - 1;
        e->n = (uint32_t) (end - start + 1);
        if (joined(s->arena, json_object_get(o, "lines"), &e->text) < 0)
            return -ENOMEM;
        ret->n++;
    }
    return ret->n > 0;
}

/* Whether the tree already has the edits' lines where they would put them. */
static bool is_applied(const Known *k)
{
    for (uint32_t i = 0; i < k->n; i++) {
        const Edit *e = &k->edits[i];
        size_t len = e->text ? strlen(e->text) : 0, end = e->file->lines[e->first] + len;

        if (!e->text || end > e->file->len || (end < e->file->len && e->file->text[end] != '\n') ||
            memcmp(e->file->text + e->file->lines[e->first], e->text, len) != 0)
            return false;
    }
    return true;
}

static void raise_places(const Edit *e)
{
    const File *f = e->file;

    for (uint32_t i = 0; i < f->n_statements; i++) {
        Statement *s = &f->statements[i];

        if (s->last + 1 < e->first || s->first > e->first + e->n)
            continue;
        s->suspicion = MIN(s->suspicion * RAISED_STATEMENT, SUSPICION_MAX);
        for (uint32_t k = 0; s->function != NONE && k < f->n_statements; k++)
            if (f->statements[k].function == s->function)
                f->statements[k].suspicion = MIN(f->statements[k].suspicion * RAISED_FUNCTION, SUSPICION_MAX);
        return;
    }
}

static bool overlap(const Edit *a, const Edit *b)
{
    return a->file == b->file && a->first <= b->first + b->n && b->first <= a->first + a->n;
}

/* Both of two improvements at once. */
static int pair(Search *s, const Known *a, const Known *b)
{
    Site site = {.search = s, .file = a->edits[0].file};
    Edit both[EDITS_MAX];

    if (a->n + b->n > EDITS_MAX || site.file->n_statements == 0)
        return 0;
    for (uint32_t i = 0; i < a->n; i++)
        for (uint32_t k = 0; k < b->n; k++)
            if (overlap(&a->edits[i], &b->edits[k]))
                return 0;
    while (site.at + 1 < site.file->n_statements && site.file->statements[site.at].last < a->edits[0].first)
        site.at++;
    memcpy(both, a->edits, a->n * sizeof(*both));
    memcpy(both + a->n, b->edits, b->n * sizeof(*both));
    return candidate_edits(&site, both, a->n + b->n, OPERATOR_PAIR, 10);
}

/* The last iteration whose improvement the tree contains: what was tried before it was tried on another tree. */
static int last_applied(const Search *s, int64_t *ret)
{
    *ret = 0;
    for (size_t i = 0; i < s->hints->n_tried; i++) {
        const Tried *t = &s->hints->tried[i];
        Known known;
        int r;

        if (!t->improved || t->iteration <= *ret)
            continue;
        r = parse(s, t->edits, &known);
        if (r < 0)
            return r;
        if (r > 0 && is_applied(&known))
            *ret = t->iteration;
    }
    return 0;
}

int search_learn(Search *s)
{
    Known *improved = arena_alloc(s->arena, IMPROVED_MAX * sizeof(*improved)), known;
    size_t n = 0;
    int64_t applied;
    bool new;
    int r = improved ? last_applied(s, &applied) : -ENOMEM;

    for (size_t i = 0; i < s->hints->n_tried && r >= 0; i++) {
        const Tried *t = &s->hints->tried[i];

        r = parse(s, t->edits, &known);
        if (r <= 0)
            continue;
        if (t->improved)
            raise_places(&known.edits[0]);
        if (t->iteration <= applied)
            continue;
        r = search_know(s, edits_hash(known.edits, known.n), &new);
        if (t->improved && n < IMPROVED_MAX)
            improved[n++] = known;
    }
    for (size_t i = 0; i < n && r >= 0; i++)
        for (size_t k = i + 1; k < n && r >= 0; k++)
            r = pair(s, &improved[i], &improved[k]);
    return MIN(r, 0);
}
