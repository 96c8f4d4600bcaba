/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/ops.h"

#include <ctype.h>

#define NUMBER_LIMIT 1000000000LL

static bool whole_number(const Site *site, uint32_t i, long long *ret)
{
    const Token *t = &site_tokens(site)[i];
    char digits[16], *end;

    if (t->kind != TOKEN_NUMBER || t->end - t->start >= sizeof(digits))
        return false;
    memcpy(digits, site->file->text + t->start, t->end - t->start);
    digits[t->end - t->start] = '\0';
    *ret = strtoll(digits, &end, 10);
    return *end == '\0' && *ret >= 0 && *ret < NUMBER_LIMIT;
}

static int replace_number(const Site *site, uint32_t i, long long n, double weight)
{
    return candidate_replace(site, i, i + 1, arena_printf(site->search->arena, "%lld", n), OPERATOR_NUMBER, weight);
}

/* Numbers that the file uses elsewhere, the nearest lines first. */
static int borrow_numbers(const Site *site, uint32_t i)
{
    const File *f = site->file;
    const Token *own = &site_tokens(site)[i];
    unsigned taken = 0;
    int r = 0;

    for (uint32_t distance = 0; distance < f->n_statements && taken < 6 && r >= 0; distance++)
        for (int side = -1; side <= 1 && r >= 0; side += 2) {
            int64_t at = (int64_t) site->at + side * (int64_t) distance;

            if (at < 0 || at >= (int64_t) f->n_statements)
                continue;
            for (uint32_t k = 0; k < f->statements[at].n && taken < 6 && r >= 0; k++) {
                const Token *t = statement_tokens(f, &f->statements[at]) + k;

                if (t->kind != TOKEN_NUMBER || t->symbol == own->symbol)
                    continue;
                taken++;
                r = candidate_replace(site, i, i + 1, symbol_text(site->search->symbols, t->symbol), OPERATOR_NUMBER,
                                      0.35);
            }
        }
    return r;
}

static int number(const Site *site, uint32_t i)
{
    long long n;
    int r;

    if (site_tokens(site)[i].kind != TOKEN_NUMBER)
        return 0;
    if (!whole_number(site, i, &n))
        return borrow_numbers(site, i);
    r = replace_number(site, i, n + 1, 1);
    if (r >= 0 && n > 0)
        r = replace_number(site, i, n - 1, 1);
    if (r >= 0 && n > 1)
        r = replace_number(site, i, 0, 0.5);
    if (r >= 0 && n > 1)
        r = replace_number(site, i, n * 2, 0.5);
    if (r >= 0 && n > 1)
        r = replace_number(site, i, n * 10, 0.4);
    if (r >= 0 && n >= 10)
        r = replace_number(site, i, n / 10, 0.4);
    return r < 0 ? r : borrow_numbers(site, i);
}

/* `a - b`: the other sign, one side only, the sides changed over. */
static int arithmetic(const Site *site, uint32_t i)
{
    static const char *const others[][3] = {{"+", "-", NULL}, {"-", "+", NULL},  {"*", "/", NULL},  {"/", "*", "//"},
                                            {"//", "/", "%"}, {"%", "//", NULL}, {"+=", "-=", "="}, {"-=", "+=", "="},
                                            {"|", "&", NULL}, {"&", "|", NULL}};
    uint32_t left, right;
    int r = 0;

    for (size_t k = 0; k < ARRAY_SIZE(others) && r >= 0; k++) {
        if (!expr_is(site, i, others[k][0]))
            continue;
        left = expr_primary_start(site, i);
        right = expr_primary_end(site, i + 1);
        if (left >= i || right <= i + 1)
            return 0;
        for (size_t m = 1; m < 3 && others[k][m] && r >= 0; m++)
            r = candidate_replace(site, i, i + 1, others[k][m], OPERATOR_ARITHMETIC, 0.7);
        if (r < 0 || endswith(others[k][0], "="))
            return r;
        r = candidate_replace(site, i, right, "", OPERATOR_ARITHMETIC, 1);
        if (r >= 0)
            r = candidate_replace(site, left, i + 1, "", OPERATOR_ARITHMETIC, 0.8);
        if (r >= 0) {
            const Change swap[] = {{left, i, site_text(site, i + 1, right)}, {i + 1, right, site_text(site, left, i)}};

            r = swap[0].text && swap[1].text ? candidate_change(site, swap, 2, OPERATOR_ORDER, 0.7) : -ENOMEM;
        }
    }
    return r;
}

/* One more or less where bounds stand: beside comparisons, in range() and slices. */
static int step(const Site *site, uint32_t i)
{
    uint32_t end = expr_primary_end(site, i);
    bool bound;
    int r;

    if (end == i || (i > 0 && EXPR_IS_ONE_OF(site, i - 1, ".", "-")) || site_tokens(site)[i].kind == TOKEN_NUMBER)
        return 0;
    bound = i > 0 && (EXPR_IS_ONE_OF(site, i - 1, "<", "<=", ">", ">=") ||
                      (expr_is(site, i - 1, "(") && i > 1 && expr_is(site, i - 2, "range")));
    bound |= EXPR_IS_ONE_OF(site, end, "<", "<=", ">", ">=");
    if (!bound)
        return 0;
    r = candidate_replace(site, end, end, " + 1", OPERATOR_ARITHMETIC, 0.7);
    return r < 0 ? r : candidate_replace(site, end, end, " - 1", OPERATOR_ARITHMETIC, 0.7);
}

static int truth(const Site *site, uint32_t i)
{
    static const char *const others[][2] = {{"True", "False"}, {"False", "True"}, {"true", "false"}, {"false", "true"}};

    for (size_t k = 0; k < ARRAY_SIZE(others); k++)
        if (expr_is(site, i, others[k][0]))
            return candidate_replace(site, i, i + 1, others[k][1], OPERATOR_TRUTH, 1);
    return 0;
}

int ops_number(const Site *site)
{
    const Statement *s = site_statement(site);
    int r = 0;

    for (uint32_t i = 0; i < s->n && r >= 0; i++) {
        r = number(site, i);
        if (r >= 0)
            r = arithmetic(site, i);
        if (r >= 0)
            r = step(site, i);
        if (r >= 0)
            r = truth(site, i);
    }
    return r;
}
