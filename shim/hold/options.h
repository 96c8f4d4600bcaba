/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_HOLD_OPTIONS_H
#define MOSS_HOLD_OPTIONS_H

/* Makes the held socket `to` what the agent has made of its own, `from`, before it was replaced: what accept(2) does (non-blocking, its timeout), and what
 * connections inherit from their listener. Not carried: SO_REUSEADDR and SO_REUSEPORT, which were for a bind that is over, what needs a privilege (SO_MARK,
 * SO_BINDTODEVICE) and attached programs. */
void options_carry(int from, int to);

#endif
