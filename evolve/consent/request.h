/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CONSENT_REQUEST_H
#define MOSS_CONSENT_REQUEST_H

#include "consent.h"

/* The request's object. */
int request_make(const ConsentFacts *facts, unsigned valid_seconds, json_t **ret, Error *e);

/* Parses a request and compares it with the facts. -ESTALE: something drifted; -ETIME: it expired; -EBADMSG: it is no request. */
int request_check(const char *text, const ConsentFacts *facts, json_t **ret, Error *e);

/* The principal whose key made this signature over the text, by allowed_signers. The caller frees. `directory`: where a file may be put meanwhile. */
int signature_verify(const char *directory, const char *allowed_signers, const char *text, const char *signature,
                     char **ret_principal, Error *e);

#endif
