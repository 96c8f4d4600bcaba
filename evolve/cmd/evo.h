/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CMD_EVO_H
#define MOSS_CMD_EVO_H

/* `moss evo VERB`: one verb a file. evo.c takes the options that all verbs share out of the arguments, finds the agent and calls the verb with
 * argv[0] = its name. A verb returns the exit code: 0 done, 1 failed, 2 wrong usage. */

#include <jansson.h>

#include "evolve/ledger/ledger.h"
#include "runtime/base/error.h"
#include "shim/agent/agent.h"

typedef struct EvoContext {
    const char *store_path;      /* --store, else store_default_path() */
    const char *agent_name;      /* --agent NAME, else the only agent there is */
    const char *agent_directory; /* <store>/agents/NAME */
    Agent *agent;                /* loaded and checked */
    bool json;                   /* --json */
} EvoContext;

int evo_main(int argc, char **argv);

int evo_status(const EvoContext *c, int argc, char **argv);
int evo_batches(const EvoContext *c, int argc, char **argv);
int evo_batch(const EvoContext *c, int argc, char **argv);
int evo_start(const EvoContext *c, int argc, char **argv);
int evo_stop(const EvoContext *c, int argc, char **argv);
int evo_restart(const EvoContext *c, int argc, char **argv);
int evo_apply(const EvoContext *c, int argc, char **argv);
int evo_flag(const EvoContext *c, int argc, char **argv);
int evo_report(const EvoContext *c, int argc, char **argv);
int evo_catch_up(const EvoContext *c, int argc, char **argv);

/* Prints `moss: TEXT` once, on stderr; with --json also {"ok":false,"error":TEXT} on stdout. Returns 1. */
int evo_fail(const EvoContext *c, int r, const Error *e);
/* Prints how the verb is called. Returns 2. */
int evo_usage(const char *text);
/* Prints a JSON document on stdout. Returns 0, or 1 when it cannot be written. */
int evo_print(const json_t *value);

#endif
