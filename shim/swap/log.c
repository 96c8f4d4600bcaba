/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <sys/stat.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"

struct Log {
    Loop *loop;
    LoopSource *source;
    int dir, file, reader, writer;
    off_t size;
};

static int open_file(Log *log)
{
    struct stat st;

    fd_closep(&log->file);
    log->file = openat(log->dir, "log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (log->file < 0 || fstat(log->file, &st) < 0)
        return -errno;
    log->size = st.st_size;
    return 0;
}

/* A full disk loses lines, never stops the agent. */
static void append(Log *log, const char *data, size_t len)
{
    if (log->size + (off_t) len > (off_t) LOG_SIZE_MAX && renameat(log->dir, "log", log->dir, "log.1") == 0)
        (void) open_file(log);
    if (log->file >= 0 && fd_write_all(log->file, data, len) >= 0)
        log->size += (off_t) len;
}

static void on_output(uint32_t events, void *userdata)
{
    Log *log = userdata;
    char buf[16384];
    ssize_t n = read(log->reader, buf, sizeof(buf));

    (void) events;
    if (n > 0)
        append(log, buf, (size_t) n);
}

void log_drain(Log *log)
{
    char buf[16384];
    ssize_t n;

    for (unsigned i = 0; i < 64 && (n = read(log->reader, buf, sizeof(buf))) > 0; i++)
        append(log, buf, (size_t) n);
}

void log_line(Log *log, const char *fmt, ...)
{
    char text[1200], line[1300], when[21];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    clock_iso8601(when);
    snprintf(line, sizeof(line), "%s moss-shim: %s\n", when, text);
    append(log, line, strlen(line));
}

static int open_pipe(Log *log, int kept)
{
    char path[FD_PATH_MAX];
    int p[2];

    if (kept >= 0) {
        log->reader = kept;
        log->writer = open(fd_path(kept, path), O_WRONLY | O_CLOEXEC);
        return log->writer < 0 ? -errno : 0;
    }
    if (pipe2(p, O_CLOEXEC) < 0)
        return -errno;
    log->reader = p[0];
    log->writer = p[1];
    return fcntl(log->reader, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

int log_new(Loop *loop, int agent_dir, int kept, Log **ret)
{
    _cleanup_(log_freep) Log *log = malloc(sizeof(*log));
    int r;

    if (!log) {
        fd_closep(&kept);
        return -ENOMEM;
    }
    *log = (Log){.loop = loop, .dir = agent_dir, .file = -EBADF, .reader = -EBADF, .writer = -EBADF};
    if ((r = open_pipe(log, kept)) < 0 || (r = open_file(log)) < 0)
        return r;
    r = loop_watch(loop, log->reader, EPOLLIN, on_output, log, &log->source);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(log);
    return 0;
}

Log *log_free(Log *log)
{
    if (log) {
        loop_cancel(&log->source);
        fd_closep(&log->file);
        fd_closep(&log->reader);
        fd_closep(&log->writer);
        free(log);
    }
    return NULL;
}

int log_reader(const Log *log)
{
    return log->reader;
}

int log_writer(const Log *log)
{
    return log->writer;
}
