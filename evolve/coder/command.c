/* SPDX-License-Identifier: Apache-2.0 */
/* `command`: any program of the operator's that speaks the protocol, with the agent's base root filesystem around it. */
#include "evolve/coder/adapter.h"

static int command_preflight(const Agent *agent, Error *e)
{
    if (!agent->coder_argv || !agent->coder_argv[0])
        return error_setf(e, -EINVAL, "agent \"%s\": coder.command is missing, and the adapter \"command\" runs it",
                          agent->name);
    return 0;
}

static int command_prepare(const CoderSpec *spec, _unused_ int frame, CoderBox *ret, _unused_ Error *e)
{
    *ret = (CoderBox){
        .argv = (const char *const *) spec->agent->coder_argv,
        .base_root = true,
        .directory = spec->agent->coder_directory,
    };
    return 0;
}

const CoderAdapter coder_command = {"command", command_preflight, command_prepare};
