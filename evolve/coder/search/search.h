/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SEARCH_SEARCH_H
#define MOSS_SEARCH_SEARCH_H

/* The whole search: evidence and source in, candidates out, best first.
 *
 *     r = search_open(&session, worktree, evidence, &e);
 *     r = search_propose(&session.search, limit, &e);
 *     … session.search.candidates[0 … n) …
 *     search_close(&session);
 *
 * The same evidence and source always give the same candidates in the same order. */

#include "evolve/coder/search/candidate.h"

typedef struct Session {
    Arena arena, scratch;
    Symbols symbols;
    Tree tree;
    Hints hints;
    Search search;
} Session;

/* Reads the evidence and the tree and finds the suspicious places. `ret` must stay where it is. */
int search_open(Session *ret, int worktree_fd, int evidence_fd, Error *e);
void search_close(Session *s);

/* Fills s->candidates: at most `limit`, ordered. */
int search_propose(Search *s, size_t limit, Error *e);

/* Takes out what earlier iterations tried, raises the places that helped, and proposes pairs of what helped. Called by search_propose(). */
int search_learn(Search *s);

/* Sorts the candidates so that good ones come first and no statement keeps the others waiting. */
void search_rank(Search *s);

#endif
