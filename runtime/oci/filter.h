/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_FILTER_H
#define MOSS_OCI_FILTER_H

/* The system call filter of a container: what linux.seccomp compiles to. It is not read at all where its program is kept. */

#include "config.h"
#include "runtime/box/seccomp.h"

/* Leaves *ret as it is where there is none. */
int filter_of(Config *c, SeccompFilter *ret, Error *e);

#endif
