/* SPDX-License-Identifier: Apache-2.0 */
/* state.json of a container. */
#include "fuzz.h"
#include "runtime/oci/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    State s = {};
    Error e = {};

    fuzz_file("state.json", data, size);
    if (state_load(fuzz_directory(), &s, &e) >= 0) {
        json_decref(state_public(&s, "stopped"));
        (void) container_id_check(s.id, &e);
        (void) state_save(fuzz_directory(), &s, &e);
        state_done(&s);
    }
    return 0;
}
