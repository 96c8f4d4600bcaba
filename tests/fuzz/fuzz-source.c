/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's source files, as the built-in search reads them. The first byte chooses the language. */
#include "evolve/coder/search/source.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a.py", "a.js", "a.c"};
    Arena arena = {.limit = (size_t) 64 << 20};
    Symbols symbols = {.arena = &arena};
    File f = {};

    if (size > 1 && size < 65536 &&
        source_read(&arena, &symbols, names[data[0] % ARRAY_SIZE(names)], (const char *) data + 1, size - 1, &f) >= 0)
        (void) source_bind(&arena, &f);
    arena_done(&arena);
    return 0;
}
