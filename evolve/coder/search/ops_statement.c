/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/ops.h"

#include "evolve/coder/search/scope.h"

#define SMALL_BLOCK 4 /* lines */

uint32_t ops_block_last(const File *f, uint32_t at)
{
    uint32_t last = f->statements[at].last;

    for (uint32_t i = at; i < f->statements[at].end; i++)
        last = MAX(last, f->statements[i].last);
    return last;
}

static uint32_t block_last(const File *f, const Statement *s)
{
    return ops_block_last(f, (uint32_t) (s - f->statements));
}

static uint32_t block_lines(const File *f, const Statement *s)
{
    return block_last(f, s) - s->first + 1;
}

char *ops_indented(Search *s, const File *f, uint32_t first, uint32_t last, uint32_t from, uint32_t to)
{
    char *text = source_lines(s->arena, f, first, last), *out, *p;
    size_t lines = 1;

    if (!text)
        return NULL;
    for (const char *q = text; *q; q++)
        lines += *q == '\n';
    out = p = arena_alloc(s->arena, strlen(text) + lines * (to + 1) + 1);
    if (!out)
        return NULL;
    for (const char *line = text; line;) {
        const char *end = strchr(line, '\n');
        size_t len = end ? (size_t) (end - line) : strlen(line), cut = 0;

        while (cut < len && cut < from && (line[cut] == ' ' || line[cut] == '\t'))
            cut += 1;
        if (len > cut) {
            memset(p, ' ', to);
            p += to;
            memcpy(p, line + cut, len - cut);
            p += len - cut;
        }
        if (end)
            *p++ = '\n';
        line = end ? end + 1 : NULL;
    }
    return out;
}

static char *indented(const Site *site, uint32_t first, uint32_t last, uint32_t from, uint32_t to)
{
    return ops_indented(site->search, site->file, first, last, from, to);
}

static bool is_flow(const Site *site)
{
    return EXPR_IS_ONE_OF(site, 0, "break", "continue", "return", "raise", "throw", "pass");
}

bool ops_begins_clause(const Site *site)
{
    return EXPR_IS_ONE_OF(site, 0, "else", "elif", "except", "finally", "case", "}");
}

bool ops_clause_follows(const Site *site)
{
    const Statement *s = site_statement(site);
    const Site next = {.search = site->search, .file = site->file, .at = s->next};

    return s->next != NONE && ops_begins_clause(&next);
}

static int delete (const Site *site)
{
    const File *f = site->file;
    const Statement *s = site_statement(site);
    uint32_t lines = block_lines(f, s);
    double weight;

    if (ops_begins_clause(site) || ops_clause_follows(site) || expr_is(site, 0, "try") || scope_is_needed(f, site->at))
        return 0;
    if (s->kind == STATEMENT_SIMPLE)
        weight = EXPR_IS_ONE_OF(site, 0, "break", "continue") ? 1.4
                 : EXPR_IS_ONE_OF(site, 0, "return", "raise") ? 0.6
                                                              : 0.8;
    else if (s->kind == STATEMENT_HEADER && lines <= SMALL_BLOCK)
        weight = expr_is(site, 0, "if") ? 1 : 0.4;
    else if (s->kind == STATEMENT_DECORATOR)
        weight = 0.3;
    else
        return 0;
    return candidate_lines(site, s->first, lines, NULL, OPERATOR_DELETE, weight);
}

/* The block of an if, a loop or a with stays, its header goes. */
static int unwrap(const Site *site)
{
    const File *f = site->file;
    const Statement *s = site_statement(site);
    uint32_t last = block_last(f, s);
    char *text;

    if (s->kind != STATEMENT_HEADER || f->language != LANGUAGE_PYTHON || ops_clause_follows(site) ||
        !EXPR_IS_ONE_OF(site, 0, "if", "with", "for", "while") || s->end == site->at + 1 ||
        scope_is_needed(f, site->at))
        return 0;
    text = indented(site, s->last + 1, last, f->statements[site->at + 1].indent, s->indent);
    if (!text)
        return -ENOMEM;
    return candidate_lines(site, s->first, last - s->first + 1, text, OPERATOR_UNWRAP,
                           expr_is(site, 0, "if") ? 1 : 0.5);
}

/* Whether `later` uses a name that `earlier` gives its first value. */
static bool depends(const File *f, uint32_t later, uint32_t earlier)
{
    for (size_t i = 0; i < f->n_bindings; i++) {
        const Binding *b = &f->bindings[i];

        if (b->statement != earlier || b->local_to_statement)
            continue;
        for (uint32_t s = later; s < f->statements[later].end; s++) {
            const Token *t = statement_tokens(f, &f->statements[s]);

            for (uint32_t k = 0; k < f->statements[s].n; k++)
                if (t[k].symbol == b->name && !(k > 0 && token_is(f, &t[k - 1], ".")))
                    return true;
        }
    }
    return false;
}

static bool has_call(const Site *site)
{
    for (uint32_t i = 1; i < site_statement(site)->n; i++)
        if (expr_is(site, i, "("))
            return true;
    return false;
}

/* Whether the order of two statements can matter: both do something, or they have a name in common. */
static bool interact(const Site *a, const Site *b)
{
    if (has_call(a) && has_call(b))
        return true;
    for (uint32_t i = 0; i < site_statement(a)->n; i++)
        for (uint32_t k = 0; k < site_statement(b)->n; k++)
            if (site_tokens(a)[i].symbol == site_tokens(b)[k].symbol &&
                token_is_identifier(a->file, &site_tokens(a)[i]) && !expr_is(a, i, "self"))
                return true;
    return site_statement(a)->kind == STATEMENT_HEADER || site_statement(b)->kind == STATEMENT_HEADER;
}

/* The statement changes places with the `distance` ones behind it. */
static int swap(const Site *site)
{
    const File *f = site->file;
    const Statement *s = site_statement(site), *next = s;
    uint32_t last = block_last(f, s);
    int r = 0;

    if (ops_clause_follows(site) || ops_begins_clause(site) || s->kind > STATEMENT_HEADER)
        return 0;
    for (unsigned distance = 1; distance <= 3 && next->next != NONE && r >= 0; distance++) {
        uint32_t end;
        Site other = *site;
        const char *mine, *theirs;
        bool blocked = depends(f, next->next, site->at);

        next = &f->statements[next->next];
        end = block_last(f, next);
        if (next->kind > STATEMENT_HEADER || blocked)
            break;
        other.at = (uint32_t) (next - f->statements);
        if (next->kind == STATEMENT_SIMPLE && is_flow(&other)) /* what stood before it would never run */
            break;
        if (ops_clause_follows(&other) || !interact(site, &other))
            continue;
        mine = source_lines(site->search->arena, f, s->first, last);
        theirs = source_lines(site->search->arena, f, last + 1, end);
        if (!mine || !theirs)
            return -ENOMEM;
        r = candidate_lines(site, s->first, end - s->first + 1,
                            arena_printf(site->search->arena, "%s\n%s", theirs, mine), OPERATOR_SWAP, 1.0 / distance);
    }
    return r;
}

/* Takes lines first…last of the site out and puts `text` before line `where`. */
static int relocate(const Site *site, uint32_t last, uint32_t where, const char *text, double weight)
{
    const File *f = site->file;
    const Statement *s = site_statement(site);
    Edit edits[2] = {{.file = f, .first = s->first, .n = last - s->first + 1},
                     {.file = f, .first = where, .n = 0, .text = text}};

    if (!text)
        return -ENOMEM;
    if (where < s->first)
        return candidate_lines(site, where, last + 1 - where,
                               arena_printf(site->search->arena, "%s\n%s", text,
                                            source_lines(site->search->arena, f, where, s->first - 1)),
                               OPERATOR_INDENT, weight);
    if (where == last + 1)
        return candidate_lines(site, s->first, last + 1 - s->first, text, OPERATOR_INDENT, weight);
    return candidate_edits(site, edits, 2, OPERATOR_INDENT, weight);
}

/* The last line of a statement with its else, except and finally. */
static uint32_t chain_last(const Site *site)
{
    Site last = *site;

    while (ops_clause_follows(&last))
        last.at = site_statement(&last)->next;
    return ops_block_last(site->file, last.at);
}

/* Out of the block it is in: behind it, or in front of it. */
static int move_out(const Site *site)
{
    const File *f = site->file;
    const Statement *s = site_statement(site), *header = s->parent == NONE ? NULL : &f->statements[s->parent];
    uint32_t last = block_last(f, s);
    Site outer = *site;
    bool sole;
    char *text;
    int r = 0;

    if (!header || header->kind != STATEMENT_HEADER || block_lines(f, s) > SMALL_BLOCK || ops_begins_clause(site) ||
        ops_clause_follows(site))
        return 0;
    text = indented(site, s->first, last, s->indent, header->indent);
    outer.at = s->parent;
    sole = s->previous == NONE && s->next == NONE;
    if (!sole)
        r = relocate(site, last, chain_last(&outer) + 1, text,
                     ops_clause_follows(&outer) ? 0.7
                     : s->next == NONE          ? (is_flow(site) ? 1.3 : 1)
                                                : 0.4);
    if (r >= 0 && !ops_begins_clause(&outer) && !sole && s->kind == STATEMENT_SIMPLE && !is_flow(site) &&
        s->previous == NONE)
        r = relocate(site, last, header->first, text, 0.7);
    return r;
}

/* Into the block before it or behind it. */
static int move_in(const Site *site)
{
    const File *f = site->file;
    const Statement *s = site_statement(site);
    uint32_t last = block_last(f, s);
    int r = 0;

    if (block_lines(f, s) > SMALL_BLOCK || ops_begins_clause(site) || ops_clause_follows(site))
        return 0;
    for (unsigned k = 0; k < 2 && r >= 0; k++) {
        uint32_t at = k == 0 ? s->previous : s->next;
        const Statement *header = at == NONE ? NULL : &f->statements[at];

        if (!header || header->kind != STATEMENT_HEADER || header->end == at + 1 ||
            (k == 1 && depends(f, at, site->at) && s->kind != STATEMENT_SIMPLE))
            continue;
        r = relocate(site, last, k == 0 ? s->first : header->last + 1,
                     indented(site, s->first, last, s->indent, f->statements[at + 1].indent), k == 0 ? 0.9 : 0.4);
    }
    return r;
}

/* Inside a loop, and in which one. */
static bool in_loop(const Site *site)
{
    const File *f = site->file;

    for (uint32_t p = site_statement(site)->parent; p != NONE; p = f->statements[p].parent) {
        const Site header = {.search = site->search, .file = f, .at = p};

        if (f->statements[p].kind == STATEMENT_FUNCTION)
            return false;
        if (EXPR_IS_ONE_OF(&header, 0, "for", "while"))
            return true;
    }
    return false;
}

static int flow(const Site *site)
{
    static const char *const words[] = {"break", "continue", "return", "pass"};
    const Statement *s = site_statement(site);
    const char *end = site->file->language == LANGUAGE_PYTHON ? "" : ";";
    bool loop = in_loop(site);
    int r = 0;

    if (s->kind != STATEMENT_SIMPLE || s->function == NONE)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(words) && r >= 0; i++) {
        bool own = s->n <= 2 && EXPR_IS_ONE_OF(site, 0, "break", "continue", "pass", "return");
        char *text = arena_printf(site->search->arena, "%*s%s%s", (int) s->indent, "", words[i], end);

        if (i < 2 && !loop)
            continue;
        if (!text)
            return -ENOMEM;
        if (own || EXPR_IS_ONE_OF(site, 0, "return", "raise"))
            r = candidate_lines(site, s->first, s->last - s->first + 1, text, OPERATOR_FLOW, own ? 1 : 0.4);
        if (r >= 0 && s->next == NONE && i < 3 && !is_flow(site))
            r = candidate_lines(site, s->last + 1, 0, text, OPERATOR_FLOW, i < 2 ? 0.5 : 0.25);
    }
    return r;
}

int ops_statement(const Site *site)
{
    int (*const steps[])(const Site *) = {delete, unwrap, swap, move_out, move_in, flow};

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        int r = steps[i](site);

        if (r < 0)
            return r;
    }
    return 0;
}
