/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BOX_EGRESS_H
#define MOSS_BOX_EGRESS_H

/* What a network namespace may connect to: an nf_tables table "moss" in that namespace, put there in one atomic batch, which nobody in it has the
 * right to change. Allowed are loopback, answers to connections from outside, and TCP and UDP to the addresses of the list; all other TCP and UDP is
 * rejected at once (not dropped: a program that waits for a time-out tells its user nothing) and counted, the rest dropped. */

#include "runtime/base/error.h"

/* `allow`: NULL-terminated "1.2.3.4:443", "[2001:db8::1]:443"; empty: nothing; NULL: everything. Replaces what was there. */
int egress_apply(int netns, const char *const *allow, Error *e);

/* How many packets that would have opened a connection were rejected since. */
int egress_refused(int netns, uint64_t *ret, Error *e);

#endif
