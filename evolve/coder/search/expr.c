/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/expr.h"

uint32_t expr_partner(const Site *site, uint32_t i)
{
    const Statement *s = site_statement(site);
    uint32_t partner = site_tokens(site)[i].partner;

    return partner == NO_PARTNER || partner < s->token || partner >= s->token + s->n ? NONE : partner - s->token;
}

bool expr_is_one_of(const Site *site, uint32_t i, const char *const *words, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (expr_is(site, i, words[k]))
            return true;
    return false;
}

size_t expr_elements(const Site *site, uint32_t open, Range *ret, size_t max)
{
    const Token *t = site_tokens(site);
    uint32_t close = expr_partner(site, open), from = open + 1;
    size_t n = 0;

    if (close == NONE || t[open].kind != TOKEN_OPEN)
        return 0;
    for (uint32_t i = open + 1; i <= close && n < max; i++) {
        if (i == close || t[i].kind == TOKEN_MIDDLE || token_is(site->file, &t[i], ",")) {
            if (i > from)
                ret[n++] = (Range){from, i};
            from = i + 1;
        } else if (t[i].kind == TOKEN_OPEN) {
            uint32_t partner = expr_partner(site, i);

            if (partner == NONE)
                return 0;
            i = partner;
        }
    }
    return n;
}

bool expr_is_attached(const Site *site, uint32_t i)
{
    const Token *t = site_tokens(site);

    if (i == 0)
        return false;
    return token_is_identifier(site->file, &t[i - 1]) || t[i - 1].kind == TOKEN_CLOSE ||
           t[i - 1].kind == TOKEN_STRING ||
           (t[i - 1].kind == TOKEN_NAME && i >= 2 && token_is(site->file, &t[i - 2], "."));
}

uint32_t expr_primary_end(const Site *site, uint32_t i)
{
    const Statement *s = site_statement(site);
    const Token *t = site_tokens(site);
    uint32_t at = i;

    if (at >= s->n)
        return i;
    if (t[at].kind == TOKEN_OPEN) {
        uint32_t partner = expr_partner(site, at);

        if (partner == NONE)
            return i;
        at = partner + 1;
    } else if (t[at].kind == TOKEN_NUMBER || t[at].kind == TOKEN_STRING || token_is_identifier(site->file, &t[at])) {
        at++;
    } else if (EXPR_IS_ONE_OF(site, at, "None", "True", "False", "null", "true", "false", "nil", "undefined")) {
        return at + 1;
    } else {
        return i;
    }
    while (at < s->n) {
        if (at + 1 < s->n && EXPR_IS_ONE_OF(site, at, ".", "?.", "->") && t[at + 1].kind == TOKEN_NAME) {
            at += 2;
        } else if (EXPR_IS_ONE_OF(site, at, "(", "[")) {
            uint32_t partner = expr_partner(site, at);

            if (partner == NONE)
                break;
            at = partner + 1;
        } else {
            break;
        }
    }
    return at;
}

uint32_t expr_primary_start(const Site *site, uint32_t end)
{
    for (uint32_t i = 0; i < end; i++) {
        const Token *t = &site_tokens(site)[i];

        if (i > 0 && (token_is(site->file, t - 1, ".") || (t->kind == TOKEN_OPEN && expr_is_attached(site, i))))
            continue;
        if (expr_primary_end(site, i) == end)
            return i;
    }
    return end;
}

static bool ends_operand(const Site *site, uint32_t i)
{
    return EXPR_IS_ONE_OF(site, i, "and", "or", "&&", "||", "if", "elif", "else", "while", "return", "assert", ",", ":",
                          ";", "=", "for", "yield", "lambda", "+=", "?", "=>");
}

uint32_t expr_operand_start(const Site *site, uint32_t i)
{
    const Token *t = site_tokens(site);

    while (i > 0) {
        if (t[i - 1].kind == TOKEN_CLOSE) {
            uint32_t partner = expr_partner(site, i - 1);

            if (partner == NONE)
                return i;
            i = partner;
        } else if (t[i - 1].kind == TOKEN_OPEN || t[i - 1].kind == TOKEN_MIDDLE || ends_operand(site, i - 1)) {
            return i;
        } else {
            i--;
        }
    }
    return i;
}

uint32_t expr_operand_end(const Site *site, uint32_t i)
{
    const Statement *s = site_statement(site);
    const Token *t = site_tokens(site);

    while (i < s->n) {
        if (t[i].kind == TOKEN_OPEN) {
            uint32_t partner = expr_partner(site, i);

            if (partner == NONE)
                return i;
            i = partner + 1;
        } else if (t[i].kind == TOKEN_CLOSE || t[i].kind == TOKEN_MIDDLE || ends_operand(site, i)) {
            return i;
        } else {
            i++;
        }
    }
    return i;
}

bool expr_is_variable(const Site *site, uint32_t i)
{
    const Token *t = site_tokens(site);

    if (!token_is_identifier(site->file, &t[i]) || (i > 0 && EXPR_IS_ONE_OF(site, i - 1, ".", "->", "?.", "@")))
        return false;
    return !(i > 0 && expr_is(site, i + 1, "=") && EXPR_IS_ONE_OF(site, i - 1, "(", ","));
}

static size_t add_value(const Site *site, uint32_t from, Range *ret, size_t n, size_t max)
{
    uint32_t to = expr_operand_end(site, from);

    if (from < to && n < max)
        ret[n++] = (Range){from, to};
    return n;
}

size_t expr_values(const Site *site, Range *ret, size_t max)
{
    const Statement *s = site_statement(site);
    const Token *t = site_tokens(site);
    Range elements[16];
    size_t n = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        if (EXPR_IS_ONE_OF(site, i, "=", "return", "in", "+=", ":=", "of") && i + 1 < s->n) {
            n = add_value(site, i + 1, ret, n, max);
        } else if (t[i].kind == TOKEN_OPEN && s->kind != STATEMENT_FUNCTION) {
            size_t k = expr_elements(site, i, elements, ARRAY_SIZE(elements));

            for (size_t e = 0; e < k; e++) {
                uint32_t from = elements[e].from;

                if (from + 1 < elements[e].to && EXPR_IS_ONE_OF(site, from + 1, "=", ":"))
                    from += 2;
                else if (EXPR_IS_ONE_OF(site, from, "*", "**"))
                    from++;
                n = add_value(site, from, ret, n, max);
            }
        }
    }
    return n;
}
