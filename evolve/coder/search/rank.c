/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "evolve/coder/search/search.h"

/* How fast one statement's, and one function's, further candidates fall back behind others'. */
#define STATEMENT_DECAY 0.6
#define OPERATOR_DECAY 0.5 /* of one operator at one statement */
#define FUNCTION_DECAY 0.15
#define FUNCTION_SHARE 20.0

static int by_score(const void *a, const void *b)
{
    const Candidate *x = a, *y = b;
    int c;

    if (x->score < y->score || x->score > y->score)
        return x->score > y->score ? -1 : 1;
    c = strcmp(x->file->path, y->file->path);
    if (c)
        return c;
    if (x->statement != y->statement)
        return x->statement < y->statement ? -1 : 1;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* How many of the file's candidates came before, by statement and by function. */
typedef struct Turns {
    uint32_t *statements, *functions;
    uint32_t (*operators)[OPERATORS]; /* by statement */
} Turns;

static Turns *turns_new(Search *s)
{
    const Tree *tree = s->tree;
    Turns *turns = arena_alloc(s->arena, (tree->n_files + 1) * sizeof(*turns));

    for (size_t i = 0; turns && i < tree->n_files; i++) {
        turns[i].statements = arena_alloc(s->arena, (tree->files[i].n_statements + 1) * sizeof(uint32_t));
        turns[i].functions = arena_alloc(s->arena, (tree->files[i].n_functions + 1) * sizeof(uint32_t));
        turns[i].operators = arena_alloc(s->arena, (tree->files[i].n_statements + 1) * sizeof(*turns[i].operators));
        if (!turns[i].statements || !turns[i].functions || !turns[i].operators)
            return NULL;
    }
    return turns;
}

void search_rank(Search *s)
{
    Turns *turns = turns_new(s);

    if (s->n == 0)
        return;
    qsort(s->candidates, s->n, sizeof(*s->candidates), by_score);
    if (!turns)
        return; /* without memory: by score alone */
    for (size_t i = 0; i < s->n; i++) {
        Candidate *c = &s->candidates[i];
        Turns *t = &turns[c->file - s->tree->files];

        c->score *= pow(1 + t->operators[c->statement][c->op]++, -OPERATOR_DECAY);
    }
    qsort(s->candidates, s->n, sizeof(*s->candidates), by_score);
    for (size_t i = 0; i < s->n; i++) {
        Candidate *c = &s->candidates[i];
        Turns *t = &turns[c->file - s->tree->files];
        uint32_t function = c->file->statements[c->statement].function;
        uint32_t *of_function = &t->functions[function == NONE ? c->file->n_functions : function];

        c->score *= pow(1 + t->statements[c->statement]++, -STATEMENT_DECAY);
        if (function != NONE)
            c->score *= pow(1 + (*of_function)++ / FUNCTION_SHARE, -FUNCTION_DECAY);
    }
    qsort(s->candidates, s->n, sizeof(*s->candidates), by_score);
}
