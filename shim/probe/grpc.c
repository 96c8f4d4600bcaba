/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc.h"

#include <stdio.h>

#include "runtime/base/strbuf.h"

#define FRAME_HEAD 9U
#define FRAME_MAX 16384U
#define MESSAGE_HEAD 5U
#define MESSAGE_MAX 256U

enum { FRAME_DATA = 0, FRAME_HEADERS = 1, FRAME_RST_STREAM = 3, FRAME_SETTINGS = 4, FRAME_GOAWAY = 7 };
enum { FLAG_END_STREAM = 1, FLAG_END_HEADERS = 4, FLAG_PADDED = 8 };

/* ---- the request ---- */

static void add_frame(StrBuf *b, unsigned type, unsigned flags, unsigned stream, const StrBuf *payload)
{
    size_t len = payload ? payload->len : 0;
    const unsigned char head[FRAME_HEAD] = {(unsigned char) (len >> 16),
                                            (unsigned char) (len >> 8),
                                            (unsigned char) len,
                                            (unsigned char) type,
                                            (unsigned char) flags,
                                            0,
                                            0,
                                            0,
                                            (unsigned char) stream};

    strbuf_add(b, head, sizeof(head));
    if (len)
        strbuf_add(b, payload->data, len);
}

/* A literal field that is not indexed; its name is the `index`th of the static table, or given. Both are shorter than 127. */
static void add_field(StrBuf *b, unsigned index, const char *name, const char *value)
{
    unsigned char c = (unsigned char) MIN(index, 15U);

    strbuf_add(b, &c, 1);
    if (index >= 15) {
        c = (unsigned char) (index - 15);
        strbuf_add(b, &c, 1);
    }
    if (name) {
        c = (unsigned char) strlen(name);
        strbuf_add(b, &c, 1);
        strbuf_adds(b, name);
    }
    c = (unsigned char) strlen(value);
    strbuf_add(b, &c, 1);
    strbuf_adds(b, value);
}

static void add_headers(StrBuf *b, const ProbeSpec *spec)
{
    static const unsigned char method_and_scheme[] = {0x83, 0x86}; /* POST, http */
    const char *host = spec->host ? spec->host : "127.0.0.1";
    char authority[64];

    snprintf(authority, sizeof(authority), strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, spec->port);
    strbuf_add(b, method_and_scheme, sizeof(method_and_scheme));
    add_field(b, 4, NULL, "/grpc.health.v1.Health/Check");
    add_field(b, 1, NULL, authority);
    add_field(b, 31, NULL, "application/grpc");
    add_field(b, 58, NULL, "moss-probe/" MOSS_VERSION);
    add_field(b, 0, "te", "trailers");
}

/* HealthCheckRequest: field 1, the service's name, which has at most 200 bytes. */
static void add_message(StrBuf *b, const char *service)
{
    size_t n = strlen(service), len = n == 0 ? 0 : n + (n < 128 ? 2 : 3);
    const unsigned char head[MESSAGE_HEAD] = {0, 0, 0, 0, (unsigned char) len};
    const unsigned char key[] = {0x0a, (unsigned char) (n < 128 ? n : (n & 0x7f) | 0x80), (unsigned char) (n >> 7)};

    strbuf_add(b, head, sizeof(head));
    if (n == 0)
        return;
    strbuf_add(b, key, n < 128 ? 2 : 3);
    strbuf_adds(b, service);
}

char *grpc_request(const ProbeSpec *spec, size_t *ret_len)
{
    _cleanup_(strbuf_done) StrBuf b = {}, headers = {}, message = {};

    add_headers(&headers, spec);
    add_message(&message, spec->service);
    strbuf_adds(&b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    add_frame(&b, FRAME_SETTINGS, 0, 0, NULL);
    add_frame(&b, FRAME_HEADERS, FLAG_END_HEADERS, 1, &headers);
    add_frame(&b, FRAME_DATA, FLAG_END_STREAM, 1, &message);
    if (headers.failed || message.failed || b.failed)
        return NULL;
    *ret_len = b.len;
    return strbuf_take(&b);
}

/* ---- the answer ---- */

typedef struct Answer {
    unsigned char message[MESSAGE_HEAD + MESSAGE_MAX];
    size_t len;
    bool ended;
} Answer;

static int take_data(Answer *a, unsigned flags, const unsigned char *p, size_t len, Error *e)
{
    if (flags & FLAG_PADDED) {
        size_t pad = len > 0 ? p[0] : 0;

        if (len < 1 + pad)
            return error_setf(e, -EBADMSG, "malformed frame in the answer");
        p++;
        len -= 1 + pad;
    }
    if (len > sizeof(a->message) - a->len)
        return error_setf(e, -E2BIG, "a message of more than %u bytes", MESSAGE_MAX);
    memcpy(a->message + a->len, p, len);
    a->len += len;
    return 0;
}

static int take_frame(Answer *a, unsigned type, unsigned flags, unsigned stream, const unsigned char *p, size_t len,
                      Error *e)
{
    int r = 0;

    if (type == FRAME_GOAWAY)
        return error_setf(e, -ECONNRESET, "the server ends the connection");
    if (stream != 1)
        return 0;
    if (type == FRAME_RST_STREAM)
        return error_setf(e, -ECONNRESET, "the server ends the call");
    if (type == FRAME_DATA)
        r = take_data(a, flags, p, len, e);
    if (type == FRAME_DATA || type == FRAME_HEADERS)
        a->ended = flags & FLAG_END_STREAM;
    return r;
}

/* A varint of at most ten bytes; the bytes that it takes, or 0. */
static size_t read_varint(const unsigned char *p, size_t len, uint64_t *ret)
{
    uint64_t v = 0;

    for (size_t i = 0; i < len && i < 10; i++) {
        v |= (uint64_t) (p[i] & 0x7f) << (7 * i);
        if (!(p[i] & 0x80)) {
            *ret = v;
            return i + 1;
        }
    }
    return 0;
}

/* HealthCheckResponse: field 1, an enumeration. Another field of it would be one that we do not know: refused. */
static int judge_message(const Answer *a, Error *e)
{
    static const char *const names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
    const unsigned char *p = a->message + MESSAGE_HEAD;
    uint64_t status = 0;
    size_t len;

    if (a->len < MESSAGE_HEAD)
        return error_setf(e, -EBADMSG,
                          "the call was refused: there is no health service, or it does not know this one");
    len = (size_t) a->message[1] << 24 | (size_t) a->message[2] << 16 | (size_t) a->message[3] << 8 | a->message[4];
    if (a->message[0] != 0 || len != a->len - MESSAGE_HEAD)
        return error_setf(e, -EBADMSG, "malformed message in the answer");
    if (len > 0 && (p[0] != 0x08 || read_varint(p + 1, len - 1, &status) != len - 1))
        return error_setf(e, -EBADMSG, "malformed message in the answer");
    if (status == 1)
        return 0;
    return error_setf(e, -EBADMSG, "the service is %s",
                      status < ARRAY_SIZE(names) ? names[status] : "in no state known");
}

int grpc_judge(const char *data, size_t len, bool end, Error *e)
{
    const unsigned char *p = (const unsigned char *) data;
    Answer a = {};

    while (len >= FRAME_HEAD && !a.ended) {
        size_t size = (size_t) p[0] << 16 | (size_t) p[1] << 8 | p[2];
        unsigned stream = (unsigned) (p[5] & 0x7f) << 24 | (unsigned) p[6] << 16 | (unsigned) p[7] << 8 | p[8];
        int r;

        if (size > FRAME_MAX)
            return error_setf(e, -EBADMSG, "the answer is no HTTP/2");
        if (len < FRAME_HEAD + size)
            break;
        r = take_frame(&a, p[3], p[4], stream, p + FRAME_HEAD, size, e);
        if (r < 0)
            return r;
        p += FRAME_HEAD + size;
        len -= FRAME_HEAD + size;
    }
    if (a.ended)
        return judge_message(&a, e);
    return end ? error_setf(e, -EBADMSG, "the connection was closed") : -EAGAIN;
}
