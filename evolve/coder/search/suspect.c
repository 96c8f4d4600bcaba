/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/suspect.h"

#include <math.h>

#define WITHOUT_TRACE 0.35
#define BRANCH_NOT_TAKEN 0.12
#define NEVER_RUN 0.004
#define OUTSIDE_FUNCTIONS 0.6
#define HEADER_OF_FUNCTION 0.6
#define INITIALISER 0.4 /* runs for everybody, and mostly keeps what it is given */
#define NEAR_ENOUGH 0.9
#define CROWDING 0.5

/* ---- words ---- */

typedef struct Vocabulary {
    const Hints *hints;
    uint32_t *seen_by; /* for each of the hints' words: functions that have it */
    uint32_t *mark;    /* the last function that had it */
    uint32_t current;
    double found; /* of the current function, in the second pass */
    size_t n_functions;
} Vocabulary;

static size_t word_index(const Hints *h, Symbol word)
{
    for (size_t i = 0; i < h->n_words; i++)
        if (h->words[i].word == word)
            return i;
    return SIZE_MAX;
}

static int count_word(void *context, Symbol word)
{
    Vocabulary *v = context;
    size_t i = word_index(v->hints, word);

    if (i != SIZE_MAX && v->mark[i] != v->current) {
        v->mark[i] = v->current;
        v->seen_by[i]++;
    }
    return 0;
}

static int score_word(void *context, Symbol word)
{
    Vocabulary *v = context;
    size_t i = word_index(v->hints, word);

    if (i != SIZE_MAX && v->mark[i] != v->current) {
        double share = MIN(1.0, v->hints->words[i].weight / (double) MAX(v->hints->n_tasks, 1U));

        v->mark[i] = v->current;
        v->found += share * log((double) (v->n_functions + 1) / v->seen_by[i]);
    }
    return 0;
}

static int function_words(Tree *tree, const File *f, const Function *fn, WordCall call, Vocabulary *v)
{
    uint32_t first = f->statements[fn->header].first, last = f->statements[fn->end - 1].last;

    v->current++;
    return words_of(tree->symbols, f->text + f->lines[first], f->lines[last + 1] - f->lines[first], call, v);
}

static int each_function(Tree *tree, WordCall call, Vocabulary *v, double *ret_most)
{
    double most = 0;

    for (size_t i = 0; i < tree->n_files; i++)
        for (size_t k = 0; k < tree->files[i].n_functions; k++) {
            int r;

            v->found = 0;
            r = function_words(tree, &tree->files[i], &tree->files[i].functions[k], call, v);
            if (r < 0)
                return r;
            tree->files[i].functions[k].words = v->found;
            most = MAX(most, v->found);
        }
    *ret_most = most;
    return 0;
}

static int weigh_words(Arena *arena, Tree *tree, const Hints *h)
{
    Vocabulary v = {.hints = h};
    double most;
    int r;

    v.seen_by = arena_alloc(arena, (h->n_words + 1) * sizeof(*v.seen_by));
    v.mark = arena_alloc(arena, (h->n_words + 1) * sizeof(*v.mark));
    if (!v.seen_by || !v.mark)
        return -ENOMEM;
    for (size_t i = 0; i < tree->n_files; i++)
        v.n_functions += tree->files[i].n_functions;
    r = each_function(tree, count_word, &v, &most);
    if (r >= 0)
        r = each_function(tree, score_word, &v, &most);
    if (r < 0)
        return r;
    for (size_t i = 0; i < tree->n_files && most > 0; i++)
        for (size_t k = 0; k < tree->files[i].n_functions; k++)
            tree->files[i].functions[k].words /= most;
    return 0;
}

/* ---- spectrum ---- */

static void count_lines(File *f, const Hints *h)
{
    size_t low = 0;

    while (low < h->n_executed && strcmp(h->executed[low].path, f->path) < 0)
        low++;
    for (uint32_t i = 0; i < f->n_statements && low < h->n_executed; i++) {
        Statement *s = &f->statements[i];

        for (; low < h->n_executed && streq(h->executed[low].path, f->path) && h->executed[low].line <= s->last + 1;
             low++) {
            if (h->executed[low].line < s->first + 1)
                continue;
            s->failing = MAX(s->failing, h->executed[low].failing);
            s->passing = MAX(s->passing, h->executed[low].passing);
        }
    }
}

static double spectrum(const Hints *h, const Statement *s)
{
    double failing = (double) s->failing / MAX(h->failing, 1U);
    double passing = h->passing ? (double) s->passing / h->passing : failing;
    double sum = failing + passing;

    return sum > 0 ? failing * failing / sum : 0;
}

static bool function_ran(const File *f, uint32_t function)
{
    const Function *fn = &f->functions[function];

    for (uint32_t i = fn->header + 1; i < fn->end; i++)
        if (f->statements[i].failing)
            return true;
    return false;
}

static double suspicion_of(const File *f, const Hints *h, const Statement *s)
{
    double words = s->function == NONE ? 0 : f->functions[s->function].words, base;

    if (h->failing == 0)
        return (s->function == NONE ? WITHOUT_TRACE * OUTSIDE_FUNCTIONS : WITHOUT_TRACE) * (0.4 + words);
    base = spectrum(h, s);
    if (s->function == NONE)
        return base * OUTSIDE_FUNCTIONS;
    if (base <= 0)
        base = function_ran(f, s->function) ? BRANCH_NOT_TAKEN : NEVER_RUN;
    if (f->functions[s->function].initialises)
        base *= INITIALISER;
    return base * (0.7 + words);
}

/* A function's header ran when the module was read, an else or a try never runs: they are as suspicious as what they hold. */
static void lift_headers(File *f, const Hints *h)
{
    for (uint32_t i = (uint32_t) f->n_statements; i-- > 0;) {
        Statement *s = &f->statements[i];
        double most = 0;

        if (s->end == i + 1 || s->kind == STATEMENT_CLASS)
            continue;
        for (uint32_t k = i + 1; k < s->end; k++)
            most = MAX(most, f->statements[k].suspicion);
        if (s->kind == STATEMENT_FUNCTION)
            s->suspicion = most * HEADER_OF_FUNCTION;
        else if (s->failing == 0 && h->failing > 0)
            s->suspicion = most;
    }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return x > y ? -1 : x < y;
}

/* A fault is in one place: the more places are as suspicious as this one, the less each of them is. */
static int share_out(Arena *arena, Tree *tree)
{
    double *all;
    size_t n = 0;

    for (size_t i = 0; i < tree->n_files; i++)
        n += tree->files[i].n_statements;
    all = arena_alloc(arena, (n + 1) * sizeof(*all));
    if (!all)
        return -ENOMEM;
    n = 0;
    for (size_t i = 0; i < tree->n_files; i++)
        for (size_t k = 0; k < tree->files[i].n_statements; k++)
            all[n++] = tree->files[i].statements[k].suspicion;
    if (n > 0)
        qsort(all, n, sizeof(*all), by_size);
    for (size_t i = 0; i < tree->n_files; i++)
        for (size_t k = 0; k < tree->files[i].n_statements; k++) {
            Statement *s = &tree->files[i].statements[k];
            size_t low = 0, high = n;

            while (low < high) { /* how many are about as suspicious, or more */
                size_t middle = low + (high - low) / 2;

                if (all[middle] >= s->suspicion * NEAR_ENOUGH)
                    low = middle + 1;
                else
                    high = middle;
            }
            s->suspicion *= pow((double) MAX(low, (size_t) 1), -CROWDING);
        }
    return 0;
}

int suspect(Arena *arena, Tree *tree, const Hints *hints)
{
    int r = weigh_words(arena, tree, hints);

    if (r < 0)
        return r;
    for (size_t i = 0; i < tree->n_files; i++) {
        File *f = &tree->files[i];

        count_lines(f, hints);
        for (uint32_t k = 0; k < f->n_statements; k++)
            f->statements[k].suspicion = suspicion_of(f, hints, &f->statements[k]);
        lift_headers(f, hints);
    }
    return share_out(arena, tree);
}
