/* SPDX-License-Identifier: Apache-2.0 */
/* Where an evolution is, as the ledger keeps it. */
#include "evolve/stage/position.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_json_ json_t *o = fuzz_json(data, size);
    Position p = {};
    Error e = {};

    if (json_is_object(o) && position_parse(o, &p, &e) >= 0) {
        (void) position_advance(&p, ANSWER_REJECT);
        json_decref(position_json(&p));
    }
    return 0;
}
