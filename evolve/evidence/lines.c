/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

#include <unistd.h>

#define BUFFER_SIZE (LINE_MAX_BYTES + 2) /* the longest line, its newline, a NUL */

typedef struct Window {
    char *data;
    size_t len;
    uint64_t offset; /* of data[0] in the file */
} Window;

static ssize_t refill(int fd, Window *w, uint64_t to)
{
    uint64_t at = w->offset + w->len;
    size_t want = at >= to ? 0 : (size_t) MIN(to - at, (uint64_t) (BUFFER_SIZE - 1 - w->len));
    ssize_t n;

    do
        n = pread(fd, w->data + w->len, want, (off_t) at);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    w->len += (size_t) n;
    return n;
}

static void drop(Window *w, size_t n)
{
    memmove(w->data, w->data + n, w->len - n);
    w->len -= n;
    w->offset += n;
}

/* Hands out the complete lines of the window; the rest moves to its front. */
static int hand_out(Window *w, bool *skipping, LineHandler handler, void *userdata, LinesEnd *end)
{
    size_t start = 0;
    char *newline;
    int r;

    while ((newline = memchr(w->data + start, '\n', w->len - start))) {
        size_t len = (size_t) (newline - w->data) - start;

        *newline = '\0';
        if (*skipping) {
            *skipping = false;
        } else if (len > LINE_MAX_BYTES) {
            end->too_long++;
        } else {
            end->lines++;
            r = handler(w->data + start, len, w->offset + start, userdata);
            if (r < 0)
                return r;
        }
        start += len + 1;
    }
    drop(w, start);
    if (*skipping) {
        drop(w, w->len);
    } else if (w->len > LINE_MAX_BYTES) {
        end->too_long++;
        *skipping = true;
        drop(w, w->len);
    }
    return 0;
}

int lines_read(int fd, uint64_t from, uint64_t to, bool skipping, LineHandler handler, void *userdata, LinesEnd *ret)
{
    _cleanup_free_ char *data = malloc(BUFFER_SIZE);
    Window w = {.data = data, .offset = from};
    LinesEnd end = {};
    ssize_t n;
    int r;

    if (!data)
        return -ENOMEM;
    while ((n = refill(fd, &w, to)) > 0) {
        r = hand_out(&w, &skipping, handler, userdata, &end);
        if (r < 0)
            return r;
    }
    if (n < 0)
        return (int) n;
    end.offset = w.offset;
    end.skipping = skipping;
    end.cut_off = w.len > 0 || skipping;
    *ret = end;
    return 0;
}
