/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/ops.h"

#define STRINGS_MAX 10

/* What the string at `i` is used as: equal for the same use, 0 for plain text. */
static uint64_t use_of(const Site *site, uint32_t i)
{
    const Token *t = site_tokens(site);

    if (i == 0)
        return 0;
    if (token_is(site->file, &t[i - 1], "[") && expr_is_attached(site, i - 1))
        return hash64_number(1, t[i - 2].symbol);
    if (token_is(site->file, &t[i - 1], "(") && i >= 2 && t[i - 2].kind == TOKEN_NAME)
        return hash64_number(2, t[i - 2].symbol);
    if (EXPR_IS_ONE_OF(site, i - 1, "==", "!=", "===", "!==", "in") && i >= 2)
        return hash64_number(3, t[i - 2].symbol);
    if (expr_is(site, i + 1, ":"))
        return 4;
    return 0;
}

/* Whether one is the other with one character more, less or changed: a slip. */
static bool nearly_equal(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), from = 0, back = 0;

    while (a[from] && a[from] == b[from])
        from++;
    while (back < MIN(n, m) - from && a[n - 1 - back] == b[m - 1 - back])
        back++;
    return n > 4 && m > 4 && MAX(n, m) - from - back <= 1;
}

/* The strings that stand elsewhere in the same use, or differ by a slip. */
static int string(const Site *site, uint32_t i)
{
    const Tree *tree = site->search->tree;
    uint64_t use = use_of(site, i);
    Symbol seen[STRINGS_MAX];
    size_t n = 0;
    const char *own = symbol_text(site->search->symbols, site_tokens(site)[i].symbol);
    int r = 0;

    for (size_t f = 0; f < tree->n_files; f++)
        for (uint32_t at = 0; at < tree->files[f].n_statements; at++) {
            const Site other = {.search = site->search, .file = &tree->files[f], .at = at};

            for (uint32_t k = 0; k < site_statement(&other)->n && n < STRINGS_MAX && r >= 0; k++) {
                const Token *t = &site_tokens(&other)[k];
                const char *text = symbol_text(site->search->symbols, t->symbol);
                bool known = t->symbol == site_tokens(site)[i].symbol, slip;

                if (t->kind != TOKEN_STRING || known)
                    continue;
                slip = nearly_equal(own, text);
                if (!slip && (!use || use_of(&other, k) != use))
                    continue;
                for (size_t q = 0; q < n; q++)
                    known |= seen[q] == t->symbol;
                if (known)
                    continue;
                seen[n++] = t->symbol;
                r = candidate_replace(site, i, i + 1, text, OPERATOR_STRING,
                                      slip ? 2 : (use == 4 ? 0.3 : 1) * (other.file == site->file ? 1 : 0.6));
            }
        }
    return r;
}

static char *piece_text(const Site *site, uint32_t i)
{
    return site_text(site, i, i + 1);
}

/* How many characters open an expression: `{` or `${`. */
static size_t brace_length(const char *piece)
{
    return endswith(piece, "${") ? 2 : 1;
}

/* One expression of an interpolated string goes, with the text before it or behind it. */
static int drop_piece(const Site *site, uint32_t before, uint32_t behind)
{
    char *left = piece_text(site, before), *right = piece_text(site, behind);
    const char *rest;
    int r;

    if (!left || !right)
        return -ENOMEM;
    rest = strchr(right, '}');
    if (!rest)
        return 0;
    rest++;
    r = candidate_replace(
        site, before, behind + 1,
        arena_printf(site->search->arena, "%.*s%s", (int) (strlen(left) - brace_length(left)), left, rest),
        OPERATOR_PIECE, 0.4);
    if (r >= 0 && site_tokens(site)[behind].kind == TOKEN_MIDDLE)
        r = candidate_replace(site, before, behind + 1, left, OPERATOR_PIECE, 0.7);
    if (r >= 0 && site_tokens(site)[before].kind == TOKEN_MIDDLE && *left == '}')
        r = candidate_replace(site, before, behind + 1, arena_printf(site->search->arena, "}%s", rest), OPERATOR_PIECE,
                              0.8);
    return r;
}

/* One more expression at either end of a key; parted as the others are. */
static int add_piece(const Site *site, uint32_t open, uint32_t close, const char *separator)
{
    Arena *arena = site->search->arena;
    const char *terms[OPS_TERMS_MAX], *dollar;
    char *first = piece_text(site, open), *last = piece_text(site, close);
    bool idle[OPS_TERMS_MAX];
    size_t n = ops_terms(site, terms, idle, OPS_TERMS_MAX), quote, head;
    int r = 0;

    if (!first || !last)
        return -ENOMEM;
    quote = strlen(last);
    while (quote > 1 && last[quote - 1] == last[strlen(last) - 1])
        quote--;
    head = strcspn(first, "\"'`");
    while (first[head] && strchr("\"'`", first[head]))
        head++;
    dollar = brace_length(first) == 2 ? "$" : "";
    for (size_t i = 0; i < n && r >= 0; i++) {
        bool there = false;

        for (uint32_t k = open; k < close; k++)
            there |= expr_is(site, k, terms[i]);
        if (there)
            continue;
        r = candidate_replace(
            site, close, close + 1,
            arena_printf(arena, "%.*s%s%s{%s}%s", (int) quote, last, separator, dollar, terms[i], last + quote),
            OPERATOR_PIECE, idle[i] ? 1.5 : 0.5);
        if (r >= 0)
            r = candidate_replace(
                site, open, open + 1,
                arena_printf(arena, "%.*s%s{%s}%s%s", (int) head, first, dollar, terms[i], separator, first + head),
                OPERATOR_PIECE, idle[i] ? 1.5 : 0.5);
    }
    return r;
}

static int interpolated(const Site *site, uint32_t open)
{
    const Token *t = site_tokens(site);
    uint32_t close = expr_partner(site, open), before = open;
    const char *separator = "/";
    int r = 0;

    if (close == NONE || t[open].end - t[open].start < 2)
        return 0;
    for (uint32_t i = open + 1; i <= close && r >= 0; i++) {
        if (t[i].kind == TOKEN_OPEN) {
            i = expr_partner(site, i);
            if (i == NONE)
                return 0;
            continue;
        }
        if (t[i].kind == TOKEN_MIDDLE && t[i].end - t[i].start > 2 && token_is_identifier(site->file, &t[i + 1])) {
            const char *text = piece_text(site, i);

            if (!text)
                return -ENOMEM;
            separator = *text == '}' ? arena_printf(site->search->arena, "%.*s",
                                                    (int) (strlen(text) - 1 - brace_length(text)), text + 1)
                                     : separator;
            if (!separator)
                return -ENOMEM;
        }
        if (t[i].kind == TOKEN_MIDDLE || i == close) {
            r = drop_piece(site, before, i);
            before = i;
        }
    }
    return r < 0 ? r : add_piece(site, open, close, separator);
}

int ops_text(const Site *site)
{
    const Statement *s = site_statement(site);
    int r = 0;

    for (uint32_t i = 0; i < s->n && r >= 0; i++) {
        if (site_tokens(site)[i].kind == TOKEN_STRING)
            r = string(site, i);
        else if (site_tokens(site)[i].kind == TOKEN_OPEN)
            r = interpolated(site, i);
    }
    return r;
}
