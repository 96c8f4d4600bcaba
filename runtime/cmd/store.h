/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CMD_STORE_H
#define MOSS_CMD_STORE_H

/* The verbs over the store: `moss-runtime layer|snapshot|generation ACTION …`. argv[0] is the verb. They return the exit status: 0 done, 1 failed (with one line on
 * stderr), 2 wrong usage. */

#include <jansson.h>

#include "runtime/store/store.h"

int cmd_layer(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_generation(int argc, char **argv);

/* ---- shared by them (store.c) ---- */

typedef struct StoreCall {
    Store *store;
    const char *action;
    const char *const *args; /* behind the action and without options */
    size_t n_args;
    bool json;
    /* options that only some actions take */
    const char *agent, *commit, *upper;
    uint64_t size;
    bool read_only;
} StoreCall;

typedef struct StoreAction {
    const char *name;
    const char *usage; /* what comes behind the name */
    size_t min_args, max_args;
    int (*run)(const StoreCall *call, Error *e); /* 0 or -errno */
} StoreAction;

/* Parses the arguments, opens the store, runs the action, reports. `actions` ends with a zeroed one. */
int store_verb(int argc, char **argv, const StoreAction *actions);

/* Prints the digest, or {"digest":…} with --json. */
void store_print_digest(const StoreCall *call, const char *digest);

#endif
