/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_MACRO_H
#define MOSS_BASE_MACRO_H

/* Scope cleanup and ownership transfer, in the manner of systemd: a variable that owns something carries a _cleanup_ mark,
 * and giving the thing away is spelled TAKE_PTR() or TAKE_FD(). */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(fmt, first) __attribute__((format(printf, fmt, first)))
#define _must_check_ __attribute__((warn_unused_result))
#define _unused_ __attribute__((unused))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Defines func##p(), which frees what a variable of type `type` holds when it leaves its scope. `func` accepts NULL. */
#define DEFINE_TRIVIAL_CLEANUP(type, func)                                                                             \
    static inline _unused_ void func##p(type *p)                                                                       \
    {                                                                                                                  \
        if (*p)                                                                                                        \
            func(*p);                                                                                                  \
    }

static inline void free_cleanup(void *p)
{
    free(*(void **) p);
}
#define _cleanup_free_ _cleanup_(free_cleanup)

#define TAKE_PTR(ptr)                                                                                                  \
    ({                                                                                                                 \
        __typeof__(ptr) *_taken_from = &(ptr);                                                                         \
        __typeof__(ptr) _taken = *_taken_from;                                                                         \
        *_taken_from = NULL;                                                                                           \
        _taken;                                                                                                        \
    })

#define TAKE_FD(fd)                                                                                                    \
    ({                                                                                                                 \
        int *_taken_from = &(fd);                                                                                      \
        int _taken = *_taken_from;                                                                                     \
        *_taken_from = -EBADF;                                                                                         \
        _taken;                                                                                                        \
    })

static inline bool streq(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* Equal also when both are NULL. */
static inline bool streq_ptr(const char *a, const char *b)
{
    return a && b ? streq(a, b) : a == b;
}

/* The part of `s` behind `prefix`, or NULL if it does not start so. */
static inline const char *startswith(const char *s, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

static inline bool endswith(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && streq(s + n - m, suffix);
}

#endif
