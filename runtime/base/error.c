/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

/* Hostile names end up in messages: what a terminal would act on is shown as '?'. */
static void defuse(char *text)
{
    for (char *p = text; *p; p++)
        if ((unsigned char) *p < ' ' || *p == 0x7f)
            *p = '?';
}

int error_setf(Error *e, int code, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return code;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof(e->text), fmt, ap);
    va_end(ap);
    defuse(e->text);
    e->code = code;
    return code;
}

int error_errnof(Error *e, int code, const char *fmt, ...)
{
    char text[sizeof(e->text)];
    va_list ap;

    if (!e)
        return code;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_setf(e, code, "%s: %s", text, strerror(-code));
}

int error_wrapf(Error *e, int code, const char *fmt, ...)
{
    char front[sizeof(e->text)], behind[sizeof(e->text)];
    va_list ap;

    if (!e)
        return code;
    va_start(ap, fmt);
    vsnprintf(front, sizeof(front), fmt, ap);
    va_end(ap);
    if (e->code == 0)
        return error_setf(e, code, "%s: %s", front, strerror(-code));
    memcpy(behind, e->text, sizeof(behind));
    return error_setf(e, code, "%s: %s", front, behind);
}
