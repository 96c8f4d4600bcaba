/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_SCHEMA_H
#define MOSS_SWAP_SCHEMA_H

/* The stamp of a state volume, .moss/schema in it: which form the state has, and which generations can read it.
 *
 *     {"writer":3,"minReader":2}    written by code of schema 3; code of schema 2 or newer can read it
 *
 * A generation that stamps does so each time that it starts, before it writes anything in a form of its own; so the stamp of the epoch on which it ran
 * says what it is. Worked example: generation A (schema 2) leaves {"writer":2,"minReader":2} in epoch 4. Candidate B (schema 3) adds a column, which A's code does
 * not look at, and stamps its clone, epoch 5, with {"writer":3,"minReader":2}: A can read that, and a late roll-back keeps what clients wrote through B. Candidate C
 * rewrites the tables and stamps {"writer":4,"minReader":4}: A cannot, and goes back to epoch 4, while epoch 5 is set aside.
 *
 * An agent that stamps nothing, before as after, is taken for one that changes nothing. Whatever is doubtful (not JSON, another member, a negative number, a minReader above
 * the writer, more than 4 KiB, a symbolic link, a stamp that a candidate has taken away) means: cannot be read. */

#include "runtime/base/macro.h"

/* Can the generation that ran on the old state read the new one? Both are fds of the epochs' directories. */
bool schema_readable(int old_state, int new_state);

#endif
