/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"

#include <endian.h>
#include <fcntl.h>
#include <unistd.h>

#define BLOCK 4096
#define CHUNK (16 * BLOCK)

typedef struct Content {
    Hash hash;
    uint64_t zeros; /* blocks of zeros not yet written down */
} Content;

static bool all_zero(const unsigned char *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static void flush_zeros(Content *c)
{
    uint64_t count = htole64(c->zeros);

    if (c->zeros == 0)
        return;
    hash_add(&c->hash, "Z", 1);
    hash_add(&c->hash, &count, sizeof(count));
    c->zeros = 0;
}

static void add_blocks(Content *c, const unsigned char *data, size_t len)
{
    for (size_t at = 0; at < len; at += BLOCK) {
        size_t n = MIN(len - at, (size_t) BLOCK);

        if (all_zero(data + at, n)) {
            c->zeros++;
            continue;
        }
        flush_zeros(c);
        hash_add(&c->hash, "D", 1);
        hash_add(&c->hash, data + at, n);
    }
}

static ssize_t read_chunk(int fd, unsigned char *buf, size_t want, off_t at)
{
    size_t got = 0;

    while (got < want) {
        ssize_t n = pread(fd, buf + got, want - got, at + (off_t) got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EAGAIN; /* it is shorter than a moment ago */
        got += (size_t) n;
    }
    return (ssize_t) got;
}

/* Where data goes on at or behind `at`, rounded down to a block; `size` when there is none. */
static off_t next_data(int fd, off_t at, off_t size)
{
    off_t data = lseek(fd, at, SEEK_DATA);

    if (data < 0)
        return errno == ENXIO ? size : at; /* a file system that knows no holes: everything is data */
    return MAX(at, MIN(data, size) / BLOCK * BLOCK);
}

int content_digest(int fd, off_t size, bool uncached, char ret_digest[static DIGEST_SIZE])
{
    unsigned char buf[CHUNK];
    Content c = {};
    off_t at = 0;

    if (uncached)
        (void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    hash_init(&c.hash);
    while (at < size) {
        off_t data = next_data(fd, at, size);
        ssize_t n;

        c.zeros += (uint64_t) ((data - at + BLOCK - 1) / BLOCK);
        if (data >= size)
            break;
        n = read_chunk(fd, buf, (size_t) MIN((off_t) sizeof(buf), size - data), data);
        if (n < 0)
            return (int) n;
        add_blocks(&c, buf, (size_t) n);
        at = data + n;
    }
    flush_zeros(&c);
    hash_final(&c.hash, ret_digest);
    return 0;
}
