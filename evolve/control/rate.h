/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CONTROL_RATE_H
#define MOSS_CONTROL_RATE_H

/* How often someone may ask: a bucket of tokens that fills with time. */

#include "runtime/base/macro.h"

typedef struct Rate {
    unsigned burst;      /* tokens that it holds */
    uint64_t usec_each;  /* one more after this time */
    uint64_t filled_for; /* a time up to burst × usec_each ago: what has passed since is credit */
} Rate;

/* A full bucket; `now` of clock_now(). */
Rate rate_make(unsigned burst, uint64_t usec_each, uint64_t now);

/* Takes a token and returns 0, or says after how many microseconds there will be one. */
uint64_t rate_take(Rate *rate, uint64_t now);

#endif
