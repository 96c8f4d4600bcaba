/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CMD_COMMAND_H
#define MOSS_CMD_COMMAND_H

/* What the verbs of `moss` share. A verb gets argv[0] = its name and returns the exit status: 0 done, 1 failed (one line "moss: …" on stderr),
 * 2 wrong usage. With --json the result, or {"error":…}, is one JSON document on stdout. */

#include <jansson.h>

#include "runtime/base/error.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

int agent_main(int argc, char **argv);
int generations_main(int argc, char **argv);
int daemon_main(int argc, char **argv);
int collect_main(int argc, char **argv);
int shim_main(int argc, char **argv); /* history, rollback, recover, discard */

/* Options that all agent verbs take; see command_parse(). */
typedef struct Command {
    char *store_path; /* --store, else store_default_path() */
    bool json;        /* --json */
    bool replace;     /* --replace */
    bool force;       /* --force */
    bool dry_run;     /* --dry-run */
    unsigned lines;   /* --lines, 0: not given */
    bool grace_given; /* --grace */
    unsigned grace;
    const char *name; /* the argument, or NULL */
} Command;
void command_done(Command *c);

/* Parses `argv` of a verb that takes between `min` and one argument. Prints the usage and returns 2 when it is wrong, else 0. */
int command_parse(int argc, char **argv, int min, const char *usage, Command *ret);

/* The decimal number of an option, from 1 to `max`; -EINVAL: it is none. */
int command_number(const char *text, unsigned max, unsigned *ret);

/* The path of moss-shim, of PATH_MAX bytes: beside our own executable, else where it is installed. */
int command_find_shim(char *path, Error *e);

/* Prints the error and returns 1. */
int command_fail(const Command *c, const Error *e);

/* Prints the document on stdout; takes the reference. Returns the exit status. */
int command_print(json_t *value);

/* ---- the agent's verbs, one a file ---- */

int agent_add(int argc, char **argv);
int agent_start(int argc, char **argv);
int agent_stop(int argc, char **argv);
int agent_restart(int argc, char **argv);
int agent_status(int argc, char **argv);
int agent_list(int argc, char **argv);
int agent_logs(int argc, char **argv);
int agent_remove(int argc, char **argv);

#endif
