/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/ops.h"

#include "evolve/coder/search/scope.h"

/* f(x) becomes x, x.m(…) becomes x. */
static int take_off(const Site *site, uint32_t open)
{
    static const char *const plain[] = {"reversed", "sorted", "list",  "set", "tuple", "dict",
                                        "str",      "int",    "round", "abs", "iter"};
    Range arguments[4];
    uint32_t close = expr_partner(site, open), start;
    size_t n;
    char *text;
    double weight = 0.5;

    if (!expr_is(site, open, "(") || !expr_is_attached(site, open) || close == NONE ||
        site_statement(site)->kind == STATEMENT_FUNCTION)
        return 0;
    start = expr_primary_start(site, close + 1);
    n = expr_elements(site, open, arguments, ARRAY_SIZE(arguments));
    if (start == close + 1 || open < 1)
        return 0;
    if (n >= 1 && start == open - 1) {
        for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
            if (expr_is(site, start, plain[i]))
                weight = 1;
        text = site_text(site, arguments[0].from, arguments[0].to);
        return candidate_replace(site, start, close + 1, text, OPERATOR_CALL, n == 1 ? weight : weight * 0.6);
    }
    if (open >= 3 && expr_is(site, open - 2, ".") && !(start == open - 3 && expr_is(site, start, "self")))
        return candidate_replace(site, open - 2, close + 1, "", OPERATOR_CALL, n == 0 ? 0.7 : 0.4);
    if (n == 1 && start == open - 3) { /* self.f(x), module.f(x) */
        text = site_text(site, arguments[0].from, arguments[0].to);
        return candidate_replace(site, start, close + 1, text, OPERATOR_CALL, 0.6);
    }
    return 0;
}

static int wrap(const Site *site, Range v, const char *function, Symbol symbol, double weight)
{
    Search *s = site->search;
    const char *text = site_text(site, v.from, v.to);
    Symbol first = site_tokens(site)[v.from].symbol;

    if (!text)
        return -ENOMEM;
    if (symbol && tree_follows(s->tree, symbol, symbol_of(s->symbols, "(", 1), first) > 0)
        weight *= 2.5;
    return candidate_replace(site, v.from, v.to, arena_printf(s->arena, "%s(%s)", function, text), OPERATOR_CALL,
                             weight);
}

/* A function that nothing calls: around the value, or as the key it is sorted by. */
static int use_idle(const Site *site, Range v, const char *function)
{
    char *text = site_text(site, v.from, v.to);
    int r =
        candidate_replace(site, v.from, v.to, text ? arena_printf(site->search->arena, "%s(%s)", function, text) : NULL,
                          OPERATOR_CALL, 1.5);

    if (r < 0 || v.from == 0 || !expr_is(site, v.from - 1, "in"))
        return r;
    return candidate_replace(site, v.from, v.to,
                             arena_printf(site->search->arena, "sorted(%s, key=%s)", text, function), OPERATOR_CALL,
                             1.5);
}

static int put_function_around(const Site *site, Range v, const File *f, const Function *fn)
{
    const char *name = symbol_text(site->search->symbols, fn->name);
    uint32_t function = site_statement(site)->function;
    bool idle = tree_occurs(site->search->tree, fn->name) <= 1;

    if (startswith(name, "__"))
        return 0;
    if (fn->parent == NONE && !fn->class && fn->n_parameters == 1 && scope_sees(site->file, site->at, fn->name))
        return idle ? use_idle(site, v, name) : wrap(site, v, name, fn->name, 0.4);
    if (idle && fn->class && fn->n_parameters <= 2 && function != NONE && f == site->file &&
        fn->class == site->file->functions[function].class)
        return use_idle(site, v, arena_printf(site->search->arena, "self.%s", name));
    return 0;
}

/* Functions of one parameter that the module has or gets from elsewhere, and common ones. */
static int put_around(const Site *site)
{
    static const char *const common[] = {"list", "dict", "sorted", "reversed", "str", "int", "len"};
    const Tree *tree = site->search->tree;
    Range values[16];
    size_t n = expr_values(site, values, ARRAY_SIZE(values));
    int r = 0;

    if (site->file->language != LANGUAGE_PYTHON || site_statement(site)->kind == STATEMENT_FUNCTION)
        return 0;
    for (size_t v = 0; v < n && r >= 0; v++) {
        if (site_tokens(site)[values[v].from].kind == TOKEN_STRING ||
            site_tokens(site)[values[v].from].kind == TOKEN_NUMBER)
            continue;
        for (size_t i = 0; i < ARRAY_SIZE(common) && r >= 0; i++)
            r = wrap(site, values[v], common[i], symbol(site->search->symbols, common[i]), i < 2 ? 0.35 : 0.25);
        for (size_t f = 0; f < tree->n_files && r >= 0; f++)
            for (size_t k = 0; k < tree->files[f].n_functions && r >= 0; k++)
                r = put_function_around(site, values[v], &tree->files[f], &tree->files[f].functions[k]);
    }
    return r;
}

/* ---- one shared object becomes one each ---- */

static const char *fresh_copy(const Site *site, uint32_t i)
{
    return expr_is(site, i, "[") ? "list" : expr_is(site, i, "{") ? "dict" : expr_is(site, i, "set") ? "set" : NULL;
}

/* The class body's own list or map: made anew in __init__. */
static int own_attribute(const Site *site)
{
    const File *f = site->file;
    const Statement *s = site_statement(site);
    const char *value;

    if (s->parent == NONE || f->statements[s->parent].kind != STATEMENT_CLASS || s->n < 4 || !expr_is(site, 1, "=") ||
        (!fresh_copy(site, 2) && !expr_is(site, s->n - 1, ")")))
        return 0;
    value = site_text(site, 0, s->n);
    for (uint32_t i = s->parent + 1; i < f->statements[s->parent].end; i++) {
        const Statement *header = &f->statements[i];
        Edit edits[2];
        int r;

        if (header->kind != STATEMENT_FUNCTION ||
            !streq(symbol_text(site->search->symbols, f->functions[header->function].name), "__init__"))
            continue;
        edits[0] = (Edit){.file = f, .first = header->last + 1, .n = 0};
        edits[0].text = value && i + 1 < f->n_statements ? arena_printf(site->search->arena, "%*sself.%s",
                                                                        (int) f->statements[i + 1].indent, "", value)
                                                         : NULL;
        if (!edits[0].text)
            return -ENOMEM;
        edits[1] = (Edit){.file = f, .first = s->first, .n = s->last - s->first + 1};
        r = candidate_edits(site, edits, 1, OPERATOR_OWN, 1.2);
        return r < 0 ? r : candidate_edits(site, edits, 2, OPERATOR_OWN, 0.8);
    }
    return 0;
}

/* A parameter's default that is a list or a map lives as long as the function: a copy at its start. */
static int own_default(const Site *site)
{
    const File *f = site->file;
    const Statement *s = site_statement(site);

    if (s->kind != STATEMENT_FUNCTION || f->language != LANGUAGE_PYTHON || site->at + 1 >= f->n_statements)
        return 0;
    for (uint32_t i = 1; i + 1 < s->n; i++) {
        const char *copy = expr_is(site, i, "=") ? fresh_copy(site, i + 1) : NULL, *name;
        char *text;
        int r;

        if (!copy)
            continue;
        name = site_text(site, i - 1, i);
        text = name ? arena_printf(site->search->arena, "%*s%s = %s(%s)", (int) f->statements[site->at + 1].indent, "",
                                   name, copy, name)
                    : NULL;
        if (!text)
            return -ENOMEM;
        r = candidate_lines(site, s->last + 1, 0, text, OPERATOR_OWN, 1);
        if (r < 0)
            return r;
    }
    return 0;
}

/* self.x = something shared: a new list or map instead, or its copy. */
static int own_value(const Site *site)
{
    static const char *const values[] = {"[]", "{}", "set()"};
    const Statement *s = site_statement(site);
    int r = 0;

    if (s->kind != STATEMENT_SIMPLE || !expr_is(site, 0, "self") || !expr_is(site, 3, "=") ||
        expr_primary_end(site, 4) != s->n || site_tokens(site)[s->n - 1].kind == TOKEN_CLOSE)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(values) && r >= 0; i++)
        r = candidate_replace(site, 4, s->n, values[i], OPERATOR_OWN, s->n > 5 ? 0.7 : 0.4);
    return r;
}

int ops_call(const Site *site)
{
    const Statement *s = site_statement(site);
    int r = 0;

    for (uint32_t i = 0; i < s->n && r >= 0; i++)
        if (site_tokens(site)[i].kind == TOKEN_OPEN)
            r = take_off(site, i);
    if (r >= 0)
        r = put_around(site);
    if (r >= 0)
        r = own_attribute(site);
    if (r >= 0)
        r = own_default(site);
    return r < 0 ? r : own_value(site);
}
