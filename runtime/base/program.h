/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_PROGRAM_H
#define MOSS_BASE_PROGRAM_H

/* MOSS's own programs, found by one of them: in the directory that it was called from, else where `make install` puts them. */

#include "error.h"

/* The path of the program `name`, which the caller frees. `self` is how the calling program was called; NULL, or one without a slash: only the installed one is
 * looked for. -ENOENT names both places. */
int program_find(const char *self, const char *name, char **ret, Error *e);

/* A copy of the program in memory that nobody can write to any more, whoever gets hold of it, and that pins no file system: to be executed with execveat(2).
 * Returns its fd. Source: memfd_create(2), fcntl(2) "File Sealing". */
int program_seal(const char *path, Error *e);

#endif
