/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SEARCH_LEX_H
#define MOSS_SEARCH_LEX_H

/* Tokens of source text, in a manner that fits many languages.
 *
 * Comments and white space are left out. An interpolated string (f"…{x}…", `…${x}…`) is a bracket group of its own: its first piece up to and
 * with the brace is an OPEN token, pieces in between are MIDDLE, the last one is CLOSE; so the expressions inside are tokens like any
 * others. `partner` joins the two ends of a group.
 *
 * The input is a candidate's or a stranger's: an unterminated string is -EINVAL. Brackets may stay open, as in a part of a file: they are counted
 * in `unmatched`, and for equal parts it is equal. */

#include "evolve/coder/search/arena.h"

typedef enum Language {
    LANGUAGE_NONE,
    LANGUAGE_PYTHON,
    LANGUAGE_BRACES, /* C, Java, JavaScript, Go and their kin */
} Language;

typedef enum TokenKind {
    TOKEN_NAME,
    TOKEN_NUMBER,
    TOKEN_STRING,
    TOKEN_OP,
    TOKEN_OPEN,
    TOKEN_MIDDLE,
    TOKEN_CLOSE,
} TokenKind;

#define NO_PARTNER UINT32_MAX

typedef struct Token {
    TokenKind kind;
    Symbol symbol;
    uint32_t start, end; /* offsets in the text */
    uint32_t line;       /* of its first character, from 0 */
    uint32_t partner;    /* OPEN and CLOSE: the other one; NO_PARTNER if there is none */
} Token;

typedef struct Tokens {
    Token *items;
    size_t n, size;
    uint64_t unmatched; /* 0: all brackets are closed */
} Tokens;

/* By the file name's ending; LANGUAGE_NONE where this is no source we read. */
Language language_of(const char *path);

/* The tokens live in `arena`, their symbols in that of `symbols`. */
int lex(Arena *arena, Symbols *symbols, Language language, const char *text, size_t len, Tokens *ret);

/* A word that is no name: `if`, `return`, `function`… */
bool word_is_keyword(Language language, const char *word);

#endif
