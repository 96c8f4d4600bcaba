/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/ops.h"

#include "evolve/coder/search/scope.h"
#include "runtime/base/strbuf.h"

/* Statements from elsewhere. What tells the right one and the right place is parallel structure: functions of the same kind do the same things in the
 * same order, and where one lacks a step that the others take, the step is missing. */

#define BLOCK_LINES_MAX 4
#define DONOR_TOKENS_MAX 80
#define KEPT_PER_SITE 16 /* of each kind */

typedef struct Donor {
    const File *file;
    uint32_t at;
    uint32_t theirs, ours; /* statements that correspond, or NONE: names are translated by them */
    double weight;
    Operator op;
} Donor;

typedef struct Donors {
    Donor items[KEPT_PER_SITE]; /* best first */
    size_t n;
} Donors;

static void keep(Donors *d, Donor new)
{
    size_t at = d->n;

    while (at > 0 && d->items[at - 1].weight < new.weight)
        at--;
    if (at == KEPT_PER_SITE)
        return;
    if (d->n < KEPT_PER_SITE)
        d->n++;
    memmove(&d->items[at + 1], &d->items[at], (d->n - 1 - at) * sizeof(new));
    d->items[at] = new;
}

static bool can_give(const Site *donor)
{
    const Statement *s = site_statement(donor);

    if (s->n > DONOR_TOKENS_MAX || ops_begins_clause(donor) || ops_clause_follows(donor) || s->function == NONE)
        return false;
    if (s->kind == STATEMENT_SIMPLE)
        return true;
    return s->kind == STATEMENT_HEADER && donor->file->language == LANGUAGE_PYTHON && s->end > donor->at + 1 &&
           ops_block_last(donor->file, donor->at) - s->first < BLOCK_LINES_MAX;
}

/* How alike two statements are in their place, 0 to 1. */
static double alike(const Statement *a, const Statement *b)
{
    return a->exact == b->exact                         ? 1
           : a->shape == b->shape                       ? 0.85
           : a->head == b->head && a->n > 3 && b->n > 3 ? 0.5
                                                        : 0;
}

static double alike_at(const File *f, uint32_t a, const File *g, uint32_t b)
{
    return a == NONE || b == NONE ? 0 : alike(&f->statements[a], &g->statements[b]);
}

static double nearness(const Site *site, const Site *donor)
{
    const Statement *s = site_statement(site), *d = site_statement(donor);

    if (donor->file != site->file)
        return 0.5;
    if (s->function == d->function)
        return 0.8;
    if (s->function != NONE && d->function != NONE &&
        site->file->functions[s->function].class == site->file->functions[d->function].class)
        return 1;
    return 0.75;
}

/* ---- names ---- */

static Symbol translate(const Site *site, const Donor *d, Symbol name)
{
    const File *f = d->file, *g = site->file;
    const Statement *s = site_statement(site);
    uint32_t function = f->statements[d->at].function;

    if (d->theirs != NONE && d->ours != NONE) {
        const Statement *theirs = &f->statements[d->theirs], *ours = &g->statements[d->ours];

        for (uint32_t i = 0; i < theirs->n && i < ours->n; i++)
            if (statement_tokens(f, theirs)[i].symbol == name && statement_tokens(g, ours)[i].kind == TOKEN_NAME)
                return statement_tokens(g, ours)[i].symbol;
    }
    if (function == NONE || s->function == NONE)
        return 0;
    for (size_t i = 0; i < f->functions[function].n_parameters && i < g->functions[s->function].n_parameters; i++)
        if (f->functions[function].parameters[i] == name)
            return g->functions[s->function].parameters[i];
    return 0;
}

/* The donor's lines with the indentation and, if wanted, the names of the site. NULL in *ret: it cannot be said there. */
static int adapt(const Site *site, const Donor *d, uint32_t indent, bool all_names, char **ret)
{
    Search *s = site->search;
    const Statement *donor = &d->file->statements[d->at];
    uint32_t last = donor->kind == STATEMENT_HEADER ? ops_block_last(d->file, d->at) : donor->last;
    char *text = ops_indented(s, d->file, donor->first, last, donor->indent, indent);
    _cleanup_(strbuf_done) StrBuf b = {};
    Tokens tokens;
    size_t at = 0;
    int r;

    *ret = NULL;
    if (!text)
        return -ENOMEM;
    r = lex(s->arena, s->symbols, d->file->language, text, strlen(text), &tokens);
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    for (size_t i = 0; i < tokens.n; i++) {
        const Token *t = &tokens.items[i];
        const File view = {.language = d->file->language, .text = text};
        Symbol other;

        if (!token_is_identifier(&view, t) || (i > 0 && token_is(&view, t - 1, ".")) || token_is(&view, t, "self"))
            continue;
        if (!scope_is_local(d->file, d->at, t->symbol) || (!all_names && scope_sees(site->file, site->at, t->symbol)))
            continue;
        other = translate(site, d, t->symbol);
        if (!other || other == t->symbol)
            continue;
        strbuf_add(&b, text + at, t->start - at);
        strbuf_adds(&b, symbol_text(s->symbols, other));
        at = t->end;
    }
    strbuf_adds(&b, text + at);
    if (b.failed)
        return -ENOMEM;
    *ret = arena_copy(s->arena, b.data ? b.data : "", b.len);
    return *ret ? 0 : -ENOMEM;
}

/* ---- a step that is missing ---- */

static bool function_has(const File *f, uint32_t function, const Statement *wanted)
{
    const Function *fn = &f->functions[function];

    for (uint32_t i = fn->header + 1; i < fn->end; i++)
        if (f->statements[i].shape == wanted->shape)
            return true;
    return false;
}

/* The statement of `f`'s function that corresponds to `other`: the one nearest to `near`. */
static uint32_t counterpart(const File *f, uint32_t function, const Statement *other, uint32_t near, double *ret_alike)
{
    const Function *fn = &f->functions[function];
    uint32_t best = NONE;

    *ret_alike = 0;
    for (uint32_t i = fn->header + 1; i < fn->end; i++) {
        double a = alike(&f->statements[i], other);

        if (a > *ret_alike || (a > 0 && a >= *ret_alike && best != NONE &&
                               (i > near ? i - near : near - i) < (best > near ? best - near : near - best))) {
            *ret_alike = a;
            best = i;
        }
    }
    return best;
}

/* The share of a function's statements that have a counterpart in the other. */
static double kinship(const File *f, uint32_t function, const File *g, uint32_t other)
{
    const Function *fn = &f->functions[function];
    unsigned found = 0;
    double a;

    for (uint32_t i = fn->header + 1; i < fn->end; i++)
        found += counterpart(g, other, &f->statements[i], i, &a) != NONE;
    return fn->end > fn->header + 1 ? (double) found / (fn->end - fn->header - 1) : 0;
}

/* Whether the place behind `site` lies where the donor lies among what both functions do. */
static void missing_step(const Site *site, const Site *donor, Donors *kept)
{
    const Statement *s = site_statement(site), *d = site_statement(donor);
    const Function *theirs = &donor->file->functions[d->function];
    uint32_t before = NONE, behind = NONE, before_theirs = NONE, behind_theirs = NONE;
    double alike_before = 0, alike_behind = 0, weight;

    for (uint32_t i = donor->at; i-- > theirs->header + 1 && before == NONE;) {
        before = counterpart(site->file, s->function, &donor->file->statements[i], site->at, &alike_before);
        before_theirs = i;
    }
    for (uint32_t i = d->end; i < theirs->end && behind == NONE; i++) {
        behind = counterpart(site->file, s->function, &donor->file->statements[i], site->at, &alike_behind);
        behind_theirs = i;
    }
    if ((before == NONE && behind == NONE) || (before != NONE && site->at < before) ||
        (behind != NONE && site->at >= behind))
        return;
    weight = (alike_before + alike_behind) / 2 * nearness(site, donor) *
             MIN(1.0, 0.2 + 1.2 * kinship(site->file, s->function, donor->file, d->function));
    /* right beside what it stands beside there */
    if (before == site->at && before_theirs == d->previous)
        weight *= 1.5;
    if (behind == s->next && behind != NONE && behind_theirs == d->next)
        weight *= 1.3;
    keep(kept, (Donor){.file = donor->file,
                       .at = donor->at,
                       .theirs = before != NONE ? before_theirs : behind_theirs,
                       .ours = before != NONE ? before : behind,
                       .weight = weight,
                       .op = OPERATOR_SIBLING});
}

/* Statements that stand elsewhere between the same neighbours; or, with little hope, any of the same function or class. */
static void beside(const Site *site, const Site *donor, Donors *kept)
{
    const Statement *s = site_statement(site), *d = site_statement(donor);
    double before = alike_at(site->file, site->at, donor->file, d->previous),
           behind = alike_at(site->file, s->next, donor->file, d->next);
    double near = nearness(site, donor);

    if (before + behind > 0)
        keep(kept, (Donor){.file = donor->file,
                           .at = donor->at,
                           .theirs = before > 0 ? d->previous : d->next,
                           .ours = before > 0 ? site->at : s->next,
                           .weight = (before + behind) / 2 * near,
                           .op = OPERATOR_SIBLING});
    else if (near >= 0.8 && d->kind == STATEMENT_SIMPLE)
        keep(kept, (Donor){.file = donor->file,
                           .at = donor->at,
                           .theirs = NONE,
                           .ours = NONE,
                           .weight = 0.1 * near,
                           .op = OPERATOR_INSERT});
}

/* ---- similar statements ---- */

static double similarity(const Site *a, const Site *b)
{
    const Statement *s = site_statement(a), *t = site_statement(b);
    const Token *x = site_tokens(a), *y = site_tokens(b);
    bool used[DONOR_TOKENS_MAX] = {};
    unsigned common = 0;

    if (s->n > DONOR_TOKENS_MAX || t->n > DONOR_TOKENS_MAX)
        return 0;
    for (uint32_t i = 0; i < s->n; i++)
        for (uint32_t k = 0; k < t->n; k++)
            if (!used[k] && x[i].symbol == y[k].symbol) {
                used[k] = true;
                common++;
                break;
            }
    return 2.0 * common / (s->n + t->n);
}

static void resemble(const Site *site, const Site *donor, Donors *kept)
{
    const Statement *s = site_statement(site), *d = site_statement(donor);
    double between, similar, weight;

    if (s->kind != d->kind || s->exact == d->exact ||
        __builtin_popcountll(s->bag & d->bag) * 3 < __builtin_popcountll(s->bag | d->bag))
        return;
    similar = similarity(site, donor);
    between = (alike_at(site->file, s->previous, donor->file, d->previous) +
               alike_at(site->file, s->next, donor->file, d->next)) /
              2;
    weight = (similar * similar + between * 0.6) * nearness(site, donor);
    if (similar >= 0.5)
        keep(kept, (Donor){.file = donor->file,
                           .at = donor->at,
                           .theirs = donor->at,
                           .ours = site->at,
                           .weight = weight,
                           .op = OPERATOR_RESEMBLE});
}

/* ---- */

/* A variable that nothing reads afterwards, or a way out in front of other statements. */
static bool is_pointless(const Site *site, const char *text)
{
    const File *f = site->file;
    const Statement *s = site_statement(site);
    size_t n;

    text += strspn(text, " \t");
    n = strcspn(text, " \t(=.[");
    if (s->next != NONE && ((n == 6 && memcmp(text, "return", n) == 0) ||
                            (n == 5 && (memcmp(text, "raise", n) == 0 || memcmp(text, "break", n) == 0)) ||
                            (n == 8 && memcmp(text, "continue", n) == 0)))
        return true;
    if (strncmp(text + n, " = ", 3) != 0)
        return false;
    for (uint32_t i = s->end; i < f->functions[s->function].end; i++)
        for (uint32_t k = 0; k < f->statements[i].n; k++) {
            const Token *t = statement_tokens(f, &f->statements[i]) + k;

            if (t->end - t->start == n && memcmp(f->text + t->start, text, n) == 0)
                return false;
        }
    return true;
}

static int propose(const Site *site, const Donor *d)
{
    const Statement *s = site_statement(site);
    bool replace = d->op == OPERATOR_RESEMBLE;
    uint32_t first = replace ? s->first : ops_block_last(site->file, site->at) + 1,
             n = replace ? s->last - s->first + 1 : 0;

    for (unsigned all = 0; all < 2; all++) {
        char *text;
        int r = adapt(site, d, s->indent, all == 0, &text);

        if (r < 0 || !text)
            return r;
        if (!replace && is_pointless(site, text))
            continue;
        r = candidate_lines(site, first, n, text, d->op, all == 0 ? d->weight : d->weight * 0.8);
        if (r < 0)
            return r;
    }
    return 0;
}

int ops_reuse(const Site *site)
{
    const Tree *tree = site->search->tree;
    const Statement *s = site_statement(site);
    bool place = s->kind <= STATEMENT_HEADER && !ops_clause_follows(site) &&
                 !EXPR_IS_ONE_OF(site, 0, "return", "raise", "break", "continue");
    Donors inserted = {}, replaced = {};
    int r = 0;

    if (s->function == NONE || s->kind == STATEMENT_FUNCTION)
        return 0;
    for (size_t f = 0; f < tree->n_files; f++)
        for (uint32_t i = 0; i < tree->files[f].n_statements; i++) {
            const Site donor = {.search = site->search, .file = &tree->files[f], .at = i};

            if ((donor.file == site->file && (i == site->at || i == s->next)) || !can_give(&donor))
                continue;
            if (place) {
                const Statement *d = site_statement(&donor);

                beside(site, &donor, &inserted);
                if (donor.file == site->file && d->function != s->function && !function_has(site->file, s->function, d))
                    missing_step(site, &donor, &inserted);
            }
            if (s->kind == STATEMENT_SIMPLE)
                resemble(site, &donor, &replaced);
        }
    for (size_t i = 0; i < inserted.n && r >= 0; i++)
        r = propose(site, &inserted.items[i]);
    for (size_t i = 0; i < replaced.n && r >= 0; i++)
        r = propose(site, &replaced.items[i]);
    return r;
}
