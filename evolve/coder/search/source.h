/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SEARCH_SOURCE_H
#define MOSS_SEARCH_SOURCE_H

/* One source file: its lines, its statements and how they nest.
 *
 * A statement is a logical line: whole physical lines, joined while parentheses or square brackets are open (in Python braces too). Nesting is
 * read off the indentation, which holds for Python by rule and for brace languages by habit. What is read wrong costs a useless
 * candidate, never a broken file: every edit replaces whole lines and keeps the brackets even. */

#include "evolve/coder/search/lex.h"

typedef enum StatementKind {
    STATEMENT_SIMPLE,
    STATEMENT_HEADER,   /* if, for, try, … : others are nested below it */
    STATEMENT_FUNCTION, /* the header of one */
    STATEMENT_CLASS,
    STATEMENT_IMPORT,
    STATEMENT_TEXT, /* a docstring */
    STATEMENT_DECORATOR,
    STATEMENT_CLOSER, /* a line that begins with a closing bracket */
} StatementKind;

#define NONE UINT32_MAX

typedef struct Statement {
    uint32_t first, last;    /* lines, from 0 */
    uint32_t token, n;       /* its tokens in the file's */
    uint32_t indent;         /* columns */
    uint32_t parent;         /* the header it is nested below, or NONE */
    uint32_t previous, next; /* its neighbours in the same block, or NONE */
    uint32_t end;            /* index behind the last statement nested below it */
    uint32_t function;       /* index in `functions`, or NONE */
    StatementKind kind;
    uint64_t exact, shape, head; /* hashes: all tokens; names of its function made equal; the first few tokens */
    uint64_t bag;                /* a bit for each of its tokens' symbols, to see quickly what cannot be similar */
    double suspicion;
    uint32_t failing, passing; /* tasks that executed it */
} Statement;

typedef struct Function {
    Symbol name;
    Symbol class; /* 0: none */
    uint32_t header, end;
    uint32_t parent; /* enclosing function, or NONE */
    Symbol *parameters;
    size_t n_parameters;
    bool initialises; /* __init__ and the like */
    double words;     /* how much of the failing turns' text is about it, 0 to 1 */
} Function;

/* A place where a name gets a value. */
typedef struct Binding {
    Symbol name;
    uint32_t statement;
    uint32_t function;       /* or NONE: of the module or class body */
    bool local_to_statement; /* of a comprehension or a lambda */
} Binding;

typedef struct File {
    const char *path; /* relative to the worktree */
    Language language;
    const char *text;
    size_t len;
    uint32_t *lines; /* offset of each line; [n_lines] is len */
    size_t n_lines, lines_size;
    Tokens tokens;
    Statement *statements;
    size_t n_statements, statements_size;
    Function *functions;
    size_t n_functions, functions_size;
    Binding *bindings;
    size_t n_bindings, bindings_size;
} File;

/* Reads `text`, which stays the caller's and must outlive the file. -EINVAL: its brackets or strings do not match; -ENOMEM. */
int source_read(Arena *arena, Symbols *symbols, const char *path, const char *text, size_t len, File *ret);

/* Fills f->bindings (scope.c). */
int source_bind(Arena *arena, File *f);

static inline const Token *statement_tokens(const File *f, const Statement *s)
{
    return f->tokens.items + s->token;
}

/* Whether the token is exactly this text. */
static inline bool token_is(const File *f, const Token *t, const char *text)
{
    size_t n = strlen(text);

    return t->end - t->start == n && memcmp(f->text + t->start, text, n) == 0;
}

/* A name that is no keyword. */
bool token_is_identifier(const File *f, const Token *t);

/* The text of lines first…last, without the last newline; belongs to the arena. */
char *source_lines(Arena *arena, const File *f, uint32_t first, uint32_t last);

#endif
