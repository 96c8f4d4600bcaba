/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/json.h"

#define RECORDS "swaps.jsonl"
#define RECORD_MAX 16384U /* most of it is what a probe has printed */

/* Opens the file, to be appended to if `make`, and returns its fd. The last complete line goes to `ret`, NULL if there is none, and the offset behind it,
 * where what a crash cut off begins, to `ret_whole`. */
static int open_records(int agent_dir, bool make, json_t **ret, off_t *ret_whole, Error *e)
{
    _cleanup_close_ int fd =
        openat(agent_dir, RECORDS, (make ? O_RDWR | O_CREAT : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    char buf[2 * RECORD_MAX];
    struct stat st;
    off_t start;
    ssize_t n;
    char *end, *line;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errnof(e, -errno, RECORDS);
    start = MAX(st.st_size - (off_t) sizeof(buf), 0);
    n = pread(fd, buf, sizeof(buf), start);
    if (n < 0)
        return error_errnof(e, -errno, RECORDS);
    end = memrchr(buf, '\n', (size_t) n);
    *ret = NULL;
    *ret_whole = end ? start + (end - buf) + 1 : start;
    if (!end)
        return TAKE_FD(fd);
    line = memrchr(buf, '\n', (size_t) (end - buf));
    line = line ? line + 1 : buf;
    r = json_parse(line, (size_t) (end - line), RECORDS, ret, e);
    return r < 0 ? r : TAKE_FD(fd);
}

int record_append(int agent_dir, int64_t txid, const json_t *line, Error *e)
{
    _cleanup_free_ char *text = NULL, *whole_line = NULL;
    _cleanup_json_ json_t *last = NULL;
    _cleanup_close_ int fd = -EBADF;
    off_t whole;
    int r;

    fd = open_records(agent_dir, true, &last, &whole, e);
    if (fd < 0)
        return fd;
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
    _cleanup_close_ int fd = -EBADF;
    json_t *last;
    off_t whole;

    fd = open_records(agent_dir, false, &last, &whole, e);
    if (fd < 0)
        return fd;
    if (!last)
        return error_setf(e, -ENOENT, RECORDS ": empty");
    *ret = last;
    return 0;
}
