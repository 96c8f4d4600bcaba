/* SPDX-License-Identifier: Apache-2.0 */
/* NAME FILE…: what libFuzzer would do with the files of a corpus, without it. */
#include <stdio.h>

#include "fuzz.h"

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        _cleanup_free_ char *data = NULL;
        size_t len;
        int r = file_read_at(AT_FDCWD, argv[i], (size_t) 4 << 20, &data, &len);

        if (r < 0) {
            fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
            return 1;
        }
        (void) LLVMFuzzerTestOneInput((const uint8_t *) data, len);
    }
    printf("ok %d\n", argc - 1);
    return 0;
}
