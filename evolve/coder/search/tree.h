/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SEARCH_TREE_H
#define MOSS_SEARCH_TREE_H

/* The source tree, as far as the search reads it, and what is usual in it.
 *
 * The tree is a stranger's: symlinks are not followed, and neither the number of its entries nor the size of a file or of all together is
 * trusted. What is over a limit, no text, or has brackets that do not match is left out. */

#include "evolve/coder/search/source.h"
#include "runtime/base/error.h"

#define TREE_ENTRIES_MAX 20000
#define TREE_DEPTH_MAX 16
#define TREE_FILE_MAX ((size_t) 512 << 10)
#define TREE_TOTAL_MAX ((size_t) 4 << 20)
#define TREE_LINE_MAX 1000 /* longer ones are generated */

typedef struct Counts {
    uint64_t *keys; /* 0: free */
    uint32_t *counts;
    size_t n, n_slots;
} Counts;

typedef struct Tree {
    Arena *arena;
    Symbols *symbols;
    File *files; /* by path */
    size_t n_files, files_size;
    size_t skipped; /* source files that were left out */
    size_t total;   /* bytes read */
    Counts counts;  /* of pairs and triples of tokens, and of the facts below */
} Tree;

/* Reads below `dirfd`: first the files that `first` lists (NULL-terminated; those that were executed), then the others, by name. */
int tree_read(Arena *arena, Symbols *symbols, int dirfd, const char *const *first, Tree *ret, Error *e);

/* Adds a file that is in memory already; `text` must outlive the tree. Used by tree_read(). */
int tree_add(Tree *tree, const char *path, const char *text, size_t len);

/* Counts what is usual; after the last file was added. */
int tree_count(Tree *tree);

/* How often these two or three tokens (c = 0: two) follow one another. */
#define TREE_EDGE ((Symbol) UINT32_MAX) /* the beginning and the end of a statement */
unsigned tree_follows(const Tree *tree, Symbol a, Symbol b, Symbol c);

/* How often the name occurs; as an attribute; how often it gets a value. */
unsigned tree_occurs(const Tree *tree, Symbol name);
unsigned tree_is_attribute(const Tree *tree, Symbol name);
unsigned tree_is_bound(const Tree *tree, Symbol name);
/* Whether methods of `class` use `attribute` of their object, or it defines it. */
unsigned tree_has_attribute(const Tree *tree, Symbol class, Symbol attribute);

/* Whether the name can stand at the statement: it is in scope, or nobody in the tree defines it although it is used. */
bool tree_name_works(const Tree *tree, const File *f, uint32_t at, Symbol name);

#endif
