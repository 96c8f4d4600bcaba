/* SPDX-License-Identifier: Apache-2.0 */
/* A `process` object, as `exec --process` gets it. */
#include "fuzz.h"
#include "runtime/oci/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_json_ json_t *o = fuzz_json(data, size);
    ConfigProcess p = {};
    Error e = {};

    if (json_is_object(o) && config_process_parse(o, "input", &p, &e) >= 0)
        config_process_done(&p);
    return 0;
}
