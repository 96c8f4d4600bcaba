/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/ops.h"

#include "evolve/coder/search/scope.h"

#define ELEMENTS_MAX 12
#define NEW_MAX 16

typedef struct Group {
    uint32_t open, close;
    Range elements[ELEMENTS_MAX];
    size_t n;
    bool call;  /* arguments, else a list, tuple or map */
    bool names; /* nothing but names: an order that somebody chose */
    bool merge; /* of maps or lists: the last one wins */
} Group;

static bool group_at(const Site *site, uint32_t open, Group *ret)
{
    const Token *t = site_tokens(site);
    Group g = {.open = open, .close = expr_partner(site, open)};

    if (g.close == NONE || t[open].kind != TOKEN_OPEN || t[open].end - t[open].start != 1)
        return false;
    g.call = expr_is(site, open, "(") && expr_is_attached(site, open);
    if (expr_is(site, open, "[") && expr_is_attached(site, open) && !expr_is(site, open + 2, ","))
        return false;
    g.n = expr_elements(site, open, g.elements, ELEMENTS_MAX);
    g.names = g.n >= 2 && !g.call;
    for (size_t i = 0; i < g.n; i++) {
        g.names &=
            g.elements[i].to == g.elements[i].from + 1 && token_is_identifier(site->file, &t[g.elements[i].from]);
        g.merge |= EXPR_IS_ONE_OF(site, g.elements[i].from, "**", "...");
    }
    *ret = g;
    return true;
}

/* Element `from` moves to place `to`, those in between make room. */
static int move(const Site *site, const Group *g, size_t from, size_t to, double weight)
{
    Change changes[ELEMENTS_MAX];
    size_t low = MIN(from, to), high = MAX(from, to);

    for (size_t i = low; i <= high; i++) {
        size_t source = i == to ? from : from < to ? i + 1 : i - 1;
        const Range *r = &g->elements[source];

        changes[i - low] = (Change){g->elements[i].from, g->elements[i].to, site_text(site, r->from, r->to)};
        if (!changes[i - low].text)
            return -ENOMEM;
    }
    return candidate_change(site, changes, high - low + 1, OPERATOR_ORDER, weight);
}

static int reorder(const Site *site, const Group *g)
{
    double weight = g->merge ? 1.3 : g->names ? 1.0 : g->call ? 0.5 : 0.3;

    if (g->n == ELEMENTS_MAX || site_statement(site)->kind == STATEMENT_FUNCTION)
        return 0;
    for (size_t i = 0; i + 1 < g->n; i++) {
        int r = move(site, g, i, i + 1, weight);

        for (size_t k = i + 2; k < g->n && r >= 0 && !g->call; k++) {
            r = move(site, g, i, k, weight * 0.8);
            if (r >= 0)
                r = move(site, g, k, i, weight * 0.8);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int drop(const Site *site, const Group *g)
{
    if (site_statement(site)->kind == STATEMENT_FUNCTION)
        return 0;
    for (size_t i = 0; i < g->n; i++) {
        uint32_t from = i > 0 ? g->elements[i - 1].to : g->elements[i].from, to = g->elements[i].to;
        int r;

        if (i == 0 && g->n > 1)
            to = g->elements[1].from;
        r = candidate_replace(site, from, to, "", OPERATOR_ELEMENT, g->call ? 0.6 : g->n > 1 ? 0.5 : 0.2);
        if (r < 0)
            return r;
    }
    return 0;
}

static int insert(const Site *site, const Group *g, size_t at, const char *text, double weight)
{
    Arena *arena = site->search->arena;

    if (g->n == 0)
        return candidate_replace(site, g->close, g->close, text, OPERATOR_ELEMENT, weight);
    if (at == g->n)
        return candidate_replace(site, g->elements[at - 1].to, g->elements[at - 1].to,
                                 arena_printf(arena, ", %s", text), OPERATOR_ELEMENT, weight);
    text = arena_printf(arena, "%s, %s", text, site_text(site, g->elements[at].from, g->elements[at].to));
    return candidate_replace(site, g->elements[at].from, g->elements[at].to, text, OPERATOR_ELEMENT, weight);
}

static bool contains(const Site *site, const Group *g, const char *text)
{
    for (uint32_t i = g->open + 1; i < g->close; i++)
        if (expr_is(site, i, text))
            return true;
    return false;
}

static const Function *function_named(const File *f, Symbol name)
{
    for (size_t i = 0; i < f->n_functions; i++)
        if (f->functions[i].name == name && f->functions[i].parent == NONE && f->functions[i].class == 0)
            return &f->functions[i];
    return NULL;
}

/* A function that fits in a list of functions: the parameters have the same names. */
static int add_functions(const Site *site, const Group *g)
{
    const File *f = site->file;
    const Function *like = g->names ? function_named(f, site_tokens(site)[g->elements[0].from].symbol) : NULL;
    int r = 0;

    for (size_t i = 0; like && i < f->n_functions && r >= 0; i++) {
        const Function *fn = &f->functions[i];
        const char *name = symbol_text(site->search->symbols, fn->name);

        if (fn->parent != NONE || fn->class || fn->n_parameters != like->n_parameters || contains(site, g, name) ||
            (fn->n_parameters &&
             memcmp(fn->parameters, like->parameters, fn->n_parameters * sizeof(*fn->parameters)) != 0))
            continue;
        for (size_t at = 0; at <= g->n && r >= 0; at++)
            r = insert(site, g, at, name, tree_occurs(site->search->tree, fn->name) <= 1 ? 3 : 0.8);
    }
    return r;
}

/* Keys made of several values: one more. */
static int add_terms(const Site *site, const Group *g)
{
    const char *terms[OPS_TERMS_MAX];
    bool idle[OPS_TERMS_MAX];
    size_t n;
    int r = 0;

    if (g->call || !expr_is(site, g->open, "(") || site_statement(site)->function == NONE ||
        site_statement(site)->kind != STATEMENT_SIMPLE)
        return 0;
    n = ops_terms(site, terms, idle, OPS_TERMS_MAX);
    for (size_t i = 0; i < n && r >= 0; i++) {
        if (contains(site, g, terms[i]))
            continue;
        r = insert(site, g, g->n, terms[i], idle[i] ? 2 : 0.5);
        if (r >= 0)
            r = insert(site, g, 0, terms[i], idle[i] ? 1.5 : 0.3);
    }
    return r;
}

/* What other calls of the same function are given, and this one is not. */
static int add_arguments(const Site *site, const Group *g)
{
    const Tree *tree = site->search->tree;
    const Token *callee = g->open > 0 ? &site_tokens(site)[g->open - 1] : NULL;
    const char *seen[NEW_MAX];
    size_t n_seen = 0;
    int r = 0;

    if (!g->call || callee->kind != TOKEN_NAME || site_statement(site)->kind == STATEMENT_FUNCTION)
        return 0;
    for (size_t f = 0; f < tree->n_files; f++)
        for (uint32_t i = 0; i < tree->files[f].n_statements; i++) {
            const Site other = {.search = site->search, .file = &tree->files[f], .at = i};
            const Statement *s = site_statement(&other);

            for (uint32_t k = 0; k + 1 < s->n && s->kind != STATEMENT_FUNCTION; k++) {
                Group theirs;

                if (site_tokens(&other)[k].symbol != callee->symbol || !expr_is(&other, k + 1, "(") ||
                    !group_at(&other, k + 1, &theirs))
                    continue;
                for (size_t e = 0; e < theirs.n && n_seen < NEW_MAX && r >= 0; e++) {
                    bool by_name = expr_is(&other, theirs.elements[e].from + 1, "=");
                    char *text = site_text(&other, theirs.elements[e].from, theirs.elements[e].to);
                    bool known = false;

                    if (!text)
                        return -ENOMEM;
                    for (size_t q = 0; q < n_seen; q++)
                        known |= streq(seen[q], text);
                    if (known || (by_name ? contains(site, g,
                                                     symbol_text(site->search->symbols,
                                                                 site_tokens(&other)[theirs.elements[e].from].symbol))
                                          : e < g->n))
                        continue;
                    seen[n_seen++] = text;
                    r = insert(site, g, g->n, text, 1.2);
                }
            }
        }
    return r;
}

/* The definition of what is called: a function, or a class by its __init__. */
static const Statement *definition_of(const Tree *tree, Symbol callee, const File **ret_file)
{
    for (size_t i = 0; i < tree->n_files; i++)
        for (size_t k = 0; k < tree->files[i].n_functions; k++) {
            const Function *fn = &tree->files[i].functions[k];

            if (fn->name != callee && !(fn->class == callee && streq(symbol_text(tree->symbols, fn->name), "__init__")))
                continue;
            *ret_file = &tree->files[i];
            return &tree->files[i].statements[fn->header];
        }
    return NULL;
}

/* Switches and values that the called function takes and that this call leaves at their default. */
static int add_parameters(const Site *site, const Group *g)
{
    static const char *const turned[][2] = {{"False", "True"}, {"True", "False"}, {"None", "True"}};
    const Symbol callee = g->open > 0 ? site_tokens(site)[g->open - 1].symbol : 0;
    const File *f = NULL;
    const Statement *s = g->call && site_statement(site)->kind != STATEMENT_FUNCTION
                             ? definition_of(site->search->tree, callee, &f)
                             : NULL;
    const Token *t = s ? statement_tokens(f, s) : NULL;
    int r = 0;

    for (uint32_t i = 1; s && f->language == LANGUAGE_PYTHON && i + 1 < s->n && r >= 0; i++) {
        const char *name = symbol_text(site->search->symbols, t[i - 1].symbol);

        if (!token_is(f, &t[i], "=") || contains(site, g, name))
            continue;
        for (size_t k = 0; k < ARRAY_SIZE(turned) && r >= 0; k++)
            if (token_is(f, &t[i + 1], turned[k][0]))
                r = insert(site, g, g->n, arena_printf(site->search->arena, "%s=%s", name, turned[k][1]), 1);
        if (r >= 0 && scope_is_local(site->file, site->at, t[i - 1].symbol))
            r = insert(site, g, g->n, arena_printf(site->search->arena, "%s=%s", name, name), 1.5);
    }
    return r;
}

int ops_element(const Site *site)
{
    const Statement *s = site_statement(site);
    int r = 0;

    for (uint32_t i = 0; i < s->n && r >= 0; i++) {
        Group g;

        if (site_tokens(site)[i].kind != TOKEN_OPEN || !group_at(site, i, &g))
            continue;
        r = reorder(site, &g);
        if (r >= 0)
            r = drop(site, &g);
        if (r >= 0)
            r = add_functions(site, &g);
        if (r >= 0)
            r = add_terms(site, &g);
        if (r >= 0)
            r = add_arguments(site, &g);
        if (r >= 0)
            r = add_parameters(site, &g);
    }
    return r;
}
