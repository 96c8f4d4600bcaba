/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include <ctype.h>
#include <strings.h>

#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

char *http_request(const ProbeSpec *spec)
{
    _cleanup_(strbuf_done) StrBuf b = {};
    const char *host = spec->host ? spec->host : "127.0.0.1";

    strbuf_addf(&b, "%s %s HTTP/1.1\r\n", spec->send ? "POST" : "GET", spec->path);
    if (spec->socket)
        strbuf_adds(&b, "Host: localhost\r\n");
    else
        strbuf_addf(&b, strchr(host, ':') ? "Host: [%s]:%u\r\n" : "Host: %s:%u\r\n", host, spec->port);
    strbuf_adds(&b, "User-Agent: moss-probe/" MOSS_VERSION "\r\nAccept: */*\r\nConnection: close\r\n");
    if (spec->send)
        strbuf_addf(&b, "Content-Type: %s\r\nContent-Length: %zu\r\n",
                    spec->sends_json ? "application/json" : "text/plain; charset=utf-8", strlen(spec->send));
    strbuf_adds(&b, "\r\n");
    if (spec->send)
        strbuf_adds(&b, spec->send);
    return strbuf_take(&b);
}

/* ---- the head ---- */

typedef struct Head {
    unsigned status;
    bool chunked, has_length;
    size_t length; /* HTTP_BODY_MAX + 1 stands for all that is longer */
} Head;

static int parse_status(const char *data, size_t len, unsigned *ret, Error *e)
{
    /* "HTTP/1.1 200" */
    if (len < 12 || strncmp(data, "HTTP/1.", 7) != 0 || data[8] != ' ' || !isdigit((unsigned char) data[9]) ||
        !isdigit((unsigned char) data[10]) || !isdigit((unsigned char) data[11]) ||
        (len > 12 && data[12] != ' ' && data[12] != '\r'))
        return error_setf(e, -EBADMSG, "the answer is no HTTP");
    *ret = (unsigned) ((data[9] - '0') * 100 + (data[10] - '0') * 10 + (data[11] - '0'));
    return 0;
}

static int parse_length(const char *value, size_t len, Head *h, Error *e)
{
    size_t n = 0;

    if (len == 0)
        return error_setf(e, -EBADMSG, "malformed Content-Length in the answer");
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char) value[i]))
            return error_setf(e, -EBADMSG, "malformed Content-Length in the answer");
        n = MIN(n * 10 + (size_t) (value[i] - '0'), HTTP_BODY_MAX + (size_t) 1);
    }
    if (h->has_length && h->length != n)
        return error_setf(e, -EBADMSG, "two Content-Lengths in the answer");
    h->has_length = true;
    h->length = n;
    return 0;
}

static bool is_named(const char *line, size_t len, const char *name, const char **ret_value, size_t *ret_len)
{
    size_t n = strlen(name);
    const char *value = line + n + 1, *end = line + len;

    if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
        return false;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *ret_value = value;
    *ret_len = (size_t) (end - value);
    return true;
}

/* `data`: the lines, each with its end. */
static int parse_head(const char *data, size_t len, Head *h, Error *e)
{
    const char *p = data, *end = data + len, *value;
    size_t value_len;
    int r = parse_status(p, len, &h->status, e);

    while (r >= 0 && p < end) {
        const char *eol = memmem(p, (size_t) (end - p), "\r\n", 2);

        if (is_named(p, (size_t) (eol - p), "Content-Length", &value, &value_len))
            r = parse_length(value, value_len, h, e);
        else if (is_named(p, (size_t) (eol - p), "Transfer-Encoding", &value, &value_len)) {
            if (value_len != 7 || strncasecmp(value, "chunked", 7) != 0 || h->chunked)
                return error_setf(e, -EBADMSG, "transfer encoding \"%.*s\" is not understood",
                                  (int) MIN(value_len, (size_t) 40), value);
            h->chunked = true;
        }
        p = eol + 2;
    }
    if (r >= 0 && h->chunked && h->has_length)
        return error_setf(e, -EBADMSG, "both chunks and a Content-Length in the answer");
    return r;
}

/* ---- the body ---- */

/* Puts up to HTTP_BODY_MAX bytes of it into the answer; false when there were more. */
static bool take(HttpAnswer *a, const char *data, size_t len)
{
    size_t n = MIN(len, HTTP_BODY_MAX - a->len);

    memcpy(a->body + a->len, data, n);
    a->len += n;
    a->body[a->len] = '\0';
    a->cut = n < len;
    return !a->cut;
}

/* "1f;name=value": 0 and the size, -EBADMSG. A size that no body here can have is cut to that. */
static int chunk_size(const char *line, size_t len, size_t *ret)
{
    size_t n = 0, i = 0;

    for (; i < len && isxdigit((unsigned char) line[i]); i++) {
        char c = (char) tolower((unsigned char) line[i]);

        n = MIN(n * 16 + (size_t) (c <= '9' ? c - '0' : c - 'a' + 10), HTTP_BODY_MAX + (size_t) 1);
    }
    if (i == 0 || (i < len && line[i] != ';' && line[i] != ' ' && line[i] != '\t'))
        return -EBADMSG;
    *ret = n;
    return 0;
}

static int read_chunks(const char *p, size_t len, HttpAnswer *ret, Error *e)
{
    for (;;) {
        const char *eol = memmem(p, len, "\r\n", 2);
        size_t size;

        if (!eol)
            return -EAGAIN;
        if (chunk_size(p, (size_t) (eol - p), &size) < 0)
            return error_setf(e, -EBADMSG, "malformed chunk in the answer");
        len -= (size_t) (eol + 2 - p);
        p = eol + 2;
        if (size == 0)
            return 0; /* what may follow are headers that nobody has asked for */
        if (!take(ret, p, MIN(size, len)))
            return 0;
        if (len < size + 2)
            return -EAGAIN;
        if (p[size] != '\r' || p[size + 1] != '\n')
            return error_setf(e, -EBADMSG, "malformed chunk in the answer");
        p += size + 2;
        len -= size + 2;
    }
}

static int read_body(const Head *h, const char *data, size_t len, bool end, HttpAnswer *ret, Error *e)
{
    if (h->status == 204 || h->status == 304)
        return 0;
    if (h->chunked)
        return read_chunks(data, len, ret, e);
    if (!h->has_length)
        return !take(ret, data, len) || end ? 0 : -EAGAIN;
    if (!take(ret, data, MIN(len, h->length)))
        return 0;
    return len >= h->length ? 0 : -EAGAIN;
}

int http_read(const char *data, size_t len, bool end, HttpAnswer *ret, Error *e)
{
    const char *blank = memmem(data, len, "\r\n\r\n", 4);
    Head head = {};
    size_t head_len;
    int r;

    ret->status = 0;
    ret->len = 0;
    ret->cut = false;
    ret->body[0] = '\0';
    if ((blank ? (size_t) (blank - data) : len) > HTTP_HEAD_MAX)
        return error_setf(e, -E2BIG, "a head of more than %u bytes", HTTP_HEAD_MAX);
    if (!blank)
        return end ? error_setf(e, -EBADMSG, len ? "the answer ends within its head" : "the connection was closed")
                   : -EAGAIN;
    head_len = (size_t) (blank + 2 - data);
    r = parse_head(data, head_len, &head, e);
    ret->status = head.status;
    if (r < 0)
        return r;
    r = read_body(&head, blank + 4, len - head_len - 2, end, ret, e);
    if (r != -EAGAIN)
        return r;
    if (end)
        return error_setf(e, -EBADMSG, "the answer ends within its body");
    return len >= HTTP_ANSWER_MAX ? error_setf(e, -E2BIG, "more chunks than the answer's limit leaves room for")
                                  : -EAGAIN;
}

/* ---- what is wanted ---- */

static bool value_matches(const json_t *want, const json_t *got, const char *nonce, const char *generation)
{
    const char *s = json_string_value(want);

    if (s && (streq(s, "$MOSS_NONCE") || streq(s, "$MOSS_GENERATION")))
        return got && json_is_string(got) &&
               streq(json_string_value(got), streq(s, "$MOSS_NONCE") ? nonce : generation);
    return got && json_equal(want, got);
}

static int match_json(const ProbeSpec *spec, const HttpAnswer *answer, const char *nonce, const char *generation,
                      Error *e)
{
    _cleanup_json_ json_t *got = NULL;
    const char *key;
    json_t *want;
    int r;

    r = json_parse(answer->body, answer->len, "body of the answer", &got, e);
    if (r < 0)
        return r;
    json_object_foreach (spec->json_body, key, want)
        if (!value_matches(want, json_object_get(got, key), nonce, generation))
            return error_setf(e, -EBADMSG, "\"%.40s\" in the answer is not what it must be", key);
    return 0;
}

static int match_status(const ProbeSpec *spec, const HttpAnswer *answer, Error *e)
{
    if (spec->status && answer->status != spec->status)
        return error_setf(e, -EBADMSG, "HTTP status %u, must be %u", answer->status, spec->status);
    if (!spec->status && (answer->status < 200 || answer->status > 399))
        return error_setf(e, -EBADMSG, "HTTP status %u", answer->status);
    return 0;
}

int http_judge(const ProbeSpec *spec, const HttpAnswer *answer, const char *nonce, const char *generation, Error *e)
{
    int r = match_status(spec, answer, e);

    if (r < 0)
        return r;
    if (answer->cut && (spec->body || spec->contains || spec->json_body))
        return error_setf(e, -E2BIG, "a body of more than %u bytes", HTTP_BODY_MAX);
    if (spec->body && (strlen(spec->body) != answer->len || memcmp(spec->body, answer->body, answer->len) != 0))
        return error_setf(e, -EBADMSG, "the body is not what it must be");
    if (spec->contains && !memmem(answer->body, answer->len, spec->contains, strlen(spec->contains)))
        return error_setf(e, -EBADMSG, "the body does not contain \"%.60s\"", spec->contains);
    return spec->json_body ? match_json(spec, answer, nonce, generation, e) : 0;
}
