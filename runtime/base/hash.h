/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_HASH_H
#define MOSS_BASE_HASH_H

/* sha256 digests, written as 64 lower-case hex digits. */

#include <sodium/crypto_hash_sha256.h>

#include "macro.h"

#define DIGEST_SIZE 65 /* with the NUL */

typedef crypto_hash_sha256_state Hash;

void hash_init(Hash *h);
void hash_add(Hash *h, const void *data, size_t len);
/* A string with its NUL, so that "ab"+"c" and "a"+"bc" differ. */
void hash_adds(Hash *h, const char *s);
void hash_final(Hash *h, char ret_digest[static DIGEST_SIZE]);

void hash_buffer(const void *data, size_t len, char ret_digest[static DIGEST_SIZE]);

/* From the fd's offset to its end. Returns 0 or -errno. */
int hash_fd(int fd, char ret_digest[static DIGEST_SIZE]);

/* Exactly 64 lower-case hex digits: what may become a file name. */
bool digest_valid(const char *s);

#endif
