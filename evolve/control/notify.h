/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CONTROL_NOTIFY_H
#define MOSS_CONTROL_NOTIFY_H

/* Tells the service manager how we are, as sd_notify(3) has it: one datagram to the socket that $NOTIFY_SOCKET names, a path or, behind '@', an abstract name. */

#include "runtime/base/error.h"

/* "READY=1", "STOPPING=1"… 0 also where nobody wants to know. */
int notify_manager(const char *state);

#endif
