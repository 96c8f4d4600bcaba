/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/ops.h"

#define BODY_LINES_MAX 4
#define TYPES_MAX 12

static bool is_handler(const Site *site)
{
    return site_statement(site)->kind == STATEMENT_HEADER && expr_is(site, 0, "except") &&
           site_statement(site)->end > site->at + 1;
}

static bool is_clause(const File *f, Search *s, uint32_t at)
{
    const Site site = {.search = s, .file = f, .at = at};

    return at != NONE && EXPR_IS_ONE_OF(&site, 0, "except", "finally");
}

static int replace_body(const Site *site, const char *text, double weight)
{
    const Statement *s = site_statement(site);

    if (!text)
        return -ENOMEM;
    return candidate_lines(site, s->last + 1, ops_block_last(site->file, site->at) - s->last, text, OPERATOR_HANDLER,
                           weight);
}

/* raise instead of what it does, raise at its end, no clause at all. */
static int pass_on(const Site *site)
{
    const File *f = site->file;
    const Statement *s = site_statement(site);
    uint32_t last = ops_block_last(f, site->at), indent = f->statements[site->at + 1].indent;
    char *text = arena_printf(site->search->arena, "%*sraise", (int) indent, "");
    int r = replace_body(site, text, 0.8);

    if (r >= 0)
        r = candidate_lines(site, last + 1, 0, text, OPERATOR_HANDLER, 0.8);
    if (r >= 0 && (is_clause(f, site->search, s->next) || is_clause(f, site->search, s->previous)))
        r = candidate_lines(site, s->first, last - s->first + 1, NULL, OPERATOR_HANDLER, 0.7);
    return r;
}

/* What other handlers catch. */
static int other_types(const Site *site, const Site *other, const char **seen, size_t *n_seen)
{
    const Statement *s = site_statement(site), *o = site_statement(other);
    uint32_t own_end = 1, their_end = 1;
    const char *text;

    while (own_end < s->n && !EXPR_IS_ONE_OF(site, own_end, "as", ":"))
        own_end++;
    while (their_end < o->n && !EXPR_IS_ONE_OF(other, their_end, "as", ":"))
        their_end++;
    if (own_end == 1 || their_end == 1)
        return 0;
    text = site_text(other, 1, their_end);
    if (!text)
        return -ENOMEM;
    for (size_t i = 0; i < *n_seen; i++)
        if (streq(seen[i], text))
            return 0;
    if (*n_seen == TYPES_MAX)
        return 0;
    seen[(*n_seen)++] = text;
    return candidate_replace(site, 1, own_end, text, OPERATOR_HANDLER, 0.6);
}

/* The body of another handler; the whole of it as one more clause. */
static int borrow(const Site *site, const Site *other)
{
    const File *f = other->file;
    const Statement *s = site_statement(site), *o = site_statement(other);
    uint32_t last = ops_block_last(f, other->at), own_last = ops_block_last(site->file, site->at);
    double weight = f == site->file ? 1 : 0.5;
    char *text;
    int r;

    if (last - o->last > BODY_LINES_MAX)
        return 0;
    text = ops_indented(site->search, f, o->last + 1, last, f->statements[other->at + 1].indent,
                        site->file->statements[site->at + 1].indent);
    r = replace_body(site, text, weight);
    if (r < 0)
        return r;
    text = ops_indented(site->search, f, o->first, last, o->indent, s->indent);
    if (!text)
        return -ENOMEM;
    r = candidate_lines(site, s->first, 0, text, OPERATOR_HANDLER, 0.5 * weight);
    return r < 0 ? r : candidate_lines(site, own_last + 1, 0, text, OPERATOR_HANDLER, 0.5 * weight);
}

int ops_handler(const Site *site)
{
    const Tree *tree = site->search->tree;
    const char *seen[TYPES_MAX];
    size_t n_seen = 0;
    int r;

    if (!is_handler(site))
        return 0;
    r = pass_on(site);
    for (size_t f = 0; f < tree->n_files && r >= 0; f++)
        for (uint32_t i = 0; i < tree->files[f].n_statements && r >= 0; i++) {
            const Site other = {.search = site->search, .file = &tree->files[f], .at = i};

            if (!is_handler(&other) || (other.file == site->file && i == site->at))
                continue;
            r = other_types(site, &other, seen, &n_seen);
            if (r >= 0)
                r = borrow(site, &other);
        }
    return r;
}
