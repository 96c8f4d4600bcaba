/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_RUNDIR_H
#define MOSS_BASE_RUNDIR_H

/* Where what does not outlive a boot is kept: $MOSS_RUN, /run/moss as root of the system, $XDG_RUNTIME_DIR/moss, /tmp/moss-UID. */

#include "error.h"

/* Makes <run directory>/NAME (0700) and gives its path, which the caller frees. -EPERM when it, or the directory above, is one that others could
 * have put there. */
int run_directory(const char *name, char **ret, Error *e);

#endif
