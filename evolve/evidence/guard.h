/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_EVIDENCE_GUARD_H
#define MOSS_EVIDENCE_GUARD_H

/* Guards: sessions that nobody complained about, as different from each other as there are. What the agent answered in them is to stay as it was. */

#include "detect.h"

/* At most `max` chunks (chunk_of_guard()). Sessions that hang on nothing earlier of the same user come first: they replay by themselves. */
int guards_choose(const Corpus *corpus, const Rules *rules, size_t max, json_t **ret_chunks, Error *e);

#endif
