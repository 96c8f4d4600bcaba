/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_TESTS_FUZZ_H
#define MOSS_TESTS_FUZZ_H

/* Fuzz targets: each file fuzz-NAME.c defines LLVMFuzzerTestOneInput() over one parser of bytes that come from outside; tests/fuzz/corpus/NAME holds what it starts
 * from, and each input that once broke something. `make fuzz` links them with libFuzzer, `make check-fuzz` with replay.c, which runs the corpus once.
 *
 * A target has no state that outlives an input, but for a directory of its own. */

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A directory in memory that goes away with the process. Its path: fuzz_path. */
#define FUZZ_TEMPLATE "/dev/shm/moss-fuzz-XXXXXX"
extern char fuzz_path[sizeof(FUZZ_TEMPLATE)];
int fuzz_directory(void);

/* Puts the input there. */
void fuzz_file(const char *name, const void *data, size_t size);

/* The input as a value; NULL if it is none. */
static inline json_t *fuzz_json(const uint8_t *data, size_t size)
{
    json_t *o = NULL;

    return json_parse((const char *) data, size, "input", &o, NULL) < 0 ? NULL : o;
}

/* The next line of the input as a string that the caller frees; NULL at the end. */
char *fuzz_line(const uint8_t **data, size_t *size);

#endif
