/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CMD_H
#define MOSS_CMD_H

/* moss-runtime: one verb a file. A verb gets its own arguments (argv[0] is the verb), does its work, prints results on standard output
 * and returns an exit status, or -errno with an Error, which main() reports once: as a line on standard error and a record in --log. */

#include <stdio.h>

#include "runtime/base/error.h"
#include "runtime/oci/container.h"

typedef struct Cli {
    const char *root; /* NULL: the default of this user */
    const char *log;  /* NULL: none */
    bool log_json;
    bool debug;
    bool systemd_cgroup, no_cgroup;
    const char *criu; /* NULL: that of PATH */
    int failure;      /* exit status after an error; 0: 1 */
    char **argv;      /* the whole command line, for guard_self() */
} Cli;

typedef struct Verb {
    const char *name;
    int (*run)(Cli *cli, int argc, char **argv, Error *e);
    const char *arguments;
    const char *help;
    const char *options; /* lines, "" if there are none */
} Verb;

/* What a verb returns that was asked for its help. */
#define CMD_HELP (-EISNAM)

/* usage.c */
const Verb *cmd_verb(const char *name);
void cmd_usage(FILE *to);
void cmd_verb_usage(const Verb *v);
void cmd_version(void);

int verb_checkpoint(Cli *cli, int argc, char **argv, Error *e);
int verb_create(Cli *cli, int argc, char **argv, Error *e);
int verb_delete(Cli *cli, int argc, char **argv, Error *e);
int verb_events(Cli *cli, int argc, char **argv, Error *e);
int verb_exec(Cli *cli, int argc, char **argv, Error *e);
int verb_features(Cli *cli, int argc, char **argv, Error *e);
int verb_kill(Cli *cli, int argc, char **argv, Error *e);
int verb_list(Cli *cli, int argc, char **argv, Error *e);
int verb_pause(Cli *cli, int argc, char **argv, Error *e);
int verb_ps(Cli *cli, int argc, char **argv, Error *e);
int verb_restore(Cli *cli, int argc, char **argv, Error *e);
int verb_resume(Cli *cli, int argc, char **argv, Error *e);
int verb_run(Cli *cli, int argc, char **argv, Error *e);
int verb_spec(Cli *cli, int argc, char **argv, Error *e);
int verb_start(Cli *cli, int argc, char **argv, Error *e);
int verb_state(Cli *cli, int argc, char **argv, Error *e);
int verb_update(Cli *cli, int argc, char **argv, Error *e);

/* ---- shared by the verbs ---- */

/* Opens the directory of all containers' state. */
int cmd_runtime(const Cli *cli, Runtime *ret, Error *e);

/* A verb's options, for getopt_long(3), which main() has silenced. An unknown one or a missing value gives the error, --help
 * gives CMD_HELP. */
int cmd_bad_option(int argc, char **argv, Error *e);
/* What create, run and exec have in common: the lines belong into their tables, "d" too, and the function takes all that they do not know. */
enum {
    CMD_PID_FILE = 512,
    CMD_CONSOLE_SOCKET,
    CMD_PIDFD_SOCKET,
    CMD_PRESERVE_FDS,
    CMD_IGNORED,
};
#define CMD_CALLER_OPTIONS                                                                                             \
    {"detach", no_argument, NULL, 'd'}, {"pid-file", required_argument, NULL, CMD_PID_FILE},                           \
        {"console-socket", required_argument, NULL, CMD_CONSOLE_SOCKET},                                               \
        {"pidfd-socket", required_argument, NULL, CMD_PIDFD_SOCKET},                                                   \
        {"preserve-fds", required_argument, NULL, CMD_PRESERVE_FDS},                                                   \
    {                                                                                                                  \
        "no-subreaper", no_argument, NULL, CMD_IGNORED                                                                 \
    }
int cmd_caller_option(Caller *caller, int c, int argc, char **argv, Error *e);

/* After getopt_long: exactly one argument, the container's id. */
int cmd_id(int argc, char **argv, const char **ret, Error *e);
/* A whole number, in full and within the limits, or an error that names the option. */
int cmd_number(const char *option, const char *text, int64_t min, int64_t max, int64_t *ret, Error *e);

/* The ids of all containers, an array of strings which the caller releases. */
int cmd_ids(const Runtime *rt, json_t **ret, Error *e);

/* {"ociVersion":…,"id":…,"pid":…,"status":…,"bundle":…,"rootfs":…,"created":…,"owner":…,"annotations":…}, as `state` and `list` print it. */
json_t *cmd_describe(const Container *c);

/* A Warner of the Cli's: a record in --log or, if there is none, a line on standard error. */
void cmd_warn(void *cli, const char *text);

/* Prints a value, JSON_INDENT(2) or JSON_COMPACT in one line, and releases it. */
int cmd_print(json_t *value, size_t flags, Error *e);

#endif
