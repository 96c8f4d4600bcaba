/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SHIM_PROBES_H
#define MOSS_SHIM_PROBES_H

/* `moss-shim probes`: what the probes of a running agent last gave, on stdout, for people or as JSON. */

#include "runtime/base/error.h"

int probes_show(const char *agent, bool json, Error *e);

#endif
