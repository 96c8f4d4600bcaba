/* SPDX-License-Identifier: Apache-2.0 */
/* swaps.jsonl: the last record, and whether another is put behind it. */
#include "fuzz.h"
#include "shim/swap/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_json_ json_t *last = NULL, *line = json_pack("{s:i, s:i}", "version", 1, "txid", 7);
    Error e = {};

    fuzz_file("swaps.jsonl", data, size);
    (void) record_last(fuzz_directory(), &last, &e);
    if (record_append(fuzz_directory(), 7, line, &e) < 0)
        return 0;
    json_decref(last);
    last = NULL;
    if (record_last(fuzz_directory(), &last, &e) < 0)
        abort(); /* what was appended can be read */
    return 0;
}
