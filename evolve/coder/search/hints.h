/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SEARCH_HINTS_H
#define MOSS_SEARCH_HINTS_H

/* What the evidence directory says, reduced to what the search can use.
 *
 * Every part may be missing: without executed/ (see executed_read()) the places are found by words alone, without words all executed lines are
 * alike. The content comes from users and from a faulty agent; each file is read up to a limit, and what is over it is left out. */

#include <jansson.h>

#include "evolve/coder/search/tree.h"

typedef struct Executed {
    const char *path;
    uint32_t line; /* from 1 */
    uint32_t failing, passing;
} Executed;

/* A word of the failing turns, in lower case: of the request, of what was expected and of what came. */
typedef struct Word {
    Symbol word;
    double weight; /* doubled where only one of expected and actual answer has it */
} Word;

/* A candidate of an earlier iteration. */
typedef struct Tried {
    json_t *edits; /* borrowed from `keep` */
    int64_t iteration;
    bool improved;
} Tried;

typedef struct Hints {
    const char **tasks; /* ids of the visible ones */
    size_t n_tasks, tasks_size;
    Executed *executed; /* sorted by path and line */
    size_t n_executed, executed_size;
    uint32_t failing, passing; /* tasks that were traced: the most that any line has */
    Word *words;
    size_t n_words, words_size;
    Tried *tried;
    size_t n_tried, tried_size;
    const char **paths; /* of the executed files, NULL-terminated */
    json_t *keep;       /* array of the documents that the above points into */
} Hints;

int hints_read(Arena *arena, Symbols *symbols, int evidence_fd, Hints *ret, Error *e);
void hints_done(Hints *h);

/* Calls `f` with each word of a text: runs of letters, split at case changes, lower case, without a plural's s, at least three letters. */
typedef int (*WordCall)(void *context, Symbol word);
int words_of(Symbols *symbols, const char *text, size_t len, WordCall f, void *context);

#endif
