/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/search.h"

#include <math.h>

#include "evolve/coder/search/ops.h"
#include "evolve/coder/search/suspect.h"

#define MEMORY_MAX ((size_t) 384 << 20)
#define SCRATCH_MAX ((size_t) 32 << 20)
#define PROPOSALS_MAX 150000
#define STATEMENTS_MAX 3000
#define TOKENS_MAX 300 /* larger statements are tables: no operator looks into them */
#define SUSPICION_MIN 1e-6

typedef struct Place {
    const File *file;
    uint32_t at;
} Place;

static double place_suspicion(const Place *p)
{
    return p->file->statements[p->at].suspicion;
}

static int by_suspicion(const void *a, const void *b)
{
    const Place *x = a, *y = b;
    double s = place_suspicion(x), t = place_suspicion(y);
    int c;

    if (s < t || s > t)
        return s > t ? -1 : 1;
    c = strcmp(x->file->path, y->file->path);
    return c ? c : x->at < y->at ? -1 : x->at > y->at;
}

static bool is_open(const Statement *s)
{
    return s->n <= TOKENS_MAX && s->suspicion > SUSPICION_MIN && s->kind != STATEMENT_IMPORT &&
           s->kind != STATEMENT_TEXT && s->kind != STATEMENT_CLOSER && s->kind != STATEMENT_CLASS;
}

static int find_places(Search *s, Place **ret, size_t *ret_n)
{
    Place *places = NULL;
    size_t n = 0, size = 0;

    for (size_t f = 0; f < s->tree->n_files; f++)
        for (uint32_t i = 0; i < s->tree->files[f].n_statements; i++) {
            if (!is_open(&s->tree->files[f].statements[i]))
                continue;
            if (!ARENA_GROW(s->arena, places, n, size))
                return -ENOMEM;
            places[n++] = (Place){&s->tree->files[f], i};
        }
    if (n > 0)
        qsort(places, n, sizeof(*places), by_suspicion);
    *ret = places;
    *ret_n = MIN(n, (size_t) STATEMENTS_MAX);
    return 0;
}

static int work_on(const Site *site)
{
    int (*const operators[])(const Site *) = {ops_reuse,    ops_statement, ops_handler, ops_condition, ops_number,
                                              ops_sequence, ops_element,   ops_name,    ops_text,      ops_call};

    for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
        int r = operators[i](site);

        if (r < 0)
            return r;
    }
    return 0;
}

int search_propose(Search *s, size_t limit, Error *e)
{
    Place *places;
    size_t n;
    int r = search_learn(s);

    if (r >= 0)
        r = find_places(s, &places, &n);
    for (size_t i = 0; r >= 0 && i < n && s->n < s->limit; i++)
        r = work_on(&(const Site){.search = s, .file = places[i].file, .at = places[i].at});
    if (r < 0 && s->n == 0)
        return error_setf(e, r, "no memory left to work out candidates");
    /* out of memory with something in hand: the most suspicious places came first */
    search_rank(s);
    s->n = MIN(s->n, limit);
    return 0;
}

int search_open(Session *ret, int worktree_fd, int evidence_fd, Error *e)
{
    int r;

    *ret = (Session){.arena.limit = MEMORY_MAX, .scratch.limit = SCRATCH_MAX, .symbols.arena = &ret->arena};
    r = hints_read(&ret->arena, &ret->symbols, evidence_fd, &ret->hints, e);
    if (r >= 0)
        r = tree_read(&ret->arena, &ret->symbols, worktree_fd, ret->hints.paths, &ret->tree, e);
    if (r >= 0 && suspect(&ret->arena, &ret->tree, &ret->hints) < 0)
        r = error_setf(e, -ENOMEM, "no memory left to weigh the evidence");
    ret->search = (Search){.arena = &ret->arena,
                           .scratch = &ret->scratch,
                           .symbols = &ret->symbols,
                           .tree = &ret->tree,
                           .hints = &ret->hints,
                           .limit = PROPOSALS_MAX};
    return r;
}

void search_close(Session *s)
{
    hints_done(&s->hints);
    arena_done(&s->scratch);
    arena_done(&s->arena);
}
