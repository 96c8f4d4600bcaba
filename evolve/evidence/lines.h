/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_EVIDENCE_LINES_H
#define MOSS_EVIDENCE_LINES_H

/* Lines of a file that someone else writes while we read it: in bounded memory, by byte offset.
 *
 * Only lines that end in a newline are handed out. What stands behind the last newline is cut off: it is left for the next time. A line of more than
 * LINE_MAX_BYTES is skipped, however long it is; when the file ends within it, `skipping` says so and goes into the next call. */

#include "runtime/base/macro.h"

#define LINE_MAX_BYTES ((size_t) 1 << 20)

typedef struct LinesEnd {
    uint64_t offset; /* go on here */
    bool skipping;   /* …in the middle of a line that is too long */
    bool cut_off;    /* there is more behind, without a newline */
    uint64_t lines;  /* handed out */
    uint64_t too_long;
} LinesEnd;

/* `line` has no newline and is NUL-terminated behind `len` bytes; it may hold NULs. A negative return ends the reading with it. */
typedef int (*LineHandler)(const char *line, size_t len, uint64_t offset, void *userdata);

/* From byte `from` up to byte `to` or the end of the file, whichever comes first. */
int lines_read(int fd, uint64_t from, uint64_t to, bool skipping, LineHandler handler, void *userdata, LinesEnd *ret);

#endif
