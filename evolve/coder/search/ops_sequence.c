/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/ops.h"

#define BORROWED_MAX 8

/* A subscript that is a slice: where its first colon stands. */
static bool slice_of(const Site *site, uint32_t open, uint32_t *ret_close, uint32_t *ret_colon)
{
    const Token *t = site_tokens(site);
    uint32_t close;

    if (!expr_is(site, open, "[") || !expr_is_attached(site, open) || (close = expr_partner(site, open)) == NONE)
        return false;
    for (uint32_t i = open + 1; i < close; i++) {
        if (t[i].kind == TOKEN_OPEN) {
            uint32_t partner = expr_partner(site, i);

            if (partner == NONE)
                return false;
            i = partner;
        } else if (token_is(site->file, &t[i], ":")) {
            *ret_close = close;
            *ret_colon = i;
            return true;
        }
    }
    return false;
}

/* The bound without its sign. */
static char *magnitude(const Site *site, uint32_t from, uint32_t to)
{
    return from < to && expr_is(site, from, "-") ? site_text(site, from + 1, to) : site_text(site, from, to);
}

/* All ways to cut at one bound, and one to each side of it. */
static int cut_at(const Site *site, uint32_t open, uint32_t close, const char *bound)
{
    static const struct {
        const char *format;
        double weight;
    } forms[] = {{"%s:", 1},        {"-%s:", 1},      {":%s", 1},       {":-%s", 0.7},    {"-%s - 1:", 0.6},
                 {"-%s + 1:", 0.6}, {":%s + 1", 0.6}, {":%s - 1", 0.6}, {"%s + 1:", 0.6}, {"%s - 1:", 0.6}};

    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        const char *mark = strstr(forms[i].format, "%s");
        char *text = arena_printf(site->search->arena, "%.*s%s%s", (int) (mark - forms[i].format), forms[i].format,
                                  bound, mark + 2);
        int r = candidate_replace(site, open + 1, close, text, OPERATOR_SLICE, forms[i].weight);

        if (r < 0)
            return r;
    }
    return 0;
}

static int slice(const Site *site, uint32_t open)
{
    uint32_t close, colon;
    char *low, *high;
    int r;

    if (!slice_of(site, open, &close, &colon))
        return 0;
    r = candidate_replace(site, open, close + 1, "", OPERATOR_SLICE, 1);
    low = magnitude(site, open + 1, colon);
    high = magnitude(site, colon + 1, close);
    if (!low || !high)
        return -ENOMEM;
    if (r >= 0 && *low && *high)
        r = candidate_replace(site, open + 1, close, arena_printf(site->search->arena, "%s:%s", high, low),
                              OPERATOR_SLICE, 0.5);
    if (r >= 0 && *low)
        r = cut_at(site, open, close, low);
    if (r >= 0 && *high)
        r = cut_at(site, open, close, high);
    for (uint32_t i = open + 1; i < close && r >= 0; i++)
        if (expr_is_variable(site, i) && !expr_is(site, i, "self") && !expr_is(site, i + 1, "(") &&
            !expr_is(site, i + 1, "."))
            r = cut_at(site, open, close, symbol_text(site->search->symbols, site_tokens(site)[i].symbol));
    return r;
}

/* Slices that the file takes elsewhere, behind the values here. */
static int borrow_slices(const Site *site)
{
    const File *f = site->file;
    const Statement *s = site_statement(site);
    const char *texts[BORROWED_MAX];
    double weights[BORROWED_MAX];
    Range values[16];
    size_t n = 0, n_values = expr_values(site, values, ARRAY_SIZE(values));

    for (uint32_t i = 0; i < f->n_statements && n < BORROWED_MAX; i++) {
        const Site other = {.search = site->search, .file = f, .at = i};
        uint32_t close, colon;

        for (uint32_t k = 0; k < f->statements[i].n && n < BORROWED_MAX; k++)
            if (slice_of(&other, k, &close, &colon)) {
                weights[n] = f->statements[i].parent == s->parent ? 1 : 0.6;
                texts[n] = site_text(&other, k, close + 1);
                if (!texts[n++])
                    return -ENOMEM;
            }
    }
    for (size_t v = 0; v < n_values; v++) {
        uint32_t end = values[v].to;

        if (expr_primary_end(site, values[v].from) != end || expr_is(site, end - 1, "]") ||
            site_tokens(site)[end - 1].kind == TOKEN_STRING)
            continue;
        for (size_t k = 0; k < n; k++) {
            int r = candidate_replace(site, end, end, texts[k], OPERATOR_SLICE, 0.2 * weights[k]);

            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int index_at(const Site *site, uint32_t open)
{
    static const char *const others[] = {"0", "-1", "1"};
    uint32_t close;
    bool plain;
    int r = 0;

    if (!expr_is(site, open, "[") || !expr_is_attached(site, open) || (close = expr_partner(site, open)) == NONE)
        return 0;
    plain = close == open + 2 || (close == open + 3 && expr_is(site, open + 1, "-"));
    if (!plain || site_tokens(site)[close - 1].kind == TOKEN_STRING || expr_is(site, close - 1, ":"))
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(others) && r >= 0; i++)
        r = candidate_replace(site, open + 1, close, others[i], OPERATOR_INDEX,
                              site_tokens(site)[close - 1].kind == TOKEN_NUMBER ? 1 : 0.3);
    if (r >= 0 && site_tokens(site)[close - 1].kind == TOKEN_NUMBER)
        r = candidate_replace(site, open, close + 1, "", OPERATOR_INDEX, 0.5);
    return r;
}

/* A number as index or bound where there is none yet: all of a loop's range but one. */
static int shorten_loop(const Site *site)
{
    const Statement *s = site_statement(site);
    int r = 0;

    if (s->kind != STATEMENT_HEADER || !expr_is(site, 0, "for"))
        return 0;
    for (uint32_t i = 0; i < s->n && r >= 0; i++)
        if (expr_is(site, i, "in")) {
            uint32_t end = expr_primary_end(site, i + 1);

            if (end != i + 1 && expr_is(site, end, ":"))
                r = candidate_replace(site, end, end, "[1:]", OPERATOR_SLICE, 0.2);
            if (r >= 0 && end != i + 1 && expr_is(site, end, ":"))
                r = candidate_replace(site, end, end, "[:-1]", OPERATOR_SLICE, 0.2);
        }
    return r;
}

int ops_sequence(const Site *site)
{
    const Statement *s = site_statement(site);
    int r = 0;

    for (uint32_t i = 0; i < s->n && r >= 0; i++) {
        if (site_tokens(site)[i].kind != TOKEN_OPEN)
            continue;
        r = slice(site, i);
        if (r >= 0)
            r = index_at(site, i);
    }
    if (r >= 0)
        r = borrow_slices(site);
    return r < 0 ? r : shorten_loop(site);
}
