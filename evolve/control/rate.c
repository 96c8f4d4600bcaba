/* SPDX-License-Identifier: Apache-2.0 */
#include "rate.h"

Rate rate_make(unsigned burst, uint64_t usec_each, uint64_t now)
{
    uint64_t full = burst * usec_each;

    return (Rate){burst, usec_each, now > full ? now - full : 0};
}

uint64_t rate_take(Rate *rate, uint64_t now)
{
    uint64_t full = rate->burst * rate->usec_each;

    if (now > full)
        rate->filled_for = MAX(rate->filled_for, now - full);
    if (now - rate->filled_for < rate->usec_each)
        return rate->usec_each - (now - rate->filled_for);
    rate->filled_for += rate->usec_each;
    return 0;
}
