/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_CLOCK_H
#define MOSS_BASE_CLOCK_H

/* Durations and deadlines are microseconds of CLOCK_BOOTTIME, which no one can set and which goes on in suspend. Wall-clock time is for
 * people to read and decides nothing. */

#include <time.h>

#include "macro.h"

#define USEC_PER_SEC 1000000ULL
#define USEC_PER_MSEC 1000ULL

static inline uint64_t clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

/* Milliseconds until `deadline` for poll(2): rounded up, 0 when it has passed, -1 (for ever) for UINT64_MAX. */
static inline int clock_poll_timeout(uint64_t deadline)
{
    uint64_t now = clock_now(), ms;

    if (deadline == UINT64_MAX)
        return -1;
    if (deadline <= now)
        return 0;
    ms = (deadline - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
    return ms > 1U << 30 ? 1 << 30 : (int) ms;
}

/* "2026-01-31T12:00:00Z" of now. */
static inline void clock_iso8601(char ret[static 21])
{
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(ret, 21, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

#endif
