/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>

#include "config.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"

/* Generators write unsigned 64-bit numbers; jansson's are signed. What is beyond them becomes the largest, which reads as "unlimited" in limits. An argument of a system
 * call in a seccomp rule ("value", "valueTwo") is 64 bits without a meaning, so it becomes the negative number of the same bits. */

static const char largest[] = "9223372036854775807";
#define N_LARGEST (sizeof(largest) - 1)

typedef struct Scan {
    char *text;
    size_t len;
    size_t at;
    size_t string, n_string; /* the last string */
} Scan;

static bool last_string_is(const Scan *s, const char *word)
{
    return s->n_string == strlen(word) && memcmp(s->text + s->string, word, s->n_string) == 0;
}

/* Puts another number in the place of `n` digits, with spaces behind it where it is shorter. */
static int replace(Scan *s, size_t n, const char *number)
{
    size_t m = strlen(number);

    if (m > n) { /* by one at most */
        char *more = realloc(s->text, s->len + (m - n) + 1);

        if (!more)
            return -ENOMEM;
        s->text = more;
        memmove(more + s->at + m, more + s->at + n, s->len - s->at - n + 1);
        s->len += m - n;
    } else {
        memset(s->text + s->at, ' ', n);
    }
    memcpy(s->text + s->at, number, m);
    s->at += MAX(m, n);
    return 0;
}

static int narrow(Scan *s, size_t n)
{
    char number[24];
    unsigned long long v;

    if (n < N_LARGEST || n > N_LARGEST + 1 || (s->text[s->at + n] && strchr(".eE", s->text[s->at + n])) ||
        (n == N_LARGEST && memcmp(s->text + s->at, largest, n) <= 0)) {
        s->at += n;
        return 0;
    }
    errno = 0;
    v = strtoull(s->text + s->at, NULL, 10);
    if (errno == ERANGE || !(last_string_is(s, "value") || last_string_is(s, "valueTwo")))
        return replace(s, n, largest);
    snprintf(number, sizeof(number), "%lld", (long long) v);
    return replace(s, n, number);
}

static void pass_string(Scan *s)
{
    s->string = ++s->at;
    while (s->text[s->at] && s->text[s->at] != '"')
        s->at += s->text[s->at] == '\\' && s->text[s->at + 1] ? 2 : 1;
    s->n_string = s->at - s->string;
    s->at += s->text[s->at] == '"';
}

int config_narrow_numbers(char **text, size_t *len)
{
    Scan s = {.text = *text, .len = *len};
    int r = 0;

    while (s.text[s.at] && r >= 0) {
        if (s.text[s.at] == '"')
            pass_string(&s);
        else if (s.text[s.at] >= '0' && s.text[s.at] <= '9')
            r = narrow(&s, strspn(s.text + s.at, "0123456789"));
        else
            s.at++;
    }
    *text = s.text;
    *len = s.len;
    return r;
}

int config_read_object(const char *path, json_t **ret, Error *e)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_json_ json_t *o = NULL;
    _cleanup_free_ char *text = NULL;
    size_t len;
    int r = fd < 0 ? -errno : file_read_fd(fd, JSON_FILE_MAX, &text, &len);

    if (r >= 0)
        r = config_narrow_numbers(&text, &len);
    if (r < 0)
        return error_errnof(e, r, "cannot read %s", path);
    r = json_parse(text, len, path, &o, e);
    if (r < 0)
        return r;
    if (!json_is_object(o))
        return error_setf(e, -EBADMSG, "%s: must be an object", path);
    *ret = TAKE_PTR(o);
    return 0;
}
