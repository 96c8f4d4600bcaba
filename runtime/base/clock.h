/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_CLOCK_H
#define MOSS_BASE_CLOCK_H

/* Durations and deadlines are microseconds of CLOCK_BOOTTIME, which no one can set and which goes on in suspend. Wall-clock time is for
 * people to read and decides nothing. */

#include <stdio.h>
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

/* "2026-01-31T12:00:00" of a time since 1970. gmtime_r(3) and strftime(3) would read the time zone's file for it. */
#define CLOCK_UTC_SIZE 20
static inline void clock_utc(time_t t, char ret[static CLOCK_UTC_SIZE])
{
    unsigned long long seconds = (unsigned long long) t;
    unsigned second = (unsigned) (seconds % 86400);
    /* Days since 1 March of the year 0, in eras of 400 years; a year begins in March here, so that the leap day is its last. */
    unsigned long long day = seconds / 86400 + 719468, era = day / 146097;
    unsigned of_era = (unsigned) (day % 146097);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;

    snprintf(ret, CLOCK_UTC_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u",
             (unsigned) ((400 * era + year + (month >= 10)) % 10000), (month < 10 ? month + 3 : month - 9) % 100,
             (of_year - (153 * month + 2) / 5 + 1) % 100, second / 3600, second / 60 % 60, second % 60);
}

/* "2026-01-31T12:00:00Z" of now. */
static inline void clock_iso8601(char ret[static 21])
{
    clock_utc(time(NULL), ret);
    ret[CLOCK_UTC_SIZE - 1] = 'Z';
    ret[CLOCK_UTC_SIZE] = '\0';
}

#endif
