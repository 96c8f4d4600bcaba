/* SPDX-License-Identifier: Apache-2.0 */

/* `moss agent start|stop|restart`: through moss-shim, which keeps the agent. */

#include <limits.h>
#include <stdio.h>

#include "command.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/process.h"
#include "shim/agent/agent.h"
#include "shim/client/client.h"

#define ANSWER_USEC (30 * USEC_PER_SEC)

/* 1 if a shim keeps it, also one that does not answer well; 0 if none does. */
static int is_kept(const char *name)
{
    _cleanup_json_ json_t *request = json_pack("{s:s}", "op", "status"), *status = NULL;

    return shim_call(name, request, ANSWER_USEC, NULL, NULL, &status, NULL) != -ENOENT;
}

/* What the shim says, without its name in front and the end of the line. */
static int shim_failed(char *output, int status, Error *e)
{
    const char *text;

    output[strcspn(output, "\n")] = '\0';
    text = startswith(output, "moss-shim: ");
    if (!text)
        text = output;
    return *text ? error_setf(e, -ECHILD, "%s", text)
                 : error_setf(e, -ECHILD, "moss-shim ended with status %d", status);
}

/* Runs `moss-shim VERB NAME` to its end. */
static int call_shim(const Command *c, const Agent *a, const char *verb, uint64_t patience, Error *e)
{
    char path[PATH_MAX];
    const char *const argv[] = {path, verb, a->name, "--store", c->store_path, NULL};
    const ProcessSpec spec = {.argv = argv, .output_max = 65536, .timeout_usec = patience};
    _cleanup_free_ char *output = NULL;
    int r;

    r = command_find_shim(path, e);
    if (r < 0)
        return r;
    r = process_run(&spec, &output, e);
    return r > 0 ? shim_failed(output, r, e) : r;
}

static int start(const Command *c, const Agent *a, Error *e)
{
    if (is_kept(a->name) > 0)
        return error_setf(e, -EALREADY, "%s is running already", a->name);
    return call_shim(c, a, "start", (a->gate.gate_timeout_seconds + 60ULL) * USEC_PER_SEC, e);
}

/* 1 when it was stopped, 0 when it was not running. Returns when its shim is gone. */
static int stop(const Command *c, const Agent *a, Error *e)
{
    int r;

    if (is_kept(a->name) == 0)
        return 0;
    r = call_shim(c, a, "stop", (agent_drain_seconds_max(a) + 130ULL) * USEC_PER_SEC, e);
    return r < 0 ? r : 1;
}

static int finish(const Command *c, const Agent *a, int r, const char *done, const Error *e)
{
    if (r < 0)
        return command_fail(c, e);
    if (c->json)
        return command_print(json_pack("{s:s, s:s}", "agent", a->name, "state", done));
    printf("%s %s\n", a->name, done);
    return EXIT_DONE;
}

static int begin(int argc, char **argv, const char *usage, Command *c, Agent **ret)
{
    Error e = {};
    int r = command_parse(argc, argv, 1, usage, c);

    if (r != 0)
        return r;
    return agent_load_named(c->store_path, c->name, ret, &e) < 0 ? command_fail(c, &e) : 0;
}

int agent_start(int argc, char **argv)
{
    _cleanup_(command_done) Command c = {};
    _cleanup_(agent_freep) Agent *a = NULL;
    Error e = {};
    int r = begin(argc, argv, "agent start NAME [--store DIR] [--json]", &c, &a);

    return r != 0 ? r : finish(&c, a, start(&c, a, &e), "started", &e);
}

int agent_stop(int argc, char **argv)
{
    _cleanup_(command_done) Command c = {};
    _cleanup_(agent_freep) Agent *a = NULL;
    Error e = {};
    int r = begin(argc, argv, "agent stop NAME [--store DIR] [--json]", &c, &a);

    if (r != 0)
        return r;
    r = stop(&c, a, &e);
    return finish(&c, a, r, r == 0 ? "was not running" : "stopped", &e);
}

int agent_restart(int argc, char **argv)
{
    _cleanup_(command_done) Command c = {};
    _cleanup_(agent_freep) Agent *a = NULL;
    Error e = {};
    int r = begin(argc, argv, "agent restart NAME [--store DIR] [--json]", &c, &a);

    if (r != 0)
        return r;
    r = stop(&c, a, &e);
    if (r >= 0)
        r = start(&c, a, &e);
    return finish(&c, a, r, "started", &e);
}
