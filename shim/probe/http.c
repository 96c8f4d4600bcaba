/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include <ctype.h>
#include <limits.h>
#include <strings.h>

#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

char *http_request(const ProbeSpec *spec)
{
    return xasprintf("GET %s HTTP/1.1\r\nHost: %s:%u\r\nUser-Agent: moss-probe/" MOSS_VERSION
                     "\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                     spec->path ? spec->path : "/", spec->host ? spec->host : "127.0.0.1", spec->port);
}

/* The value of a header, in `buf`; false if it is not there. `headers` ends with the empty line. */
static bool header(const char *headers, size_t len, const char *name, char *buf, size_t size)
{
    size_t n = strlen(name);
    const char *p = headers, *end = headers + len;

    while (p < end) {
        const char *eol = memmem(p, (size_t) (end - p), "\r\n", 2);

        if (!eol)
            return false;
        if ((size_t) (eol - p) > n && p[n] == ':' && strncasecmp(p, name, n) == 0) {
            p += n + 1;
            while (p < eol && (*p == ' ' || *p == '\t'))
                p++;
            snprintf(buf, size, "%.*s", (int) (eol - p), p);
            return true;
        }
        p = eol + 2;
    }
    return false;
}

static int parse_status(const char *data, size_t len, Error *e)
{
    /* "HTTP/1.1 200" */
    if (len < 12 || strncmp(data, "HTTP/1.", 7) != 0 || data[8] != ' ' || !isdigit((unsigned char) data[9]) ||
        !isdigit((unsigned char) data[10]) || !isdigit((unsigned char) data[11]))
        return error_setf(e, -EBADMSG, "the answer is no HTTP");
    return (data[9] - '0') * 100 + (data[10] - '0') * 10 + (data[11] - '0');
}

/* Chunks put together in `out`, of HTTP_BODY_MAX + 1 bytes: 1 when the last one has come, 0 if not yet. */
static int dechunk(const char *p, size_t len, char *out, size_t *ret_len, Error *e)
{
    size_t n = 0;

    for (;;) {
        const char *eol = memmem(p, len, "\r\n", 2);
        char *end;
        unsigned long size;

        if (!eol)
            return 0;
        if (!isxdigit((unsigned char) *p))
            return error_setf(e, -EBADMSG, "malformed chunk in the answer");
        size = strtoul(p, &end, 16);
        if ((end != eol && *end != ';') || size > HTTP_BODY_MAX - n)
            return error_setf(e, size > HTTP_BODY_MAX - n ? -E2BIG : -EBADMSG,
                              "malformed chunk in the answer, or a body of more than %u bytes", HTTP_BODY_MAX);
        len -= (size_t) (eol + 2 - p);
        p = eol + 2;
        if (size == 0) {
            *ret_len = n;
            return 1;
        }
        if (len < size + 2)
            return 0;
        memcpy(out + n, p, size);
        n += size;
        p += size + 2;
        len -= size + 2;
    }
}

/* The body, put into `out`. 1: complete; 0: not yet. */
static int read_body(const char *headers, size_t headers_len, const char *data, size_t len, bool end, char *out,
                     size_t *ret_len, Error *e)
{
    char value[64], *stop;

    if (header(headers, headers_len, "Transfer-Encoding", value, sizeof(value))) {
        if (strcasecmp(value, "chunked") != 0)
            return error_setf(e, -EBADMSG, "transfer encoding \"%.40s\" is not understood", value);
        return dechunk(data, len, out, ret_len, e);
    }
    if (header(headers, headers_len, "Content-Length", value, sizeof(value))) {
        unsigned long want = isdigit((unsigned char) value[0]) ? strtoul(value, &stop, 10) : ULONG_MAX;

        if (want > HTTP_BODY_MAX)
            return error_setf(e, -E2BIG, "a body of more than %u bytes", HTTP_BODY_MAX);
        if (len < want)
            return 0;
        len = want;
    } else if (!end)
        return len > HTTP_BODY_MAX ? error_setf(e, -E2BIG, "a body of more than %u bytes", HTTP_BODY_MAX) : 0;
    if (len > HTTP_BODY_MAX)
        return error_setf(e, -E2BIG, "a body of more than %u bytes", HTTP_BODY_MAX);
    memcpy(out, data, len);
    *ret_len = len;
    return 1;
}

static bool value_matches(const json_t *want, const json_t *got, const char *nonce, const char *generation)
{
    const char *s = json_string_value(want);

    if (s && (streq(s, "$MOSS_NONCE") || streq(s, "$MOSS_GENERATION")))
        return got && json_is_string(got) &&
               streq(json_string_value(got), streq(s, "$MOSS_NONCE") ? nonce : generation);
    return got && json_equal(want, got);
}

static int match_body(const ProbeSpec *spec, const char *body, size_t len, const char *nonce, const char *generation,
                      Error *e)
{
    _cleanup_json_ json_t *got = NULL;
    const char *key;
    json_t *want;
    int r;

    r = json_parse(body, len, "body of the answer", &got, e);
    if (r < 0)
        return r;
    json_object_foreach (spec->json_body, key, want)
        if (!value_matches(want, json_object_get(got, key), nonce, generation))
            return error_setf(e, -EBADMSG, "\"%.40s\" in the answer is not what it must be", key);
    return 1;
}

int http_judge(const ProbeSpec *spec, const char *data, size_t len, bool end, const char *nonce, const char *generation,
               Error *e)
{
    const char *blank = memmem(data, len, "\r\n\r\n", 4);
    char body[HTTP_BODY_MAX + 1];
    size_t body_len = 0, headers_len;
    int status, r;

    if (!blank) {
        if (len > HTTP_HEADERS_MAX)
            return error_setf(e, -E2BIG, "headers of more than %u bytes", HTTP_HEADERS_MAX);
        return end ? error_setf(e, -EBADMSG, "the answer ends before its body") : -EAGAIN;
    }
    headers_len = (size_t) (blank + 2 - data);
    status = parse_status(data, headers_len, e);
    if (status < 0)
        return status;
    if (status < 200 || status > 399)
        return error_setf(e, -EBADMSG, "HTTP status %d", status);
    if (!spec->json_body)
        return 1;
    r = read_body(data, headers_len, blank + 4, len - headers_len - 2, end, body, &body_len, e);
    if (r == 0)
        return end ? error_setf(e, -EBADMSG, "the answer is cut off") : -EAGAIN;
    return r < 0 ? r : match_body(spec, body, body_len, nonce, generation, e);
}
