/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_EVIDENCE_REDACT_H
#define MOSS_EVIDENCE_REDACT_H

/* Secrets in user sessions are replaced before anything is kept: e-mail addresses, tokens and keys, passwords that are named as such, card numbers.
 *
 *     Redactor r = {};
 *     text = redact_text(&r, "my card is 4111 1111 1111 1111");     "my card is 0000 0000 0026 1111"
 *     redact_json(&r, chunk);                                       all strings in it, in place
 *     redactor_done(&r);
 *
 * With one Redactor the same secret always becomes the same placeholder, and two secrets never the same one: a session that is replayed with placeholders behaves as
 * with the secrets, and a grader that was redacted with it still fits. A placeholder looks like what it stands for (an e-mail address is still one, a card number
 * still passes the Luhn check and keeps its grouping and its last four digits, which agents show), so that the agent's own checks treat it alike; and it is
 * no secret to another Redactor: redacting twice changes nothing more. */

#include <jansson.h>

#include "runtime/base/error.h"

typedef struct Redactor {
    json_t *map; /* secret → placeholder; NULL while there are none */
    unsigned n;
} Redactor;

/* A new string that the caller frees, or NULL when out of memory. */
char *redact_text(Redactor *r, const char *text);

/* Every string below `value` (object values and array items, not keys). 0 or -ENOMEM. */
int redact_json(Redactor *r, json_t *value);

void redactor_done(Redactor *r);

#endif
