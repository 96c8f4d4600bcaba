/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_EVIDENCE_DETECT_H
#define MOSS_EVIDENCE_DETECT_H

/* Where the agent did badly: the rules of agent.json ("evidence") against the turns of a corpus.
 *
 * A rule "on user" marks a message as a complaint: it is about the last message before it in the same session that is no complaint itself; its
 * capture group `expect` is the text that the answer should have held. "on assistant" marks an answer, "on error" a turn that ended in an error, "on
 * end" one that was never answered although the session went on, or ended. Where a complaint names the expected text, the other hits on its turn are
 * left out. */

#include "session.h"

typedef struct Rules Rules; /* compiled */

int rules_compile(const Agent *agent, Rules **ret, Error *e);
Rules *rules_free(Rules *rules);
static inline void rules_freep(Rules **r)
{
    rules_free(*r);
}

/* Does a line alone give reason to look closer? */
bool rules_match_event(const Rules *rules, const Event *event);

typedef struct Hit {
    const EvidenceRule *rule;
    size_t turn;      /* that went badly */
    size_t complaint; /* turn that says so; SIZE_MAX: none */
    char *expected;   /* or NULL */
    size_t file;      /* where the line stands that gave it away */
    uint64_t offset;
} Hit;

typedef struct Hits {
    Hit *hits;
    size_t n, size;
    bool *complaints; /* by turn of the corpus */
} Hits;

/* `ended` (by file, may be NULL): sessions whose last line is in this file have ended. */
int detect(const Rules *rules, const Corpus *corpus, const bool *ended, Hits *ret, Error *e);
void hits_done(Hits *hits);

#endif
