/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/json.h"

#define RECORDS "swaps.jsonl"
#define RECORD_MAX 4096U

/* The end of the file: `ret_whole` is the offset behind the last complete line; the line itself, if there is one, goes to `ret`. A line that a crash cut off is
 * not complete. */
static int read_tail(int fd, json_t **ret, off_t *ret_whole, Error *e)
{
    char buf[2 * RECORD_MAX + 1];
    struct stat st;
    off_t start;
    ssize_t n;
    char *end, *line;

    if (fstat(fd, &st) < 0)
        return error_errnof(e, -errno, RECORDS);
    start = st.st_size > (off_t) sizeof(buf) - 1 ? st.st_size - (off_t) sizeof(buf) + 1 : 0;
    n = pread(fd, buf, sizeof(buf) - 1, start);
    if (n < 0)
        return error_errnof(e, -errno, RECORDS);
    end = memrchr(buf, '\n', (size_t) n);
    *ret = NULL;
    *ret_whole = end ? start + (end - buf) + 1 : start;
    if (!end)
        return 0;
    line = memrchr(buf, '\n', (size_t) (end - buf));
    line = line ? line + 1 : buf;
    return json_parse(line, (size_t) (end - line), RECORDS, ret, e);
}

int record_append(int agent_dir, int64_t txid, const json_t *line, Error *e)
{
    _cleanup_close_ int fd = openat(agent_dir, RECORDS, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    _cleanup_free_ char *text = NULL, *whole_line = NULL;
    _cleanup_json_ json_t *last = NULL;
    off_t whole;
    int r;

    if (fd < 0)
        return error_errnof(e, -errno, RECORDS);
    r = read_tail(fd, &last, &whole, e);
    if (r < 0)
        return r;
    if (last && json_integer_value(json_object_get(last, "txid")) == txid)
        return 0;
    text = json_canonical(line);
    if (!text || asprintf(&whole_line, "%s\n", text) < 0)
        return error_errnof(e, -ENOMEM, RECORDS);
    if (ftruncate(fd, whole) < 0 || lseek(fd, whole, SEEK_SET) < 0)
        return error_errnof(e, -errno, RECORDS);
    r = fd_write_all(fd, whole_line, strlen(whole_line));
    if (r >= 0 && (fsync(fd) < 0 || fsync(agent_dir) < 0))
        r = -errno;
    return r < 0 ? error_errnof(e, r, RECORDS) : 0;
}

int record_last(int agent_dir, json_t **ret, Error *e)
{
    _cleanup_close_ int fd = openat(agent_dir, RECORDS, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    json_t *last;
    off_t whole;
    int r;

    if (fd < 0)
        return error_errnof(e, -errno, RECORDS);
    r = read_tail(fd, &last, &whole, e);
    if (r < 0)
        return r;
    if (!last)
        return error_setf(e, -ENOENT, RECORDS ": empty");
    *ret = last;
    return 0;
}
