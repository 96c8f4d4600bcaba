/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_EVIDENCE_EVIDENCE_H
#define MOSS_EVIDENCE_EVIDENCE_H

/* From session files to chunks.
 *
 *     evidence/cursors.json          how far each session file was read (cursor.h)
 *     evidence/chunks/<id>.json      what users complained about (chunk.h)
 *     evidence/lock                  held while either is written
 *
 * A chunk is on disk before the cursor moves past the lines it came from, and its name is the digest of its content: killed at any point, the next run loses
 * nothing and finds nothing twice. What is wrong with a session file (lines that are no JSON, too long, cut off…) is counted, and never stops
 * the others from being read. */

#include <jansson.h>

#include "runtime/base/error.h"
#include "shim/agent/agent.h"

/* Reads what is new in the session files of the current epoch. *ret_report counts, of this run:
 *   "files" there, "read", "bytes", "lines"; "chunks" found, "new_chunks" of them; lines that are "malformed" (no JSON object), "too_long" (more than 1 MiB),
 *   "cut_off" (no newline yet: left for the next run); files that were "truncated" (or written anew) since; sessions "too_large" for a task; and
 *   "skipped": [{"file","why"}]: what is no readable regular file. An agent that has written no session yet has none to read: that is no error. */
int evidence_catch_up(const char *store_path, const Agent *agent, json_t **ret_report, Error *e);

typedef struct FlagSpec {
    const char *session; /* the last session when NULL */
    const char *user;    /* that the session must belong to, or NULL */
    unsigned turn;       /* the user's message, from 1; 0: the last one */
    const char *expect;  /* text that the answer should have held, or NULL */
    const char *words;   /* the user's complaint in his own words, or NULL */
} FlagSpec;

/* Makes a chunk of one session because someone says so (rule "flag"). *ret_chunk: its id, which the caller frees. -EEXIST: it was flagged before. */
int evidence_flag(const char *store_path, const Agent *agent, const FlagSpec *spec, char **ret_chunk, Error *e);

#endif
