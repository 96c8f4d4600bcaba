/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/source.h"

#define TAB 8
#define NESTING_MAX 200
#define HEAD_TOKENS 4

bool token_is_identifier(const File *f, const Token *t)
{
    char word[64];
    size_t n = t->end - t->start;

    if (t->kind != TOKEN_NAME)
        return false;
    if (n >= sizeof(word))
        return true;
    memcpy(word, f->text + t->start, n);
    word[n] = '\0';
    return !word_is_keyword(f->language, word);
}

char *source_lines(Arena *arena, const File *f, uint32_t first, uint32_t last)
{
    size_t start = f->lines[first], end = f->lines[last + 1];

    while (end > start && (f->text[end - 1] == '\n' || f->text[end - 1] == '\r'))
        end--;
    return arena_copy(arena, f->text + start, end - start);
}

static int find_lines(Arena *arena, File *f)
{
    for (size_t at = 0; at <= f->len; at++) {
        if (at > 0 && at < f->len && f->text[at - 1] != '\n')
            continue;
        if (!ARENA_GROW(arena, f->lines, f->n_lines, f->lines_size))
            return -ENOMEM;
        f->lines[f->n_lines++] = (uint32_t) at;
    }
    f->n_lines--; /* the last entry is the end */
    return 0;
}

static uint32_t indent_of(const File *f, uint32_t line)
{
    uint32_t columns = 0;

    for (size_t i = f->lines[line]; i < f->len; i++) {
        if (f->text[i] == ' ')
            columns++;
        else if (f->text[i] == '\t')
            columns += TAB;
        else
            break;
    }
    return columns;
}

/* Whether an open bracket joins the lines inside it to one statement. */
static bool joins(const File *f, const Token *open)
{
    return f->language == LANGUAGE_PYTHON || !token_is(f, open, "{");
}

/* The line on which the token ends. */
static uint32_t last_line(const File *f, const Token *t)
{
    uint32_t line = t->line;

    while (line + 1 < f->n_lines && f->lines[line + 1] < t->end)
        line++;
    return line;
}

static bool first_word_is(const File *f, const Statement *s, const char *const *words, size_t n)
{
    const Token *t = statement_tokens(f, s);

    for (size_t i = 0; i < n; i++)
        if (token_is(f, t, words[i]) || (s->n > 1 && token_is(f, t, "async") && token_is(f, t + 1, words[i])))
            return true;
    return false;
}

static bool looks_like_function(const File *f, const Statement *s)
{
    static const char *const others[] = {"if", "for", "while", "switch", "catch", "with",  "else",
                                         "do", "try", "class", "struct", "enum",  "return"};
    const Token *t = statement_tokens(f, s);

    if (f->language == LANGUAGE_PYTHON)
        return first_word_is(f, s, (const char *const[]){"def"}, 1);
    if (first_word_is(f, s, others, ARRAY_SIZE(others)) || !token_is(f, t + s->n - 1, "{") || t->kind == TOKEN_CLOSE)
        return false;
    for (uint32_t i = 0; i + 1 < s->n; i++)
        if (token_is_identifier(f, &t[i]) && token_is(f, &t[i + 1], "("))
            return true;
    return false;
}

static StatementKind kind_of(const File *f, const Statement *s)
{
    const Token *t = statement_tokens(f, s), *last = t + s->n - 1;

    if (t->kind == TOKEN_CLOSE)
        return token_is(f, last, "{") ? STATEMENT_HEADER : STATEMENT_CLOSER;
    if (token_is(f, t, "@"))
        return STATEMENT_DECORATOR;
    if (first_word_is(f, s, (const char *const[]){"import", "from", "package", "#"}, 4))
        return STATEMENT_IMPORT;
    if (first_word_is(f, s, (const char *const[]){"class"}, 1))
        return STATEMENT_CLASS;
    if (looks_like_function(f, s))
        return STATEMENT_FUNCTION;
    if (s->n == 1 && t->kind == TOKEN_STRING)
        return STATEMENT_TEXT;
    if (token_is(f, last, f->language == LANGUAGE_PYTHON ? ":" : "{"))
        return STATEMENT_HEADER;
    return STATEMENT_SIMPLE;
}

/* A backslash joins the next line to this one. */
static bool continued(const File *f, uint32_t line)
{
    size_t end = f->lines[line + 1];

    return f->language == LANGUAGE_PYTHON && end >= 2 && f->text[end - 1] == '\n' && f->text[end - 2] == '\\';
}

static int find_statements(Arena *arena, File *f)
{
    const Token *t = f->tokens.items;

    for (size_t i = 0; i < f->tokens.n;) {
        Statement s = {.token = (uint32_t) i,
                       .first = t[i].line,
                       .parent = NONE,
                       .previous = NONE,
                       .next = NONE,
                       .function = NONE};
        size_t depth = 0;

        s.last = s.first;
        for (;
             i < f->tokens.n && (t[i].line <= s.last || depth > 0 || t[i].kind == TOKEN_MIDDLE || continued(f, s.last));
             i++) {
            if (t[i].kind == TOKEN_OPEN && joins(f, &t[i]))
                depth++;
            else if (t[i].kind == TOKEN_CLOSE && t[i].partner != NO_PARTNER && t[i].partner >= s.token &&
                     joins(f, &t[t[i].partner]) && depth > 0)
                depth--;
            s.last = MAX(s.last, last_line(f, &t[i]));
        }
        s.n = (uint32_t) i - s.token;
        s.indent = indent_of(f, s.first);
        s.kind = kind_of(f, &s);
        if (!ARENA_GROW(arena, f->statements, f->n_statements, f->statements_size))
            return -ENOMEM;
        f->statements[f->n_statements++] = s;
    }
    return 0;
}

/* Parents, neighbours and ends, from the indentation. */
static int nest(File *f)
{
    uint32_t open[NESTING_MAX];
    size_t depth = 0;

    for (uint32_t i = 0; i < f->n_statements; i++) {
        Statement *s = &f->statements[i];

        s->end = i + 1;
        while (depth > 0 && f->statements[open[depth - 1]].indent > s->indent)
            depth--;
        if (depth > 0 && f->statements[open[depth - 1]].indent == s->indent) {
            s->previous = open[--depth];
            f->statements[s->previous].next = i;
        }
        if (depth > 0)
            s->parent = open[depth - 1];
        if (depth == NESTING_MAX)
            return -EINVAL;
        open[depth++] = i;
        for (size_t k = 0; k + 1 < depth; k++)
            f->statements[open[k]].end = i + 1;
    }
    return 0;
}

/* The names between the parentheses behind the function's own. */
static int find_parameters(Arena *arena, const File *f, const Statement *s, Function *fn)
{
    const Token *t = statement_tokens(f, s);
    uint32_t i = f->language == LANGUAGE_PYTHON ? 1 : 0, end;
    size_t size = 0;
    bool wanted = true;

    while (i + 1 < s->n && !(token_is_identifier(f, &t[i]) && token_is(f, &t[i + 1], "(")))
        i++;
    if (i + 1 >= s->n || t[i + 1].partner == NO_PARTNER)
        return 0;
    fn->name = t[i].symbol;
    fn->initialises = token_is(f, &t[i], "__init__") || token_is(f, &t[i], "constructor");
    end = t[i + 1].partner - s->token;
    for (i += 2; i < end && i < s->n; i++) {
        if (token_is_identifier(f, &t[i]) && (wanted || f->language != LANGUAGE_PYTHON)) {
            if (!ARENA_GROW(arena, fn->parameters, fn->n_parameters, size))
                return -ENOMEM;
            fn->parameters[fn->n_parameters++] = t[i].symbol;
            wanted = false;
        } else if (token_is(f, &t[i], ",")) {
            wanted = true;
        } else if (t[i].kind == TOKEN_OPEN && t[i].partner != NO_PARTNER) {
            i = t[i].partner - s->token;
        }
    }
    return 0;
}

static int find_functions(Arena *arena, File *f)
{
    for (uint32_t i = 0; i < f->n_statements; i++) {
        Statement *s = &f->statements[i];
        Function fn = {.header = i, .end = s->end, .parent = NONE};
        int r;

        if (s->parent != NONE)
            s->function = f->statements[s->parent].function;
        if (s->kind != STATEMENT_FUNCTION)
            continue;
        fn.parent = s->function;
        if (s->parent != NONE && f->statements[s->parent].kind == STATEMENT_CLASS && f->statements[s->parent].n > 1)
            fn.class = statement_tokens(f, &f->statements[s->parent])[1].symbol;
        r = find_parameters(arena, f, s, &fn);
        if (r < 0)
            return r;
        if (!ARENA_GROW(arena, f->functions, f->n_functions, f->functions_size))
            return -ENOMEM;
        s->function = (uint32_t) f->n_functions;
        f->functions[f->n_functions++] = fn;
    }
    return 0;
}

static void hash_statements(File *f)
{
    for (uint32_t i = 0; i < f->n_statements; i++) {
        Statement *s = &f->statements[i];
        const Token *t = statement_tokens(f, s);

        s->exact = s->shape = s->head = HASH64_START;
        for (uint32_t k = 0; k < s->n; k++) {
            bool plain = token_is_identifier(f, &t[k]) && !(k > 0 && token_is(f, &t[k - 1], ".")) &&
                         !(k + 1 < s->n && token_is(f, &t[k + 1], "("));

            s->exact = hash64_number(s->exact, t[k].symbol);
            s->bag |= UINT64_C(1) << (t[k].symbol * 0x9e3779b1U >> 26);
            s->shape = hash64_number(
                s->shape, plain && !token_is(f, &t[k], "self") && !token_is(f, &t[k], "this") ? 0 : t[k].symbol);
            if (k < HEAD_TOKENS)
                s->head = s->shape;
        }
    }
}

int source_read(Arena *arena, Symbols *symbols, const char *path, const char *text, size_t len, File *ret)
{
    File f = {.path = path, .language = language_of(path), .text = text, .len = len};
    int r;

    if (f.language == LANGUAGE_NONE)
        return -EINVAL;
    r = lex(arena, symbols, f.language, text, len, &f.tokens);
    if (r < 0)
        return r;
    if (f.tokens.unmatched)
        return -EINVAL;
    r = find_lines(arena, &f);
    if (r >= 0)
        r = find_statements(arena, &f);
    if (r >= 0)
        r = nest(&f);
    if (r >= 0)
        r = find_functions(arena, &f);
    if (r >= 0)
        r = source_bind(arena, &f);
    if (r < 0)
        return r;
    hash_statements(&f);
    *ret = f;
    return 0;
}
