/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/ops.h"

typedef struct Replacement {
    const char *from, *to;
    double weight;
} Replacement;

static int compare(const Site *site, uint32_t i)
{
    static const Replacement table[] = {
        {"<", "<=", 1},    {"<", ">", 0.6},     {"<", ">=", 0.5},    {"<=", "<", 1},    {"<=", ">=", 0.6},
        {">", ">=", 1},    {">", "<", 0.6},     {">", "<=", 0.5},    {">=", ">", 1},    {">=", "<", 0.5},
        {">=", "<=", 0.6}, {"==", "!=", 0.8},   {"==", ">=", 0.4},   {"==", "in", 0.2}, {"!=", "==", 0.8},
        {"==", "<=", 0.3}, {"===", "!==", 0.8}, {"!==", "===", 0.8},
    };

    for (size_t k = 0; k < ARRAY_SIZE(table); k++)
        if (expr_is(site, i, table[k].from)) {
            int r = candidate_replace(site, i, i + 1, table[k].to, OPERATOR_COMPARE, table[k].weight);

            if (r < 0)
                return r;
        }
    if (expr_is(site, i, "not") && expr_is(site, i + 1, "in"))
        return candidate_replace(site, i, i + 2, "in", OPERATOR_COMPARE, 0.8);
    if (expr_is(site, i, "is"))
        return expr_is(site, i + 1, "not") ? candidate_replace(site, i, i + 2, "is", OPERATOR_COMPARE, 0.8)
                                           : candidate_replace(site, i, i + 1, "is not", OPERATOR_COMPARE, 0.8);
    if (expr_is(site, i, "in") && i > 0 && !expr_is(site, i - 1, "not") && !expr_is(site, 0, "for"))
        return candidate_replace(site, i, i + 1, "not in", OPERATOR_COMPARE, 0.6);
    return 0;
}

/* `a and b`: the other word, or only one of the sides. */
static int junction(const Site *site, uint32_t i)
{
    static const char *const words[][2] = {{"and", "or"}, {"or", "and"}, {"&&", "||"}, {"||", "&&"}};
    uint32_t left, right;
    int r = 0;

    for (size_t k = 0; k < ARRAY_SIZE(words) && r >= 0; k++) {
        if (!expr_is(site, i, words[k][0]))
            continue;
        left = expr_operand_start(site, i);
        right = expr_operand_end(site, i + 1);
        if (left == i || right == i + 1)
            return 0;
        r = candidate_replace(site, left, i + 1, "", OPERATOR_CHOICE, 0.9);
        if (r >= 0)
            r = candidate_replace(site, i, right, "", OPERATOR_CHOICE, 1);
        if (r >= 0)
            r = candidate_replace(site, i, i + 1, words[k][1], OPERATOR_CONDITION, 0.7);
        if (r >= 0) {
            const Change swap[] = {{left, i, site_text(site, i + 1, right)}, {i + 1, right, site_text(site, left, i)}};

            r = swap[0].text && swap[1].text ? candidate_change(site, swap, 2, OPERATOR_CHOICE, 0.6) : -ENOMEM;
        }
    }
    return r;
}

/* `a if c else b` */
static int ternary(const Site *site, uint32_t i)
{
    uint32_t left, middle, right;
    int r;

    if (i == 0 || !expr_is(site, i, "if") || expr_is(site, i - 1, "else"))
        return 0;
    left = expr_operand_start(site, i);
    middle = i + 1;
    do
        middle = expr_operand_end(site, middle);
    while (EXPR_IS_ONE_OF(site, middle, "and", "or") && ++middle);
    if (!expr_is(site, middle, "else") || left == i)
        return 0;
    right = expr_operand_end(site, middle + 1);
    r = candidate_replace(site, i, right, "", OPERATOR_CHOICE, 1);
    if (r >= 0)
        r = candidate_replace(site, left, middle + 1, "", OPERATOR_CHOICE, 0.9);
    if (r >= 0) {
        const Change swap[] = {{left, i, site_text(site, middle + 1, right)},
                               {middle + 1, right, site_text(site, left, i)}};

        r = swap[0].text && swap[1].text ? candidate_change(site, swap, 2, OPERATOR_CHOICE, 0.7) : -ENOMEM;
    }
    return r;
}

/* The condition of an if or while: [*ret) of tokens; false when this is none. */
static bool condition_of(const Site *site, Range *ret)
{
    const Statement *s = site_statement(site);

    if (s->kind != STATEMENT_HEADER || !EXPR_IS_ONE_OF(site, 0, "if", "elif", "while"))
        return false;
    if (site->file->language == LANGUAGE_PYTHON) {
        *ret = (Range){1, s->n - 1};
    } else {
        uint32_t close = expr_is(site, 1, "(") ? expr_partner(site, 1) : NONE;

        *ret = close == NONE ? (Range){1, s->n - 1} : (Range){2, close};
    }
    return ret->from < ret->to;
}

static int negate(const Site *site, Range c)
{
    bool python = site->file->language == LANGUAGE_PYTHON, simple = expr_primary_end(site, c.from) == c.to;
    const char *text, *not = python ? "not" : "!";
    char *negated;

    if (expr_is(site, c.from, not ))
        return candidate_replace(site, c.from, c.from + 1, "", OPERATOR_CONDITION, 0.9);
    text = site_text(site, c.from, c.to);
    negated =
        text ? arena_printf(site->search->arena, simple ? "%s%s%s" : "%s%s(%s)", not, python ? " " : "", text) : NULL;
    return candidate_replace(site, c.from, c.to, negated, OPERATOR_CONDITION, simple ? 0.7 : 0.3);
}

/* Conditions that the same function, class or file asks elsewhere: in place of this one, or besides. */
static int borrow(const Site *site, Range c)
{
    const File *f = site->file;
    const Statement *s = site_statement(site);
    const char *text = site_text(site, c.from, c.to), *junction_word = f->language == LANGUAGE_PYTHON ? "and" : "&&";
    int r = text ? 0 : -ENOMEM;

    for (uint32_t i = 0; i < f->n_statements && r >= 0; i++) {
        const Site other = {.search = site->search, .file = f, .at = i};
        double near = f->statements[i].function == s->function ? 1 : 0.4;
        const char *theirs;
        Range range;

        if (i == site->at || !condition_of(&other, &range) || range.to - range.from > 20)
            continue;
        theirs = site_text(&other, range.from, range.to);
        if (!theirs)
            return -ENOMEM;
        if (streq(theirs, text))
            continue;
        r = candidate_replace(site, c.from, c.to, theirs, OPERATOR_CONDITION, 0.4 * near);
        if (r >= 0)
            r = candidate_replace(site, c.to, c.to, arena_printf(site->search->arena, " %s %s", junction_word, theirs),
                                  OPERATOR_CONDITION, 0.4 * near);
    }
    return r;
}

int ops_condition(const Site *site)
{
    const Statement *s = site_statement(site);
    Range c;
    int r = 0;

    for (uint32_t i = 0; i < s->n && r >= 0; i++) {
        r = compare(site, i);
        if (r >= 0)
            r = junction(site, i);
        if (r >= 0)
            r = ternary(site, i);
    }
    if (r >= 0 && condition_of(site, &c)) {
        r = negate(site, c);
        if (r >= 0)
            r = borrow(site, c);
    }
    return r;
}
