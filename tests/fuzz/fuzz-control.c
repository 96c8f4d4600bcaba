/* SPDX-License-Identifier: Apache-2.0 */
/* A packet on an agent's control socket, of an agent that has just been added. */
#include "evolve/control/control.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const Agent agent = {.name = "fuzz"};
    const ControlPlace place = {.store_path = fuzz_path, .agent = &agent};

    if (size > CONTROL_PACKET_MAX || mkdirat_p(fuzz_directory(), "agents/fuzz", 0700) < 0 ||
        setenv("MOSS_RUN", fuzz_path, 1) < 0)
        return 0;
    json_decref(control_answer(&place, CONTROL_AGENT, (const char *) data, size));
    json_decref(control_answer(&place, CONTROL_OPERATOR, (const char *) data, size));
    return 0;
}
