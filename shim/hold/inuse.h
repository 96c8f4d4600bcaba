/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_HOLD_INUSE_H
#define MOSS_HOLD_INUSE_H

#include "runtime/base/macro.h"

/* Has any process of the cgroup this socket open? Reads /proc/PID/fd of each; also true when the cgroup cannot be read. */
bool socket_in_use(int sock, int cgroup);

#endif
