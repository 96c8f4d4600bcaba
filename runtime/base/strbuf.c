/* SPDX-License-Identifier: Apache-2.0 */
#include "strbuf.h"

#include <stdarg.h>
#include <stdio.h>

static int reserve(StrBuf *b, size_t more)
{
    size_t want, size;
    char *p;

    if (b->failed)
        return -ENOMEM;
    if (__builtin_add_overflow(b->len, more, &want) || __builtin_add_overflow(want, 1, &want))
        goto fail;
    if (want <= b->size)
        return 0;
    size = MAX(want, b->size * 2);
    size = MAX(size, (size_t) 64);
    p = realloc(b->data, size);
    if (!p)
        goto fail;
    b->data = p;
    b->size = size;
    return 0;
fail:
    b->failed = true;
    return -ENOMEM;
}

int strbuf_add(StrBuf *b, const void *data, size_t len)
{
    int r = reserve(b, len);

    if (r < 0)
        return r;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

int strbuf_adds(StrBuf *b, const char *s)
{
    return strbuf_add(b, s, strlen(s));
}

int strbuf_addf(StrBuf *b, const char *fmt, ...)
{
    va_list ap;
    int n, r;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return -EINVAL;
    r = reserve(b, (size_t) n);
    if (r < 0)
        return r;
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, (size_t) n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t) n;
    return 0;
}

char *strbuf_take(StrBuf *b)
{
    char *s = NULL;

    if (!b->failed)
        s = b->data ? b->data : strdup("");
    else
        free(b->data);
    *b = (StrBuf){};
    return s;
}

void strbuf_done(StrBuf *b)
{
    free(b->data);
    *b = (StrBuf){};
}

char *xasprintf(const char *fmt, ...)
{
    va_list ap;
    char *s;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return n < 0 ? NULL : s;
}
