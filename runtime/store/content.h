/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_STORE_CONTENT_H
#define MOSS_STORE_CONTENT_H

/* The digest of a file's content, independent of how the file system lays it out: sha256 over blocks of 4 KiB, each as "D" and its bytes (the last
 * one may be shorter), and over "Z" and an 8-byte little-endian count for each run of blocks that hold zeros only. Holes count as zeros without being read:
 * a file of eight exbibytes with one byte in it costs one block. The size belongs to the record of the entry. */

#include <sys/types.h>

#include "runtime/base/hash.h"

/* With `uncached` the pages that the kernel holds clean are dropped first. */
int content_digest(int fd, off_t size, bool uncached, char ret_digest[static DIGEST_SIZE]);

#endif
