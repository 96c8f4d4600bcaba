/* SPDX-License-Identifier: Apache-2.0 */
/* agent.json. */
#include "fuzz.h"
#include "shim/agent/agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(agent_freep) Agent *a = NULL;
    char path[sizeof(fuzz_path) + 16];
    Error e = {};

    fuzz_file("agent.json", data, size);
    snprintf(path, sizeof(path), "%s/agent.json", fuzz_path);
    if (agent_load(path, &a, &e) >= 0)
        (void) agent_can_evolve(a, &e);
    return 0;
}
