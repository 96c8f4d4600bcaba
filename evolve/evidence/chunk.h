/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_EVIDENCE_CHUNK_H
#define MOSS_EVIDENCE_CHUNK_H

/* Chunks: a stretch of a user session in which the agent did badly, with all that is needed to replay it; secrets are replaced (redact.h).
 *
 *   evidence/chunks/<id>.json
 *     {"version":1,"id":"<sha256>","rule":"correction","session":"s-7","user":"ann","words":["That is wrong. I expected: 12.50 EUR"],
 *      "turns":[{"user":"ann","session":"s-7","text":"What do I owe?","reply":"Nothing."}],     the whole session up to the turn that went badly
 *      "graders":[{"kind":"expect","turn":0,"contains":"12.50 EUR"}],
 *      "variants":[{"turns":[…],"graders":[…]}]}                                              with more of what came before; the narrowest first
 *
 * The id is the digest of everything but the variants: where those end depends on how much was at hand when the chunk was made. */

#include "detect.h"

#define CHUNK_BYTES_MAX ((size_t) 4 << 20)

typedef struct ChunkSpec {
    const char *rule;
    size_t turn;       /* of the corpus: the last one that is replayed */
    const char *words; /* or NULL */
    json_t *graders;   /* "turn" counts turns of the corpus */
} ChunkSpec;

/* -EFBIG: the session is too large to be a task. */
int chunk_make(const Corpus *corpus, const ChunkSpec *spec, json_t **ret, Error *e);

/* The chunk of a hit: its rule says which grader it gets. */
int chunk_of_hit(const Corpus *corpus, const Hit *hit, json_t **ret, Error *e);

/* A chunk of a session that went well: every answer is to stay what it was. */
int chunk_of_guard(const Corpus *corpus, size_t last_turn, json_t **ret, Error *e);

/* Writes it durably. 1: it is new; 0: it was there. `evidence_dir`: <agent>/evidence. */
int chunk_write(int evidence_dir, const json_t *chunk, Error *e);

/* All chunks, by id, but those whose id is a key of `without` (may be NULL). -EUCLEAN: one is not what its name says. */
int chunks_load(int evidence_dir, const json_t *without, json_t **ret, Error *e);

#endif
