/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_COPY_H
#define MOSS_BASE_COPY_H

/* What copies of trees are made of; copy_tree() (fd.h) makes a whole one. */

#include <sys/stat.h>

/* The first `size` bytes of a regular file into an empty one: by reflink where the file system can; holes stay holes. Of a file that becomes shorter meanwhile what is left. */
int copy_data(int from, int to, off_t size);

/* Owner, mode and times, in this order. */
int copy_attributes(int fd, const struct stat *st);

#endif
