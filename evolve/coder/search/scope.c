/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/scope.h"

static int bind(Arena *arena, File *f, Symbol name, uint32_t statement, uint32_t function, bool local)
{
    Binding b = {.name = name, .statement = statement, .function = function, .local_to_statement = local};

    if (!ARENA_GROW(arena, f->bindings, f->n_bindings, f->bindings_size))
        return -ENOMEM;
    f->bindings[f->n_bindings++] = b;
    return 0;
}

/* A name of its own: no attribute, no call, no keyword argument's. */
static bool stands_alone(const File *f, const Statement *s, uint32_t i)
{
    const Token *t = statement_tokens(f, s);

    if (!token_is_identifier(f, &t[i]) || (i > 0 && token_is(f, &t[i - 1], ".")))
        return false;
    return i + 1 >= s->n ||
           (!token_is(f, &t[i + 1], ".") && !token_is(f, &t[i + 1], "(") && !token_is(f, &t[i + 1], "["));
}

static int bind_range(Arena *arena, File *f, uint32_t at, uint32_t a, uint32_t b, bool local)
{
    Statement *s = &f->statements[at];

    for (uint32_t i = a; i < b; i++)
        if (stands_alone(f, s, i)) {
            int r = bind(arena, f, statement_tokens(f, s)[i].symbol, at, s->function, local);

            if (r < 0)
                return r;
        }
    return 0;
}

/* The token at which the names behind `for`, `lambda`, … end. */
static uint32_t until(const File *f, const Statement *s, uint32_t i, const char *const *ends, size_t n)
{
    const Token *t = statement_tokens(f, s);

    for (; i < s->n; i++)
        for (size_t k = 0; k < n; k++)
            if (token_is(f, &t[i], ends[k]))
                return i;
    return s->n;
}

static int bind_words(Arena *arena, File *f, uint32_t at, uint32_t i, size_t depth)
{
    static const char *const loop_ends[] = {"in", "of", "=", ":=", ";"}, *const lambda_ends[] = {":"};
    const Statement *s = &f->statements[at];
    const Token *t = statement_tokens(f, s);

    if (token_is(f, &t[i], "for"))
        return bind_range(arena, f, at, i + 1, until(f, s, i, loop_ends, ARRAY_SIZE(loop_ends)),
                          depth > 0 && f->language == LANGUAGE_PYTHON);
    if (token_is(f, &t[i], "lambda"))
        return bind_range(arena, f, at, i + 1, until(f, s, i, lambda_ends, 1), true);
    if (token_is(f, &t[i], "as") && i + 1 < s->n)
        return bind_range(arena, f, at, i + 1, i + 2, false);
    if (token_is(f, &t[i], "=>") && i > 0)
        return bind_range(arena, f, at,
                          t[i - 1].partner != NO_PARTNER && t[i - 1].partner >= s->token ? t[i - 1].partner - s->token
                                                                                         : i - 1,
                          i, true);
    if (token_is(f, &t[i], "catch"))
        return bind_range(arena, f, at, i + 1, s->n, false);
    if (token_is(f, &t[i], ":=") && i > 0 && f->language == LANGUAGE_PYTHON)
        return bind_range(arena, f, at, i - 1, i, false);
    /* `int x;`: two names side by side */
    if (f->language == LANGUAGE_BRACES && i > 0 && token_is_identifier(f, &t[i]) && t[i - 1].kind == TOKEN_NAME &&
        s->kind == STATEMENT_SIMPLE && !token_is(f, &t[i - 1], "return"))
        return bind_range(arena, f, at, i, i + 1, false);
    return 0;
}

static int bind_statement(Arena *arena, File *f, uint32_t at)
{
    const Statement *s = &f->statements[at];
    const Token *t = statement_tokens(f, s);
    size_t depth = 0;

    if (s->kind == STATEMENT_IMPORT)
        return bind_range(arena, f, at, 0, s->n, false);
    if (s->kind == STATEMENT_CLASS && s->n > 1)
        return bind(arena, f, t[1].symbol, at, s->function, false);
    if (s->kind == STATEMENT_FUNCTION) {
        const Function *fn = &f->functions[s->function];
        int r = bind(arena, f, fn->name, at, fn->parent, false);

        for (size_t i = 0; i < fn->n_parameters && r >= 0; i++)
            r = bind(arena, f, fn->parameters[i], at, s->function, false);
        return r;
    }
    for (uint32_t i = 0, from = 0; i < s->n; i++) {
        int r = 0;

        if (t[i].kind == TOKEN_OPEN)
            depth++;
        else if (t[i].kind == TOKEN_CLOSE && depth > 0)
            depth--;
        if (depth == 0 && (token_is(f, &t[i], "=") || (token_is(f, &t[i], ":=") && f->language == LANGUAGE_BRACES))) {
            r = bind_range(arena, f, at, from, i, false);
            from = i + 1;
        } else {
            r = bind_words(arena, f, at, i, depth);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const Binding *x = a, *y = b;

    return x->name != y->name             ? (x->name < y->name ? -1 : 1)
           : x->statement != y->statement ? (x->statement < y->statement ? -1 : 1)
                                          : 0;
}

int source_bind(Arena *arena, File *f)
{
    for (uint32_t i = 0; i < f->n_statements; i++) {
        int r = bind_statement(arena, f, i);

        if (r < 0)
            return r;
    }
    if (f->n_bindings > 0)
        qsort(f->bindings, f->n_bindings, sizeof(*f->bindings), by_name);
    return 0;
}

static size_t first_binding(const File *f, Symbol name)
{
    size_t low = 0, high = f->n_bindings;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (f->bindings[middle].name < name)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Whether the binding's scope is one around statement `at`. */
static bool encloses(const File *f, const Binding *b, uint32_t at)
{
    const Statement *bound = &f->statements[b->statement];

    if (b->local_to_statement)
        return b->statement == at;
    if (b->function == NONE) /* a class body's names are not those of its methods */
        return bound->parent == NONE || f->statements[bound->parent].kind != STATEMENT_CLASS ||
               bound->parent == f->statements[at].parent;
    for (uint32_t fn = f->statements[at].function; fn != NONE; fn = f->functions[fn].parent)
        if (fn == b->function)
            return true;
    return false;
}

bool scope_sees(const File *f, uint32_t at, Symbol name)
{
    for (size_t i = first_binding(f, name); i < f->n_bindings && f->bindings[i].name == name; i++) {
        const Binding *b = &f->bindings[i];

        if (!encloses(f, b, at))
            continue;
        if (b->function == NONE || b->function != f->statements[at].function || b->statement <= at)
            return true;
    }
    return false;
}

bool scope_is_local(const File *f, uint32_t at, Symbol name)
{
    for (size_t i = first_binding(f, name); i < f->n_bindings && f->bindings[i].name == name; i++)
        if (f->bindings[i].function != NONE && encloses(f, &f->bindings[i], at))
            return true;
    return false;
}

static bool is_plain(const File *f, const Binding *b)
{
    const Statement *s = &f->statements[b->statement];
    const Token *t = statement_tokens(f, s);

    for (uint32_t i = 0; i < s->n; i++)
        if (t[i].symbol == b->name)
            return !token_is(f, &t[i], "self") && !token_is(f, &t[i], "cls") && !token_is(f, &t[i], "this") &&
                   !token_is(f, &t[i], "_");
    return false;
}

static int by_statement(const void *a, const void *b)
{
    const Binding *x = a, *y = b;

    return x->statement != y->statement ? (x->statement < y->statement ? -1 : 1)
           : x->name < y->name          ? -1
                                        : x->name > y->name;
}

size_t scope_locals(const File *f, uint32_t at, Symbol *ret, size_t max)
{
    Binding found[64];
    size_t n = 0, out = 0;
    uint32_t function = f->statements[at].function;

    for (size_t i = 0; i < f->n_bindings && n < ARRAY_SIZE(found); i++) {
        const Binding *b = &f->bindings[i];

        if (b->function == function && encloses(f, b, at) && (function == NONE || b->statement <= at) &&
            f->statements[b->statement].kind != STATEMENT_IMPORT && is_plain(f, b) &&
            (n == 0 || found[n - 1].name != b->name))
            found[n++] = *b;
    }
    if (n > 0)
        qsort(found, n, sizeof(*found), by_statement);
    for (size_t i = 0; i < n && out < max; i++)
        ret[out++] = found[i].name;
    return out;
}

bool scope_is_needed(const File *f, uint32_t at)
{
    const Statement *s = &f->statements[at];
    uint32_t end = s->function == NONE ? (uint32_t) f->n_statements : f->functions[s->function].end;

    for (size_t i = 0; i < f->n_bindings; i++) {
        const Binding *b = &f->bindings[i];
        bool earlier = false;

        if (b->statement != at || b->local_to_statement)
            continue;
        for (size_t k = first_binding(f, b->name); k < f->n_bindings && f->bindings[k].name == b->name; k++)
            earlier |= f->bindings[k].statement < at && f->bindings[k].function == b->function;
        if (earlier)
            continue;
        for (uint32_t later = s->end; later < end; later++) {
            const Token *t = statement_tokens(f, &f->statements[later]);

            for (uint32_t k = 0; k < f->statements[later].n; k++)
                if (t[k].symbol == b->name && !(k > 0 && token_is(f, &t[k - 1], ".")))
                    return true;
        }
    }
    return false;
}
