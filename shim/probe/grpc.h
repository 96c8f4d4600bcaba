/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_PROBE_GRPC_H
#define MOSS_PROBE_GRPC_H

/* One call of grpc.health.v1.Health/Check over HTTP/2 without TLS, as Kubernetes makes it. Only what one call needs: what is sent is made at once; of what comes back, the
 * frames of the one stream are read and their headers passed over, so there is no HPACK to decode: a call that is refused has no message. Settings are not acknowledged,
 * since the connection ends before anybody could miss that. Pure.
 * Sources: RFC 9113 (frames), RFC 7541 (header fields), gRPC's PROTOCOL-HTTP2.md and health checking protocol. */

#include "runtime/base/error.h"
#include "shim/agent/agent.h"

/* What to send; the caller frees. NULL: out of memory. */
char *grpc_request(const ProbeSpec *spec, size_t *ret_len);

/* `data`: all that was received so far; `end`: nothing more will come. 0: SERVING. -EAGAIN: more is needed. Else *e says why not. */
int grpc_judge(const char *data, size_t len, bool end, Error *e);

#endif
