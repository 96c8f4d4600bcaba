/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_LOOP_H
#define MOSS_BASE_LOOP_H

/* An event loop for one thread: file descriptors and timers.
 *
 *     loop_new(&loop);
 *     loop_watch(loop, fd, EPOLLIN, on_readable, userdata, &source);
 *     loop_timer(loop, clock_now() + USEC_PER_SEC, on_time, userdata, &source);
 *     r = loop_run(loop);          until loop_quit(loop, r)
 *
 * The loop owns its sources but not their fds. A source may be cancelled at any time, also from within any handler; a timer
 * is over when it fires. Cancel a source before its fd is closed. */

#include <sys/epoll.h>

#include "macro.h"

typedef struct Loop Loop;
typedef struct LoopSource LoopSource;

/* `events`: EPOLL* of a watched fd, 0 for a timer. */
typedef void (*LoopHandler)(uint32_t events, void *userdata);

int loop_new(Loop **ret);
Loop *loop_free(Loop *loop);
static inline void loop_freep(Loop **l)
{
    loop_free(*l);
}

/* `*ret` (may be NULL) is overwritten, not cancelled; it must live as long as the source: a timer sets it to NULL just before its handler runs. */
int loop_watch(Loop *loop, int fd, uint32_t events, LoopHandler handler, void *userdata, LoopSource **ret);
int loop_timer(Loop *loop, uint64_t deadline, LoopHandler handler, void *userdata, LoopSource **ret);

/* Cancels *source, if it is one, and sets it to NULL. */
void loop_cancel(LoopSource **source);

/* Waits for events until loop_quit(); returns what that was given, or -errno. */
int loop_run(Loop *loop);
void loop_quit(Loop *loop, int result);

#endif
