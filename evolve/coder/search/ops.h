/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SEARCH_OPS_H
#define MOSS_SEARCH_OPS_H

/* The operators: each proposes what it can for one statement. 0 or -ENOMEM. */

#include "evolve/coder/search/expr.h"

int ops_statement(const Site *site); /* delete, swap, move, flow */
int ops_handler(const Site *site);   /* except clauses */
int ops_reuse(const Site *site);     /* statements from elsewhere */
int ops_condition(const Site *site); /* comparisons, conditions, choices */
int ops_number(const Site *site);    /* numbers, arithmetic, True and False */
int ops_sequence(const Site *site);  /* slices, indexes */
int ops_element(const Site *site);   /* order, elements, arguments */
int ops_name(const Site *site);      /* names, attributes, methods */
int ops_text(const Site *site);      /* strings and their pieces */
int ops_call(const Site *site);      /* calls around and off; own objects */

/* Last line of the statement with all that is nested below it. */
uint32_t ops_block_last(const File *f, uint32_t at);

/* Lines first…last of `f`, moved from one indentation to another; belongs to the arena; NULL without memory. */
char *ops_indented(Search *s, const File *f, uint32_t first, uint32_t last, uint32_t from, uint32_t to);

/* else, except, } …: what belongs to the statement before it. */
bool ops_begins_clause(const Site *site);
bool ops_clause_follows(const Site *site);

/* Whether the name, with a value in the function around `at`, is not used there otherwise: a thing that waits to be used. */
bool ops_is_idle(const Site *site, Symbol name);

/* Short expressions of the function around the site: its variables, and chains such as a.b that it uses. */
#define OPS_TERMS_MAX 24
size_t ops_terms(const Site *site, const char **ret, bool *ret_idle, size_t max);

#endif
