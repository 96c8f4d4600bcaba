/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/ops.h"

#include <ctype.h>

#include "evolve/coder/search/scope.h"

#define LOCALS_MAX 16
#define MEMBERS_MAX 16

static unsigned uses_in_function(const Site *site, Symbol name)
{
    const File *f = site->file;
    uint32_t function = site_statement(site)->function, from = 0, to = (uint32_t) f->n_statements;
    unsigned n = 0;

    if (function != NONE) {
        from = f->functions[function].header;
        to = f->functions[function].end;
    }
    for (uint32_t i = from; i < to; i++) {
        const Token *t = statement_tokens(f, &f->statements[i]);

        for (uint32_t k = 0; k < f->statements[i].n; k++)
            n += t[k].symbol == name && !(k > 0 && token_is(f, &t[k - 1], "."));
    }
    return n;
}

bool ops_is_idle(const Site *site, Symbol name)
{
    return uses_in_function(site, name) <= 1;
}

static size_t add_term(const char **ret, bool *ret_idle, size_t n, size_t max, const char *text, bool idle)
{
    for (size_t i = 0; i < n; i++)
        if (streq(ret[i], text))
            return n;
    if (n < max) {
        ret[n] = text;
        ret_idle[n++] = idle;
    }
    return n;
}

size_t ops_terms(const Site *site, const char **ret, bool *ret_idle, size_t max)
{
    const File *f = site->file;
    uint32_t function = site_statement(site)->function;
    Symbol locals[LOCALS_MAX];
    size_t n = 0, n_locals = scope_locals(f, site->at, locals, LOCALS_MAX);

    for (size_t i = 0; i < n_locals; i++)
        n = add_term(ret, ret_idle, n, max, symbol_text(site->search->symbols, locals[i]),
                     ops_is_idle(site, locals[i]));
    for (uint32_t i = function == NONE ? 0 : f->functions[function].header;
         function != NONE && i < f->functions[function].end; i++) {
        const Site other = {.search = site->search, .file = f, .at = i};

        for (uint32_t k = 0; k + 2 < site_statement(&other)->n; k++) {
            const Token *t = &site_tokens(&other)[k];
            char *text;

            if (!token_is_identifier(f, t) || !token_is(f, t + 1, ".") ||
                (k > 0 && EXPR_IS_ONE_OF(&other, k - 1, ".", ")", "]")) ||
                EXPR_IS_ONE_OF(&other, k + 3, "(", ".", "=", "["))
                continue;
            text = site_text(&other, k, k + 3);
            if (text)
                n = add_term(ret, ret_idle, n, max, text, false);
        }
    }
    return n;
}

/* The token is the target of an assignment, or names a loop's variable: another name there is rarely what is meant. */
static bool is_target(const Site *site, uint32_t i)
{
    for (uint32_t k = i + 1; k < site_statement(site)->n; k++) {
        if (EXPR_IS_ONE_OF(site, k, "=", ":="))
            return true;
        if (site_tokens(site)[k].kind != TOKEN_NAME && !expr_is(site, k, ",") && !expr_is(site, k, "."))
            return false;
    }
    return i > 0 && EXPR_IS_ONE_OF(site, i - 1, "as", "for");
}

static int other_terms(const Site *site, uint32_t i, const char **terms, const bool *idle, size_t n)
{
    uint32_t end = i + 1;
    double weight = is_target(site, i) ? 0.3 : 1;
    int r = 0;

    /* a chain such as a.b is replaced as a whole, one of a.b.c or a.b() in part by the attribute operators */
    while (end + 1 < site_statement(site)->n && expr_is(site, end, ".") &&
           site_tokens(site)[end + 1].kind == TOKEN_NAME)
        end += 2;
    if (expr_is(site, end, "(") || (end > i + 3 && !expr_is(site, i, "self")))
        end = i + 1;
    if (expr_is(site, i, "self") && end == i + 1)
        return 0;
    if (expr_is(site, end, "(")) /* other functions are tried by name */
        return 0;
    for (size_t k = 0; k < n && r >= 0; k++) {
        bool chain = strchr(terms[k], '.') != NULL, like = chain == (end > i + 1);

        r = candidate_replace(site, i, end, terms[k], OPERATOR_NAME, weight * (idle[k] ? 2 : like ? 1 : 0.6));
        if (r >= 0 && end > i + 1 && !expr_is(site, i, "self"))
            r = candidate_replace(site, i, i + 1, terms[k], OPERATOR_NAME, weight * (chain ? 0.2 : 0.5));
    }
    return r;
}

static bool is_constant(const char *name)
{
    size_t n = 0;

    for (; *name; name++, n++)
        if (islower((unsigned char) *name))
            return false;
    return n > 1;
}

/* Constants and functions of the module for one another. */
static int other_globals(const Site *site, uint32_t i)
{
    const File *f = site->file;
    const Token *t = &site_tokens(site)[i];
    const char *own = symbol_text(site->search->symbols, t->symbol);
    bool call = expr_is(site, i + 1, "("), constant = is_constant(own);
    int r = 0;

    if (t->kind == TOKEN_NUMBER)
        constant = true;
    else if (scope_is_local(f, site->at, t->symbol) || !scope_sees(f, site->at, t->symbol))
        return 0;
    for (size_t k = 0; k < f->n_bindings && r >= 0; k++) {
        const Binding *b = &f->bindings[k];
        const Statement *bound = &f->statements[b->statement];
        const char *name = symbol_text(site->search->symbols, b->name);
        bool is_function = bound->kind == STATEMENT_FUNCTION;

        if (b->function != NONE || bound->parent != NONE || b->name == t->symbol ||
            (k > 0 && f->bindings[k - 1].name == b->name))
            continue;
        if (call ? is_function || ((bound->kind == STATEMENT_CLASS || bound->kind == STATEMENT_IMPORT) &&
                                   !isupper((unsigned char) *name) == !isupper((unsigned char) *own))
                 : constant && is_constant(name))
            r = candidate_replace(site, i, i + 1, name, OPERATOR_NAME,
                                  tree_occurs(site->search->tree, b->name) <= 1 ? 1.5 : 0.5);
    }
    return r;
}

/* The same other name wherever the function uses this one. */
static int everywhere(const Site *site, uint32_t i, const char **terms, size_t n)
{
    const File *f = site->file;
    const Function *fn = &f->functions[site_statement(site)->function];
    Symbol name = site_tokens(site)[i].symbol;
    int r = 0;

    for (size_t k = 0; k < n && r >= 0; k++) {
        Edit edits[EDITS_MAX];
        uint32_t n_edits = 0;

        for (uint32_t at = fn->header + 1; at < fn->end && n_edits <= EDITS_MAX; at++) {
            const Site other = {.search = site->search, .file = f, .at = at};
            const Statement *s = site_statement(&other);
            Change changes[4];
            size_t n_changes = 0;

            for (uint32_t q = 0; q < s->n && n_changes < ARRAY_SIZE(changes); q++)
                if (site_tokens(&other)[q].symbol == name && expr_is_variable(&other, q))
                    changes[n_changes++] = (Change){q, q + 1, terms[k]};
            if (n_changes == 0)
                continue;
            if (n_edits < EDITS_MAX) {
                edits[n_edits] = (Edit){.file = f,
                                        .first = s->first,
                                        .n = s->last - s->first + 1,
                                        .text = change_text(&other, changes, n_changes)};
                if (!edits[n_edits].text)
                    return -ENOMEM;
            }
            n_edits++;
        }
        if (n_edits >= 2 && n_edits <= EDITS_MAX)
            r = candidate_edits(site, edits, n_edits, OPERATOR_NAMES, 0.8);
    }
    return r;
}

/* Whether a function of that name, if the tree has one, can be given so many arguments. */
static bool takes(const Tree *tree, Symbol name, size_t n_arguments)
{
    bool defined = false;

    for (size_t i = 0; i < tree->n_files; i++)
        for (size_t k = 0; k < tree->files[i].n_functions; k++) {
            const File *f = &tree->files[i];
            const Function *fn = &f->functions[k];
            const Statement *s = &f->statements[fn->header];
            size_t optional = fn->class ? 1 : 0;

            if (fn->name != name)
                continue;
            for (uint32_t t = 0; t < s->n; t++)
                optional +=
                    token_is(f, statement_tokens(f, s) + t, "=") || token_is(f, statement_tokens(f, s) + t, "*");
            if (n_arguments <= fn->n_parameters && n_arguments + optional >= fn->n_parameters)
                return true;
            defined = true;
        }
    return !defined;
}

/* Attributes that the tree takes of the same thing. */
static int members(const Site *site, uint32_t i)
{
    const Tree *tree = site->search->tree;
    const Token *t = site_tokens(site);
    bool call = expr_is(site, i + 1, "(");
    Symbol seen[MEMBERS_MAX];
    Range arguments[16];
    size_t n = 0, n_arguments = call ? expr_elements(site, i + 1, arguments, ARRAY_SIZE(arguments)) : 0;
    int r = 0;

    if (i < 2 || !expr_is(site, i - 1, ".") || t[i].kind != TOKEN_NAME)
        return 0;
    for (size_t f = 0; f < tree->n_files; f++) {
        const Tokens *other = &tree->files[f].tokens;

        for (size_t k = 2; k < other->n && n < MEMBERS_MAX && r >= 0; k++) {
            bool known = other->items[k].symbol == t[i].symbol, other_call;

            if (other->items[k - 2].symbol != t[i - 2].symbol || other->items[k - 1].symbol != t[i - 1].symbol ||
                other->items[k].kind != TOKEN_NAME)
                continue;
            for (size_t q = 0; q < n; q++)
                known |= seen[q] == other->items[k].symbol;
            if (known)
                continue;
            seen[n++] = other->items[k].symbol;
            other_call = k + 1 < other->n && token_is(&tree->files[f], &other->items[k + 1], "(");
            if (call == other_call && (!call || takes(tree, other->items[k].symbol, n_arguments)))
                r = candidate_replace(site, i, i + 1, symbol_text(site->search->symbols, other->items[k].symbol),
                                      call ? OPERATOR_METHOD : OPERATOR_ATTRIBUTE, 1);
        }
    }
    return r;
}

/* Methods and functions that everybody's library has, for their likes. */
static int relatives(const Site *site, uint32_t i)
{
    static const char *const families[][7] = {
        {"append", "extend", "insert", "add", "update"},
        {"get", "pop", "setdefault"},
        {"pop", "popleft", "popitem"},
        {"add", "discard", "remove"},
        {"strip", "lstrip", "rstrip"},
        {"startswith", "endswith"},
        {"removeprefix", "removesuffix"},
        {"keys", "values", "items"},
        {"find", "rfind", "index"},
        {"split", "rsplit", "splitlines"},
        {"partition", "rpartition"},
        {"lower", "upper", "title"},
        {"min", "max"},
        {"any", "all"},
        {"sorted", "reversed", "list", "set", "tuple"},
        {"int", "float", "round", "str"},
        {"push", "unshift", "concat"},
        {"shift", "pop"},
        {"slice", "splice"},
        {"floor", "ceil", "round"},
        {"match", "fullmatch", "search"},
        {"union", "intersection", "difference"},
    };
    int r = 0;

    if (!expr_is(site, i + 1, "("))
        return 0;
    for (size_t k = 0; k < ARRAY_SIZE(families); k++) {
        bool member = false;

        for (size_t m = 0; m < ARRAY_SIZE(families[k]) && families[k][m]; m++)
            member |= expr_is(site, i, families[k][m]);
        for (size_t m = 0; member && m < ARRAY_SIZE(families[k]) && families[k][m] && r >= 0; m++)
            r = candidate_replace(site, i, i + 1, families[k][m], OPERATOR_METHOD, 0.7);
    }
    return r;
}

/* insert(i, x) for append(x) and back; x[k] for x.get(k): what differs in more than its name. */
static int rephrased(const Site *site, uint32_t i)
{
    Arena *arena = site->search->arena;
    Range arguments[4];
    uint32_t close;
    size_t n;

    if (i < 2 || !expr_is(site, i - 1, ".") || !expr_is(site, i + 1, "(") ||
        (close = expr_partner(site, i + 1)) == NONE)
        return 0;
    n = expr_elements(site, i + 1, arguments, ARRAY_SIZE(arguments));
    if (n == 2 && expr_is(site, i, "insert"))
        return candidate_replace(site, i, close,
                                 arena_printf(arena, "append(%s", site_text(site, arguments[1].from, arguments[1].to)),
                                 OPERATOR_METHOD, 1);
    if (n == 1 && expr_is(site, i, "append"))
        return candidate_replace(site, i, close, arena_printf(arena, "insert(0, %s", site_text(site, i + 2, close)),
                                 OPERATOR_METHOD, 0.6);
    if (n >= 1 && EXPR_IS_ONE_OF(site, i, "get", "setdefault"))
        return candidate_replace(site, i - 1, close + 1,
                                 arena_printf(arena, "[%s]", site_text(site, arguments[0].from, arguments[0].to)),
                                 OPERATOR_METHOD, 0.6);
    return 0;
}

/* What is set to a value anew each time, where it may have to be added to. */
static int accumulate(const Site *site)
{
    static const char *const adding[] = {"extend", "append", "update", "add"};
    Arena *arena = site->search->arena;
    const Statement *s = site_statement(site);
    uint32_t target = expr_primary_end(site, 0), open;
    char *left, *value;
    int r = 0;

    if (s->kind != STATEMENT_SIMPLE || target == 0 || !expr_is(site, target, "=") || target + 1 >= s->n ||
        site->file->language != LANGUAGE_PYTHON)
        return 0;
    r = candidate_replace(site, target, target + 1, "+=", OPERATOR_ARITHMETIC, target == 1 ? 0.4 : 0.6);
    if (r < 0 || target == 1)
        return r;
    left = site_text(site, 0, target);
    value = site_text(site, target + 1, s->n);
    if (!left || !value)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_SIZE(adding) && r >= 0; i++)
        r = candidate_replace(site, 0, s->n, arena_printf(arena, "%s.%s(%s)", left, adding[i], value), OPERATOR_METHOD,
                              i == 0 ? 0.7 : 0.5);
    open = site_tokens(site)[target - 1].partner - s->token;
    if (r < 0 || !expr_is(site, target - 1, "]") || !expr_is(site, target + 1, "[") ||
        expr_partner(site, target + 1) != s->n - 1)
        return r;
    return candidate_replace(site, 0, s->n,
                             arena_printf(arena, "%s.setdefault(%s, []).append(%s)", site_text(site, 0, open),
                                          site_text(site, open + 1, target - 1), site_text(site, target + 2, s->n - 1)),
                             OPERATOR_METHOD, 0.8);
}

int ops_name(const Site *site)
{
    const Statement *s = site_statement(site);
    const char *terms[OPS_TERMS_MAX];
    bool idle[OPS_TERMS_MAX];
    size_t n = s->function == NONE || s->kind == STATEMENT_FUNCTION ? 0 : ops_terms(site, terms, idle, OPS_TERMS_MAX);
    int r = 0;

    for (uint32_t i = 0; i < s->n && r >= 0 && s->kind != STATEMENT_FUNCTION; i++) {
        const Token *t = &site_tokens(site)[i];

        if (t->kind == TOKEN_NUMBER) {
            r = other_globals(site, i);
            continue;
        }
        r = members(site, i);
        if (r >= 0)
            r = relatives(site, i);
        if (r >= 0)
            r = rephrased(site, i);
        if (r < 0 || !expr_is_variable(site, i))
            continue;
        r = other_terms(site, i, terms, idle, n);
        if (r >= 0)
            r = other_globals(site, i);
        if (r >= 0 && n > 0 && s->kind == STATEMENT_SIMPLE && scope_is_local(site->file, site->at, t->symbol))
            r = everywhere(site, i, terms, n);
    }
    return r < 0 ? r : accumulate(site);
}
