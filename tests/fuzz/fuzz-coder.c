/* SPDX-License-Identifier: Apache-2.0 */
/* What a coding agent prints, for each role, and its candidates. */
#include "evolve/coder/coder.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Error e = {};
    json_t *o;

    for (CoderRole role = ROLE_LOCATE; role <= ROLE_CODE_REVIEW; role++)
        if (coder_parse_result(role, (const char *) data, size, &o, &e) >= 0)
            json_decref(o);
    if (coder_parse_candidates((const char *) data, size, 100, &o, &e) >= 0)
        json_decref(o);
    return 0;
}
