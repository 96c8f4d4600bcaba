/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_PROBE_HTTP_H
#define MOSS_PROBE_HTTP_H

/* The client side of one HTTP/1.1 request, strict and bounded: no redirects, at most 8 KiB of head. Pure: the bytes come from elsewhere.
 *
 *     http_read(data, len, end, &answer, e)      after each piece, until it is no longer -EAGAIN
 *     http_judge(spec, &answer, …, e)
 *
 * An answer is whole when its body has been read to the end, by its length, its chunks or the end of the connection, or as far as the limit of 10 KiB, where the
 * rest is not waited for: a probe that looks into the body fails then, for others the status decides, as for Kubernetes. */

#include <jansson.h>

#include "runtime/base/error.h"
#include "shim/agent/agent.h"

#define HTTP_HEAD_MAX 8192U
#define HTTP_BODY_MAX 10240U
/* Room for both, and for what chunks of a few bytes cost. More is an error. */
#define HTTP_ANSWER_MAX (HTTP_HEAD_MAX + 2 * HTTP_BODY_MAX)

typedef struct HttpAnswer {
    unsigned status;
    bool cut; /* the body goes on */
    size_t len;
    char body[HTTP_BODY_MAX + 1]; /* NUL-terminated behind its end */
} HttpAnswer;

/* The request; the caller frees. NULL: out of memory. */
char *http_request(const ProbeSpec *spec);

/* `data`: all that was received so far; `end`: nothing more will come. 0: *ret is the answer. -EAGAIN: more is needed. Else it is no good HTTP, *e says why;
 * ret->status is set if that much was understood. */
int http_read(const char *data, size_t len, bool end, HttpAnswer *ret, Error *e);

/* Is it what the probe wants? Where the spec names no status, 200 to 399. "$MOSS_NONCE" and "$MOSS_GENERATION" in its jsonBody stand for those of the
 * incarnation that has to answer. */
int http_judge(const ProbeSpec *spec, const HttpAnswer *answer, const char *nonce, const char *generation, Error *e);

#endif
