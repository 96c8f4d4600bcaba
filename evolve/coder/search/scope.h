/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SEARCH_SCOPE_H
#define MOSS_SEARCH_SCOPE_H

/* Which names mean something at a statement.
 *
 * Good enough to keep most names that would not be defined out of a candidate: what the function, the functions around it or the module give
 * a value, and what the tree uses although nobody gives it one (built-ins). Attributes of `self` and `this` are those that the class
 * uses elsewhere. */

#include "evolve/coder/search/source.h"

/* Whether `name` has a value when statement `at` runs. Knows nothing of built-ins. */
bool scope_sees(const File *f, uint32_t at, Symbol name);

/* Whether `name` is a parameter or variable of the function around `at`. */
bool scope_is_local(const File *f, uint32_t at, Symbol name);

/* The names with a value in the function around `at` (parameters first, latest variables last); of the module if there is none. Without self, this
 * and _. Returns how many. */
size_t scope_locals(const File *f, uint32_t at, Symbol *ret, size_t max);

/* Whether the statement gives a first value to a name that is used after it, so that it cannot just go. */
bool scope_is_needed(const File *f, uint32_t at);

#endif
