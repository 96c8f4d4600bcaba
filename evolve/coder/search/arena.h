/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SEARCH_ARENA_H
#define MOSS_SEARCH_ARENA_H

/* Memory that is given back all at once, with a ceiling; and names for strings.
 *
 * Everything the search works out (tokens, statements, candidates) lives as long as the process's one answer, so it is taken from an
 * arena. arena_alloc() zeroes; it returns NULL when the ceiling or the machine's memory is reached. */

#include <stdarg.h>

#include "runtime/base/macro.h"

typedef struct ArenaChunk ArenaChunk;

typedef struct Arena {
    ArenaChunk *chunks; /* newest first */
    size_t used;
    size_t limit; /* bytes in all; 0: no ceiling */
} Arena;

void *arena_alloc(Arena *a, size_t n);
char *arena_copy(Arena *a, const char *s, size_t len); /* NUL-terminated */
char *arena_printf(Arena *a, const char *fmt, ...) _printf_(2, 3);
void arena_done(Arena *a);
/* Gives back what was allocated, but for one chunk to go on with. */
void arena_reset(Arena *a);

/* Grows an array of `size` elements in place of doubling it by hand: `*n` are used, one more is wanted. Outgrown memory stays in the arena. */
void *arena_grow(Arena *a, void *array, size_t n, size_t *size, size_t element);
#define ARENA_GROW(arena, array, n, size)                                                                              \
    ({                                                                                                                 \
        __typeof__(array) _grown = arena_grow(arena, array, n, &(size), sizeof(*(array)));                             \
        if (_grown)                                                                                                    \
            (array) = _grown;                                                                                          \
        _grown != NULL;                                                                                                \
    })

/* Equal strings get equal numbers, from 1 on in the order in which they are first seen. */
typedef uint32_t Symbol;

typedef struct Symbols {
    Arena *arena;
    const char **strings; /* by symbol; [0] is "" */
    uint32_t *slots;
    size_t n, size, n_slots;
} Symbols;

/* The symbol of a string, or 0 when there is no memory. */
Symbol symbol_of(Symbols *s, const char *text, size_t len);
static inline Symbol symbol(Symbols *s, const char *text)
{
    return symbol_of(s, text, strlen(text));
}
static inline const char *symbol_text(const Symbols *s, Symbol symbol)
{
    return symbol < s->n ? s->strings[symbol] : "";
}

/* FNV-1a, for tables and for telling candidates apart; never for anything that an enemy gains by colliding. */
#define HASH64_START UINT64_C(0xcbf29ce484222325)
uint64_t hash64(uint64_t h, const void *data, size_t len);
static inline uint64_t hash64_number(uint64_t h, uint64_t n)
{
    return hash64(h, &n, sizeof(n));
}

#endif
