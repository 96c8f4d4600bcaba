/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_FILE_H
#define MOSS_BASE_FILE_H

/* Whole files: the one durable way to write one, the one bounded way to read one. */

#include <sys/types.h>

#include "error.h"

typedef enum FileFlags {
    FILE_DURABLE = 1 << 0,   /* fsync the file before the rename and the directory after it */
    FILE_EXCLUSIVE = 1 << 1, /* -EEXIST if `name` is there already */
} FileFlags;

/* Replaces `name` in `dirfd` as a whole: temporary file, write, (fsync), rename, (fsync of the directory). Readers see the old content or the
 * new, never a part. A failure before the rename means that nothing happened. A failure of the last fsync gives -EINPROGRESS: the new
 * content is visible but perhaps not durable, and the caller has to treat the outcome as in doubt. fsync is never retried: the kernel
 * reports a lost write only once. */
int file_write_at(int dirfd, const char *name, const void *data, size_t len, mode_t mode, FileFlags flags);

/* The content, NUL-terminated behind its end, which the caller frees. Only regular files; a symlink is refused (-ELOOP), more than `max`
 * bytes are refused (-E2BIG). `ret_len` may be NULL. */
int file_read_at(int dirfd, const char *name, size_t max, char **ret_data, size_t *ret_len);

/* The same from an open fd, from its offset on, of any kind (pipes too). */
int file_read_fd(int fd, size_t max, char **ret_data, size_t *ret_len);

#endif
