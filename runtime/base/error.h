/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_ERROR_H
#define MOSS_BASE_ERROR_H

/* One rich error a call.
 *
 * Functions return 0 (or a count) or a negative errno. Those that users' mistakes or hostile input can reach take an
 * `Error *e` last as well and put one sentence there that names the path, the limit and the cause:
 *
 *     if (n > limit)
 *         return error_setf(e, -E2BIG, "%s: %zu bytes, at most %zu are read", path, n, limit);
 *
 * A caller that knows more puts it in front: `return error_wrapf(e, r, "cannot load agent \"%s\"", name)` gives
 * `cannot load agent "x": …`. Success leaves *e untouched; `e` may be NULL. Only commands print an Error, once. */

#include "macro.h"

typedef struct Error {
    int code; /* negative errno, 0 while nothing was set */
    char text[1000];
} Error;

/* Sets the text and returns `code`, a negative errno. */
int error_setf(Error *e, int code, const char *fmt, ...) _printf_(3, 4);

/* The same with ": " and the system's words for `code` behind the text. */
int error_errnof(Error *e, int code, const char *fmt, ...) _printf_(3, 4);

/* Puts "text: " in front of what *e says; where *e is still empty, of the system's words for `code`. Returns `code`. */
int error_wrapf(Error *e, int code, const char *fmt, ...) _printf_(3, 4);

#endif
