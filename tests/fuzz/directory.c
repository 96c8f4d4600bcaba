/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

char fuzz_path[] = FUZZ_TEMPLATE;

static void remove_directory(void)
{
    (void) rm_rf_at(AT_FDCWD, fuzz_path);
}

int fuzz_directory(void)
{
    static int fd = -EBADF;

    if (fd < 0) {
        if (!mkdtemp(fuzz_path))
            abort();
        (void) atexit(remove_directory);
        fd = open(fuzz_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        abort();
    return fd;
}

void fuzz_file(const char *name, const void *data, size_t size)
{
    if (file_write_at(fuzz_directory(), name, data, size, 0600, 0) < 0)
        abort();
}

char *fuzz_line(const uint8_t **data, size_t *size)
{
    const uint8_t *end = *size ? memchr(*data, '\n', *size) : NULL;
    size_t n = end ? (size_t) (end - *data) : *size;
    char *line = *size ? strndup((const char *) *data, n) : NULL;

    if (*size) {
        n += end != NULL;
        *data += n;
        *size -= n;
    }
    return line;
}
