/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_HOLD_EPOLL_H
#define MOSS_HOLD_EPOLL_H

#include <sys/types.h>

/* An epoll instance knows a file under a number, not the number alone: one to which process `pid` has given its socket `number` would never hear of the socket that
 * takes its place. Registers `with` in its stead, with the same events and data, in each instance that the process has open and that knows the old socket (`sock`, our duplicate).
 * What cannot be read or registered is left out. */
void epoll_carry(pid_t pid, int number, int sock, int with);

#endif
