/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CONSENT_CONSENT_H
#define MOSS_CONSENT_CONSENT_H

/* Consent: a human's approval of exactly one change, used once.
 *
 * A request is one line of canonical JSON (sorted keys, no spaces) and a newline:
 *
 *     {"agent":"clerk","base_generation":"…","batch":"b-0001","commit":"…","diff_digest":"…","evidence_digest":"…","evolution":"e-0001",
 *      "expires":"2026-02-01T12:00:00Z","generation":"…","nonce":"<32 hex digits>","scores_digest":"…","version":1}
 *
 *     consent_request(&facts, CONSENT_SECONDS, &text, e);        the operator reads and signs it, wherever his key is:
 *                                                                ssh-keygen -Y sign -f KEY -n moss-consent FILE
 *     consent_by_signature(&place, &facts, text, signature, &grant, e);
 *
 * or, at a terminal where no allowed_signers file is configured,
 *
 *     consent_by_typing(&place, &facts, what he typed, &grant, e);
 *
 * Both check everything and then record the nonce durably (consents/<nonce>.json in the agent's directory). Only what returned 0 licenses a swap. A
 * consent is refused when its key or namespace is another one, when any of the facts is not what it was signed over (the error names it), when it
 * expired, and when it was used before (the error says when).
 *
 * Expiry is by the host's wall clock: it is a date that people agree on. It only ever shortens what a signature is good for. */

#include <jansson.h>

#include "runtime/base/error.h"
#include "runtime/base/hash.h"

#define CONSENT_NAMESPACE "moss-consent"
#define CONSENT_SECONDS (7U * 24 * 3600)
#define CONSENT_TYPED_DIGITS 8
#define CONSENT_REQUEST_MAX ((size_t) 16 << 10)

/* What a consent is bound to, as it is now. */
typedef struct ConsentFacts {
    const char *agent, *evolution, *batch;
    const char *generation, *commit; /* of the candidate */
    const char *base_generation;     /* that it replaces */
    const char *diff_digest, *evidence_digest, *scores_digest;
} ConsentFacts;

typedef struct ConsentPlace {
    const char *agent_directory; /* <store>/agents/NAME */
    const char *allowed_signers; /* or NULL */
} ConsentPlace;

typedef struct ConsentGrant {
    json_t *record;           /* what consents/<nonce>.json holds */
    char digest[DIGEST_SIZE]; /* of it */
} ConsentGrant;

int consent_request(const ConsentFacts *facts, unsigned valid_seconds, char **ret_text, Error *e);

int consent_by_signature(const ConsentPlace *place, const ConsentFacts *facts, const char *request,
                         const char *signature, ConsentGrant *ret, Error *e);

/* `typed`: the first CONSENT_TYPED_DIGITS digits of the candidate's generation. */
int consent_by_typing(const ConsentPlace *place, const ConsentFacts *facts, const char *typed, ConsentGrant *ret,
                      Error *e);

void consent_grant_done(ConsentGrant *grant);

#endif
