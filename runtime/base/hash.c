/* SPDX-License-Identifier: Apache-2.0 */
#include "hash.h"

#include <sodium/utils.h>
#include <string.h>
#include <unistd.h>

/* All that sha256 needs of the rest of libsodium. Its own stands in an object that brings the whole library into a static program: 190 KiB. */
void sodium_memzero(void *const p, const size_t len)
{
    explicit_bzero(p, len);
}

void hash_init(Hash *h)
{
    crypto_hash_sha256_init(h);
}

void hash_add(Hash *h, const void *data, size_t len)
{
    crypto_hash_sha256_update(h, data, len);
}

void hash_adds(Hash *h, const char *s)
{
    hash_add(h, s, strlen(s) + 1);
}

void hash_final(Hash *h, char ret_digest[static DIGEST_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char out[crypto_hash_sha256_BYTES];

    crypto_hash_sha256_final(h, out);
    for (size_t i = 0; i < sizeof(out); i++) {
        ret_digest[2 * i] = hex[out[i] >> 4];
        ret_digest[2 * i + 1] = hex[out[i] & 15];
    }
    ret_digest[DIGEST_SIZE - 1] = '\0';
}

void hash_buffer(const void *data, size_t len, char ret_digest[static DIGEST_SIZE])
{
    Hash h;

    hash_init(&h);
    hash_add(&h, data, len);
    hash_final(&h, ret_digest);
}

int hash_fd(int fd, char ret_digest[static DIGEST_SIZE])
{
    char buf[65536];
    Hash h;

    hash_init(&h);
    for (;;) {
        ssize_t n = read(fd, buf, sizeof(buf));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        hash_add(&h, buf, (size_t) n);
    }
    hash_final(&h, ret_digest);
    return 0;
}

bool digest_valid(const char *s)
{
    return strlen(s) == DIGEST_SIZE - 1 && strspn(s, "0123456789abcdef") == DIGEST_SIZE - 1;
}
