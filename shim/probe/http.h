/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_PROBE_HTTP_H
#define MOSS_PROBE_HTTP_H

/* The client side of one HTTP/1.1 GET, strict and bounded: no redirects, at most 8 KiB of headers and 10 KiB of body. Pure: the bytes come from elsewhere. */

#include <jansson.h>

#include "runtime/base/error.h"
#include "shim/agent/agent.h"

#define HTTP_HEADERS_MAX 8192U
#define HTTP_BODY_MAX 10240U
#define HTTP_ANSWER_MAX (HTTP_HEADERS_MAX + 2 * HTTP_BODY_MAX)

/* The request; the caller frees. NULL: out of memory. */
char *http_request(const ProbeSpec *spec);

/* Judges what was received so far; `end`: nothing more will come. 1: the probe has passed. -EAGAIN: more is needed. Else it has failed, *e says why.
 * A status from 200 to 399 passes, and where the probe names a jsonBody, each of its members must be in the answer; "$MOSS_NONCE" and
 * "$MOSS_GENERATION" stand for what this incarnation was given. */
int http_judge(const ProbeSpec *spec, const char *data, size_t len, bool end, const char *nonce, const char *generation,
               Error *e);

#endif
