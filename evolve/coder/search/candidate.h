/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SEARCH_CANDIDATE_H
#define MOSS_SEARCH_CANDIDATE_H

/* Candidates: how an operator proposes an edit, and what it is worth.
 *
 * An operator describes the change; candidate_*() writes it out, throws it away when it cannot be right (brackets uneven, a name that has no
 * value there, nothing changed, proposed before) and gives it its score:
 *
 *     suspicion of the statement × prior of the operator × weight within the operator × plausibility
 *
 * Plausibility is how usual the text becomes by the change: the share of the new token pairs and triples that the tree has elsewhere, and more when
 * the ones that go were found nowhere else. Programs repeat themselves; a fault is where one does not.
 *
 * All return 0, also for what was thrown away, or -ENOMEM. */

#include "evolve/coder/search/hints.h"

typedef enum Operator {
    OPERATOR_SIBLING,  /* a statement that others have in this place */
    OPERATOR_INSERT,   /* a statement of the surroundings */
    OPERATOR_RESEMBLE, /* replaced by a similar statement */
    OPERATOR_DELETE,
    OPERATOR_UNWRAP,  /* a header goes, its block stays */
    OPERATOR_SWAP,    /* two neighbours */
    OPERATOR_INDENT,  /* into or out of a block */
    OPERATOR_FLOW,    /* break, continue, return, pass, raise */
    OPERATOR_HANDLER, /* what an except clause does */
    OPERATOR_COMPARE,
    OPERATOR_CONDITION, /* negated, a part dropped */
    OPERATOR_NUMBER,
    OPERATOR_ARITHMETIC,
    OPERATOR_TRUTH,
    OPERATOR_SLICE,
    OPERATOR_INDEX,
    OPERATOR_NAME,  /* another name in scope */
    OPERATOR_NAMES, /* the same in several places at once */
    OPERATOR_ATTRIBUTE,
    OPERATOR_METHOD,
    OPERATOR_STRING,
    OPERATOR_PIECE,   /* a part of an interpolated string or a key */
    OPERATOR_ORDER,   /* elements of a list, a merge, arguments */
    OPERATOR_ELEMENT, /* an element added or dropped */
    OPERATOR_CALL,    /* a call put around or taken off */
    OPERATOR_CHOICE,  /* one side of or, and, if-else */
    OPERATOR_OWN,     /* one shared object becomes one each */
    OPERATOR_PAIR,    /* two improvements of earlier iterations */
    OPERATORS,
} Operator;

typedef struct Edit {
    const File *file;
    uint32_t first, n; /* lines replaced, from 0; n = 0 inserts before `first` */
    const char *text;  /* lines, joined by newlines, none at the end; NULL: no line */
} Edit;

#define EDITS_MAX 4
#define EDIT_LINES_MAX 60 /* that a candidate takes away, and that it puts in their place */

typedef struct Candidate {
    Edit *edits;
    uint32_t n_edits;
    Operator op;
    const File *file; /* of the statement that it was made for */
    uint32_t statement;
    double score;
    uint64_t hash;
} Candidate;

typedef struct Search {
    Arena *arena;
    Arena *scratch; /* for one candidate at a time */
    Symbols *symbols;
    Tree *tree;
    const Hints *hints;
    Candidate *candidates;
    size_t n, size;
    size_t limit;     /* that may be kept before they are ranked */
    uint64_t *hashes; /* of those proposed or tried: open addressing */
    size_t n_hashes, n_slots;
} Search;

/* Where an operator works. */
typedef struct Site {
    Search *search;
    const File *file;
    uint32_t at; /* the statement */
} Site;

/* Tokens [from, to) of the statement become `text`; from = to inserts. */
typedef struct Change {
    uint32_t from, to;
    const char *text;
} Change;

const char *operator_name(Operator op);

static inline const Statement *site_statement(const Site *site)
{
    return &site->file->statements[site->at];
}
static inline const Token *site_tokens(const Site *site)
{
    return statement_tokens(site->file, site_statement(site));
}
/* The statement's tokens [from, to) as they are written; belongs to the arena; NULL without memory. */
char *site_text(const Site *site, uint32_t from, uint32_t to);

/* Changes within one statement, in the order of the tokens. */
int candidate_change(const Site *site, const Change *changes, size_t n, Operator op, double weight);
/* One of them. */
int candidate_replace(const Site *site, uint32_t from, uint32_t to, const char *text, Operator op, double weight);
/* Whole lines: `n` from `first` on become `text`. A deletion that would leave a block empty leaves a `pass`. */
int candidate_lines(const Site *site, uint32_t first, uint32_t n, const char *text, Operator op, double weight);
/* Several edits at once, not overlapping; copied. */
int candidate_edits(const Site *site, const Edit *edits, uint32_t n, Operator op, double weight);

/* The statement's text with the changes made; belongs to the arena; NULL without memory. */
char *change_text(const Site *site, const Change *changes, size_t n);

/* Equal for edits with equal results. search_know() notes one, so that it is not proposed (again). */
uint64_t edits_hash(const Edit *edits, uint32_t n);
int search_know(Search *s, uint64_t hash, bool *ret_new);

/* How many lines the text has; 0 for NULL. */
size_t text_lines(const char *text);

#endif
