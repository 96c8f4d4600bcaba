/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_HEAD_H
#define MOSS_SWAP_HEAD_H

/* agents/NAME/head.json: the one file that says which generation and epoch are current. Only the shim writes it, as a whole, durably:
 *
 *   {"version":1,"seq":7,"state":"STEADY","txid":1,"next_epoch":2,"cur":{"generation":"<digest>","epoch":1},"cand":null,
 *    "prev":{"generation":"<digest>","epoch":0},"fallback":null,
 *    "aside":[{"generation":"<digest>","epoch":3,"served_usec":61000000}],"served":false,"served_at":0,"restarts":0,"recoveries":0,
 *    "outcome":"committed","boot_id":"<uuid>","reason":"","consent":"<digest>","rehearsed":true,"sha256":"<of the canonical form of all the rest>"}
 *
 * A file whose sha256 is wrong is refused (-EUCLEAN): a guess could start new code on old state.
 *
 * head.journal: what is written while clients wait. Two blocks of HEAD_BLOCK_SIZE that are written over in place and in turn, each a head like that with
 * one more member: "after", the sha256 of the head.json that it goes beyond. What stands is the block with the highest seq of those that are whole and go beyond the
 * head.json that there is, or that. A block that is not whole was cut off while it was written, and licensed nothing; the other one stands then. It takes one flush, no
 * space, and waits for nothing that others do to the file system; replacing a file takes two flushes with their commits of the file system's own journal. */

#include "core.h"
#include "runtime/base/error.h"

/* Loads the head; where there is none yet, makes it from initial.json {"generation","epoch"}: *ret_fresh says so. */
int head_load(int agent_dir, Head *ret, bool *ret_fresh, Error *e);

/* Begins as {.dir = …}, which is the caller's. */
typedef struct HeadFile {
    int dir;
    bool journal;           /* it is there: from the first head.json on that is written */
    unsigned block;         /* of it, to be written next: not the one that stands */
    char base[DIGEST_SIZE]; /* the sha256 of head.json; "": it is not known, or in doubt */
} HeadFile;

/* 0: durable. -EINPROGRESS: in doubt (see file.h), the act that it licenses must not be done. Else nothing has changed. `soon`: into the journal, if it can be. A full disk is met
 * with the reserve, a file of a few blocks beside head.json that is given up for it: the way back needs no free space. */
int head_save(HeadFile *file, const Head *head, bool soon, Error *e);

#endif
