/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a bundle: everything that is read from it before the host is touched. */
#include "fuzz.h"
#include "runtime/box/caps.h"
#include "runtime/oci/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(config_freep) Config *c = NULL;
    json_t *o = fuzz_json(data, size);
    CapSets caps;
    Error e = {};

    if (!json_is_object(o)) {
        json_decref(o);
        return 0;
    }
    if (config_parse(o, &c, &e) >= 0)
        (void) caps_parse(c->process.capabilities, "process.capabilities", &caps, &e);
    return 0;
}
