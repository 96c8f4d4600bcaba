/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_HOOKS_H
#define MOSS_OCI_HOOKS_H

/* Programs that the configuration wants run at points of the container's life (runtime-spec, "POSIX-platform Hooks"), in order, each with the
 * state on its standard input. */

#include "config.h"
#include "state.h"

/* Runs all of one kind. The first that fails ends it with an error that carries what it printed, upon which the container is to be stopped; of poststop hooks,
 * whose failure must not stop anything, all are run and the first failure is reported. */
int hooks_run(const Config *c, HookKind kind, const State *state, const char *status, Error *e);

#endif
