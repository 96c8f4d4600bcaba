/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SEARCH_EXPR_H
#define MOSS_SEARCH_EXPR_H

/* Parts of expressions, found by brackets and neighbours. Positions are token numbers within the site's statement; ranges are half open. */

#include "evolve/coder/search/candidate.h"

typedef struct Range {
    uint32_t from, to;
} Range;

/* The bracket that belongs to the one at `i`, or NONE (also when it lies in another statement). */
uint32_t expr_partner(const Site *site, uint32_t i);

/* The elements between the bracket at `open` and its partner: parts between commas, or between the pieces of an interpolated string. */
size_t expr_elements(const Site *site, uint32_t open, Range *ret, size_t max);

/* The name, literal or bracket group at `i` with all that is attached to it behind: .name, (…), […]. `i` itself when nothing starts here. */
uint32_t expr_primary_end(const Site *site, uint32_t i);
/* The beginning of what ends before `end`. */
uint32_t expr_primary_start(const Site *site, uint32_t end);

/* How far the operand of a word like `and` reaches to the left of `i` and to the right from `i` on. */
uint32_t expr_operand_start(const Site *site, uint32_t i);
uint32_t expr_operand_end(const Site *site, uint32_t i);

/* Whether the bracket at `i` is a call's or a subscript's: something that has a value stands before it. */
bool expr_is_attached(const Site *site, uint32_t i);

/* Whether token `i` of the site is this text. */
static inline bool expr_is(const Site *site, uint32_t i, const char *text)
{
    return i < site_statement(site)->n && token_is(site->file, &site_tokens(site)[i], text);
}
bool expr_is_one_of(const Site *site, uint32_t i, const char *const *words, size_t n);
#define EXPR_IS_ONE_OF(site, i, ...)                                                                                   \
    expr_is_one_of(site, i, (const char *const[]){__VA_ARGS__}, ARRAY_SIZE(((const char *const[]){__VA_ARGS__})))

/* An identifier that is neither attribute nor argument's name. */
bool expr_is_variable(const Site *site, uint32_t i);

/* Ranges of whole values: behind `=`, `return`, `in`, the arguments of calls. */
size_t expr_values(const Site *site, Range *ret, size_t max);

#endif
