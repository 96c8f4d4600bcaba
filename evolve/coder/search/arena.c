/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/arena.h"

#include <stdio.h>

#define CHUNK ((size_t) 1 << 20)
#define ALIGNMENT 16

struct ArenaChunk {
    ArenaChunk *next;
    size_t used, size;
    _Alignas(ALIGNMENT) char data[];
};

void *arena_alloc(Arena *a, size_t n)
{
    ArenaChunk *chunk = a->chunks;
    void *p;

    if (n > SIZE_MAX / 2)
        return NULL;
    n = (n + ALIGNMENT - 1) & ~(size_t) (ALIGNMENT - 1);
    if (!chunk || chunk->size - chunk->used < n) {
        size_t size = MAX(n, CHUNK);

        if (a->limit && (a->used > a->limit || size > a->limit - a->used))
            return NULL;
        chunk = calloc(1, sizeof(*chunk) + size);
        if (!chunk)
            return NULL;
        chunk->size = size;
        chunk->next = a->chunks;
        a->chunks = chunk;
        a->used += size;
    }
    p = chunk->data + chunk->used;
    chunk->used += n;
    return p;
}

char *arena_copy(Arena *a, const char *s, size_t len)
{
    char *p = arena_alloc(a, len + 1);

    if (p && len)
        memcpy(p, s, len);
    return p;
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
    va_list args;
    char *p;
    int n;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        return NULL;
    p = arena_alloc(a, (size_t) n + 1);
    if (!p)
        return NULL;
    va_start(args, fmt);
    vsnprintf(p, (size_t) n + 1, fmt, args);
    va_end(args);
    return p;
}

void arena_done(Arena *a)
{
    while (a->chunks) {
        ArenaChunk *next = a->chunks->next;

        free(a->chunks);
        a->chunks = next;
    }
    a->used = 0;
}

void arena_reset(Arena *a)
{
    ArenaChunk *kept = a->chunks;

    if (!kept)
        return;
    while (kept->next) {
        ArenaChunk *next = kept->next->next;

        a->used -= kept->next->size;
        free(kept->next);
        kept->next = next;
    }
    memset(kept->data, 0, kept->used);
    kept->used = 0;
}

void *arena_grow(Arena *a, void *array, size_t n, size_t *size, size_t element)
{
    size_t wanted;
    void *p;

    if (n < *size)
        return array;
    wanted = *size ? *size * 2 : 32;
    if (wanted > SIZE_MAX / 2 / element)
        return NULL;
    p = arena_alloc(a, wanted * element);
    if (!p)
        return NULL;
    if (n)
        memcpy(p, array, n * element);
    *size = wanted;
    return p;
}

uint64_t hash64(uint64_t h, const void *data, size_t len)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

static int symbols_rehash(Symbols *s)
{
    size_t n = s->n_slots ? s->n_slots * 2 : 4096;
    uint32_t *slots = arena_alloc(s->arena, n * sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    for (size_t i = 1; i < s->n; i++) {
        size_t at = hash64(HASH64_START, s->strings[i], strlen(s->strings[i])) & (n - 1);

        while (slots[at])
            at = (at + 1) & (n - 1);
        slots[at] = (uint32_t) i;
    }
    s->slots = slots;
    s->n_slots = n;
    return 0;
}

Symbol symbol_of(Symbols *s, const char *text, size_t len)
{
    size_t at;
    char *copy;

    if (s->n * 2 >= s->n_slots && symbols_rehash(s) < 0)
        return 0;
    for (at = hash64(HASH64_START, text, len) & (s->n_slots - 1); s->slots[at]; at = (at + 1) & (s->n_slots - 1)) {
        const char *known = s->strings[s->slots[at]];

        if (strncmp(known, text, len) == 0 && known[len] == '\0')
            return s->slots[at];
    }
    if (s->n == 0) {
        if (!ARENA_GROW(s->arena, s->strings, s->n, s->size))
            return 0;
        s->strings[s->n++] = "";
    }
    copy = arena_copy(s->arena, text, len);
    if (!copy || !ARENA_GROW(s->arena, s->strings, s->n, s->size))
        return 0;
    s->strings[s->n] = copy;
    s->slots[at] = (uint32_t) s->n;
    return (Symbol) s->n++;
}
