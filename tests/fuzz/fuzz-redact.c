/* SPDX-License-Identifier: Apache-2.0 */
/* What users said, without their secrets. */
#include "evolve/evidence/redact.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = strndup((const char *) data, size), *once = NULL, *twice = NULL;
    _cleanup_json_ json_t *o = fuzz_json(data, size);
    Redactor r = {};

    once = redact_text(&r, text);
    twice = once ? redact_text(&r, once) : NULL;
    if (o)
        (void) redact_json(&r, o);
    redactor_done(&r);
    return 0;
}
