/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_STRBUF_H
#define MOSS_BASE_STRBUF_H

/* A growing string, always NUL-terminated once something was added.
 *
 *     _cleanup_(strbuf_done) StrBuf b = {};
 *     r = strbuf_addf(&b, "%s/%s", dir, name);
 *     path = strbuf_take(&b);
 *
 * Every function returns 0 or -ENOMEM and keeps the old content on failure. Errors are sticky: after one, all further calls
 * fail too, so that a sequence may be checked once at its end. */

#include "macro.h"

typedef struct StrBuf {
    char *data; /* NULL while empty */
    size_t len;
    size_t size;
    bool failed;
} StrBuf;

int strbuf_add(StrBuf *b, const void *data, size_t len);
int strbuf_adds(StrBuf *b, const char *s);
int strbuf_addf(StrBuf *b, const char *fmt, ...) _printf_(2, 3);

/* The string, which the caller frees ("" where nothing was added), or NULL after a failure. The buffer is empty afterwards. */
char *strbuf_take(StrBuf *b);
void strbuf_done(StrBuf *b);

/* A formatted string that the caller frees, or NULL. */
char *xasprintf(const char *fmt, ...) _printf_(1, 2) _must_check_;

#endif
