/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/lex.h"

#include <ctype.h>

#define DEPTH_MAX 200

typedef struct Lexer {
    Arena *arena;
    Symbols *symbols;
    Language language;
    const char *text;
    size_t len, at;
    uint32_t line;
    Tokens tokens;
    uint32_t open[DEPTH_MAX]; /* indexes of the OPEN tokens we are inside of */
    size_t depth;
} Lexer;

Language language_of(const char *path)
{
    static const char *const braces[] = {".js", ".mjs", ".cjs", ".ts",  ".go", ".java",
                                         ".c",  ".h",   ".cc",  ".cpp", ".cs", ".kt"};

    if (endswith(path, ".py"))
        return LANGUAGE_PYTHON;
    for (size_t i = 0; i < ARRAY_SIZE(braces); i++)
        if (endswith(path, braces[i]))
            return LANGUAGE_BRACES;
    return LANGUAGE_NONE;
}

bool word_is_keyword(Language language, const char *word)
{
    static const char *const python[] = {"and",      "as",     "assert", "async",    "await", "break",  "class",
                                         "continue", "def",    "del",    "elif",     "else",  "except", "False",
                                         "finally",  "for",    "from",   "global",   "if",    "import", "in",
                                         "is",       "lambda", "None",   "nonlocal", "not",   "or",     "pass",
                                         "raise",    "return", "True",   "try",      "while", "with",   "yield"};
    static const char *const braces[] = {
        "async",   "await",      "break",  "case",      "catch",    "class",  "const",   "continue",
        "default", "defer",      "delete", "do",        "else",     "export", "extends", "false",
        "final",   "finally",    "for",    "func",      "function", "go",     "if",      "import",
        "in",      "instanceof", "let",    "new",       "nil",      "null",   "of",      "package",
        "private", "public",     "range",  "return",    "static",   "struct", "switch",  "throw",
        "true",    "try",        "typeof", "undefined", "var",      "void",   "while",   "yield"};
    const char *const *list = language == LANGUAGE_PYTHON ? python : braces;
    size_t n = language == LANGUAGE_PYTHON ? ARRAY_SIZE(python) : ARRAY_SIZE(braces);

    for (size_t i = 0; i < n; i++)
        if (streq(list[i], word))
            return true;
    return false;
}

static char peek(const Lexer *l, size_t ahead)
{
    return l->at + ahead < l->len ? l->text[l->at + ahead] : '\0';
}

static bool name_char(char c)
{
    return isalnum((unsigned char) c) || c == '_' || c == '$' || (unsigned char) c >= 0x80;
}

static bool closes(char open, char close)
{
    return (open == '(' && close == ')') || (open == '[' && close == ']') || (open == '{' && strchr("}:!", close));
}

static int add(Lexer *l, TokenKind kind, size_t start, uint32_t line)
{
    Token t = {.kind = kind, .start = (uint32_t) start, .end = (uint32_t) l->at, .line = line, .partner = NO_PARTNER};
    uint32_t index = (uint32_t) l->tokens.n;

    t.symbol = symbol_of(l->symbols, l->text + start, l->at - start);
    if (t.symbol == 0 || !ARENA_GROW(l->arena, l->tokens.items, l->tokens.n, l->tokens.size))
        return -ENOMEM;
    if (kind == TOKEN_OPEN) {
        if (l->depth == DEPTH_MAX)
            return -EINVAL;
        l->open[l->depth++] = index;
    } else if (kind == TOKEN_CLOSE) {
        if (l->depth > 0) {
            t.partner = l->open[--l->depth];
            if (!closes(l->text[l->tokens.items[t.partner].end - 1], l->text[start]))
                return -EINVAL;
            l->tokens.items[t.partner].partner = index;
        } else {
            l->tokens.unmatched = hash64(l->tokens.unmatched, l->text + start, 1);
        }
    }
    l->tokens.items[l->tokens.n++] = t;
    return 0;
}

/* Over `n` characters, counting lines. */
static void skip(Lexer *l, size_t n)
{
    while (n-- > 0 && l->at < l->len)
        if (l->text[l->at++] == '\n')
            l->line++;
}

static bool at_text(const Lexer *l, const char *s)
{
    size_t n = strlen(s);

    return l->len - l->at >= n && memcmp(l->text + l->at, s, n) == 0;
}

static int lex_one(Lexer *l);

/* The expression inside an interpolated string; stops in front of what ends it. */
static int lex_interpolated(Lexer *l)
{
    size_t depth = l->depth;

    for (;;) {
        int r;

        while (isspace((unsigned char) peek(l, 0)))
            skip(l, 1);
        if (l->at >= l->len)
            return -EINVAL;
        if (l->depth == depth) {
            char c = peek(l, 0);

            if (c == '}' || (l->language == LANGUAGE_PYTHON && (c == ':' || (c == '!' && peek(l, 1) != '='))))
                return 0;
        } else if (l->depth < depth) {
            return -EINVAL;
        }
        r = lex_one(l);
        if (r < 0)
            return r;
    }
}

/* A string from its opening quote on; `start` is where its prefix began. */
static int lex_string(Lexer *l, size_t start, bool interpolated, bool raw)
{
    char quote = peek(l, 0);
    char close[4] = {quote};
    uint32_t line = l->line;
    TokenKind kind = TOKEN_STRING;
    bool multiline = quote == '`', in_spec = false;

    if (l->language == LANGUAGE_PYTHON && peek(l, 1) == quote && peek(l, 2) == quote) {
        close[1] = close[2] = quote;
        multiline = true;
    }
    skip(l, strlen(close));
    while (l->at < l->len) {
        char c = peek(l, 0);

        if (at_text(l, close)) {
            skip(l, strlen(close));
            return add(l, kind == TOKEN_STRING ? kind : TOKEN_CLOSE, start, line);
        }
        if (c == '\n' && !multiline)
            return -EINVAL;
        if (c == '\\' && (!raw || peek(l, 1) == quote || peek(l, 1) == '\\')) {
            skip(l, 2);
        } else if (interpolated && l->language == LANGUAGE_PYTHON && !in_spec &&
                   (at_text(l, "{{") || at_text(l, "}}"))) {
            skip(l, 2);
        } else if (interpolated && (l->language == LANGUAGE_PYTHON ? c == '{' : at_text(l, "${"))) {
            int r;

            skip(l, c == '{' ? 1 : 2);
            r = add(l, kind == TOKEN_STRING ? TOKEN_OPEN : TOKEN_MIDDLE, start, line);
            if (r >= 0)
                r = lex_interpolated(l);
            if (r < 0)
                return r;
            kind = TOKEN_MIDDLE;
            start = l->at;
            line = l->line;
            in_spec = peek(l, 0) != '}';
            skip(l, 1);
        } else {
            if (in_spec && c == '}')
                in_spec = false;
            skip(l, 1);
        }
    }
    return -EINVAL;
}

static int lex_word(Lexer *l)
{
    size_t start = l->at;
    bool number = isdigit((unsigned char) peek(l, 0)), interpolated = false, raw = false;

    while (name_char(peek(l, 0)) || (number && peek(l, 0) == '.' && isdigit((unsigned char) peek(l, 1))))
        l->at++;
    if (l->language == LANGUAGE_PYTHON && (peek(l, 0) == '"' || peek(l, 0) == '\'') && l->at - start <= 2) {
        for (size_t i = start; i < l->at; i++) {
            char c = (char) tolower((unsigned char) l->text[i]);

            if (!strchr("rbfu", c))
                return add(l, TOKEN_NAME, start, l->line);
            interpolated |= c == 'f';
            raw |= c == 'r';
        }
        return lex_string(l, start, interpolated, raw);
    }
    return add(l, number ? TOKEN_NUMBER : TOKEN_NAME, start, l->line);
}

/* Whether a slash here begins a pattern: where a value cannot have ended, and its end is on the same line. */
static bool at_pattern(const Lexer *l)
{
    const Token *last = l->tokens.n ? &l->tokens.items[l->tokens.n - 1] : NULL;

    if (l->language != LANGUAGE_BRACES || (last && last->kind != TOKEN_OP && last->kind != TOKEN_OPEN))
        return false;
    for (size_t i = l->at + 1; i < l->len && l->text[i] != '\n'; i++) {
        if (l->text[i] == '\\')
            i++;
        else if (l->text[i] == '/')
            return true;
    }
    return false;
}

static int lex_pattern(Lexer *l)
{
    size_t start = l->at;

    skip(l, 1);
    while (l->at < l->len && peek(l, 0) != '/')
        skip(l, peek(l, 0) == '\\' ? 2 : 1);
    skip(l, 1);
    while (name_char(peek(l, 0)))
        skip(l, 1);
    return add(l, TOKEN_STRING, start, l->line);
}

static int lex_operator(Lexer *l)
{
    static const char *const long_ones[] = {
        "===", "!==", "**=", "//=", ">>=", "<<=", "...", "&&", "||", "==", "!=", "<=", ">=", "->", "=>", "+=",
        "-=",  "*=",  "/=",  "%=",  "|=",  "&=",  "**",  "//", "<<", ">>", ":=", "++", "--", "??", "?.", "::"};
    size_t start = l->at;
    char c = peek(l, 0);

    for (size_t i = 0; i < ARRAY_SIZE(long_ones); i++)
        if (at_text(l, long_ones[i])) {
            skip(l, strlen(long_ones[i]));
            return add(l, TOKEN_OP, start, l->line);
        }
    skip(l, 1);
    return add(l, strchr("([{", c) ? TOKEN_OPEN : strchr(")]}", c) ? TOKEN_CLOSE : TOKEN_OP, start, l->line);
}

/* Over one comment, if there is one here. */
static int skip_comment(Lexer *l, bool *ret_skipped)
{
    *ret_skipped = true;
    if (l->language == LANGUAGE_PYTHON ? peek(l, 0) == '#' : at_text(l, "//")) {
        while (l->at < l->len && peek(l, 0) != '\n')
            skip(l, 1);
        return 0;
    }
    if (l->language == LANGUAGE_BRACES && at_text(l, "/*")) {
        while (l->at < l->len && !at_text(l, "*/"))
            skip(l, 1);
        if (l->at >= l->len)
            return -EINVAL;
        skip(l, 2);
        return 0;
    }
    *ret_skipped = false;
    return 0;
}

static int lex_one(Lexer *l)
{
    char c = peek(l, 0);
    bool skipped;
    int r;

    r = skip_comment(l, &skipped);
    if (r < 0 || skipped)
        return r;
    if (c == '"' || c == '\'' || (c == '`' && l->language == LANGUAGE_BRACES))
        return lex_string(l, l->at, c == '`', false);
    if (c == '/' && at_pattern(l))
        return lex_pattern(l);
    if (name_char(c))
        return lex_word(l);
    return lex_operator(l);
}

int lex(Arena *arena, Symbols *symbols, Language language, const char *text, size_t len, Tokens *ret)
{
    Lexer l = {.arena = arena, .symbols = symbols, .language = language, .text = text, .len = len};

    if (len > UINT32_MAX / 2)
        return -E2BIG;
    while (l.at < l.len) {
        int r;

        if (isspace((unsigned char) peek(&l, 0)) || (peek(&l, 0) == '\\' && peek(&l, 1) == '\n')) {
            skip(&l, 1);
            continue;
        }
        r = lex_one(&l);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < l.depth; i++)
        l.tokens.unmatched = hash64_number(l.tokens.unmatched, (uint64_t) text[l.tokens.items[l.open[i]].start]);
    *ret = l.tokens;
    return 0;
}
