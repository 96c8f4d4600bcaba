/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_EVIDENCE_CURSOR_H
#define MOSS_EVIDENCE_CURSOR_H

/* How far each session file was read.
 *
 *   evidence/cursors.json   {"version":1,"files":{"s-7.jsonl":{"offset":4711,"size":4711,"anchor":"<sha256>","skipping":false,"open":false,"ended":true}}}
 *
 * A file is known by its name. The anchor is the digest of the bytes just before the offset: where it still fits, the file is the one that was read, also after
 * a swap copied it into another epoch (another inode); where it does not, the file was truncated or written anew and is read from its start. */

#include <jansson.h>

#include "runtime/base/error.h"
#include "runtime/base/hash.h"

typedef struct Cursor {
    uint64_t offset; /* the next byte to read */
    uint64_t size;   /* of the file when it was last looked at */
    char anchor[DIGEST_SIZE];
    bool skipping; /* the offset is within a line that is too long */
    bool open;     /* the last message in it has no answer yet */
    bool ended;    /* the file did not grow between two looks: its sessions count as ended */
} Cursor;

/* `cursors` is the "files" object; missing file, missing entry: the zero cursor. A damaged cursors.json is an error: reading everything again would be
 * correct, but is the operator's to decide (by removing it). */
int cursors_load(int evidence_dir, json_t **ret_cursors, Error *e);
int cursors_save(int evidence_dir, const json_t *cursors, Error *e);

int cursor_get(const json_t *cursors, const char *name, Cursor *ret, Error *e);
int cursor_set(json_t *cursors, const char *name, const Cursor *cursor);

/* The digest of up to 256 bytes before `offset`. */
int cursor_anchor(int fd, uint64_t offset, char ret[static DIGEST_SIZE]);

#endif
