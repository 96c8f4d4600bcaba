/* SPDX-License-Identifier: Apache-2.0 */
#include "decide.h"

static bool occupied(const HoldTable *t, size_t i)
{
    return t->held[i].fd >= 0;
}

/* The agent had it in this run and has closed it. */
static bool closed(const HoldTable *t, size_t i)
{
    return t->held[i].claimed && !t->in_use(&t->held[i], t->userdata);
}

/* The first slot with this address that is free for the asking; HOLD_MAX: none. */
static size_t find_unclaimed(const HoldTable *t, const HoldAddress *a)
{
    for (size_t i = 0; i < HOLD_MAX; i++)
        if (occupied(t, i) && !t->held[i].claimed && address_equal(&t->held[i].address, a))
            return i;
    return HOLD_MAX;
}

static Verdict decide_chosen(const HoldTable *t, const HoldAddress *a, size_t *ret_tag)
{
    for (size_t i = HOLD_FIRST_CHOSEN; i < HOLD_MAX; i++)
        if (occupied(t, i) && !t->held[i].claimed && t->held[i].stand_in == 0 &&
            address_same_host(&t->held[i].address, a)) {
            *ret_tag = i;
            return VERDICT_STAND_IN;
        }
    return VERDICT_KERNEL;
}

Verdict decide_bind(const HoldTable *t, const HoldAddress *a, size_t *ret_tag)
{
    bool conflict = false;
    size_t i;

    if (address_chosen(a))
        return decide_chosen(t, a, ret_tag);
    i = find_unclaimed(t, a);
    for (size_t k = 0; i == HOLD_MAX && k < HOLD_MAX; k++) {
        if (!occupied(t, k) || !address_equal(&t->held[k].address, a))
            continue;
        if (closed(t, k))
            i = k;
        else
            conflict = true;
    }
    if (i < HOLD_MAX) {
        *ret_tag = i;
        return VERDICT_REPLACE;
    }
    for (i = 0; !conflict && i < HOLD_MAX; i++)
        if (occupied(t, i) && address_overlaps(&t->held[i].address, a) && (!t->held[i].claimed || closed(t, i))) {
            *ret_tag = i;
            return VERDICT_YIELD;
        }
    return VERDICT_KERNEL;
}

static Verdict find_room(const HoldTable *t, bool chosen, size_t *ret_tag)
{
    size_t from = chosen ? HOLD_FIRST_CHOSEN : 0, to = chosen ? HOLD_MAX : HOLD_FIRST_CHOSEN;

    for (size_t i = from; i < to; i++)
        if (!occupied(t, i)) {
            *ret_tag = i;
            return VERDICT_KEEP;
        }
    for (size_t i = from; i < to; i++)
        if (closed(t, i)) {
            *ret_tag = i;
            return VERDICT_KEEP;
        }
    return VERDICT_FULL;
}

Verdict decide_listen(const HoldTable *t, const HoldAddress *a, uint64_t cookie, bool chosen, size_t *ret_tag)
{
    for (size_t i = 0; i < HOLD_MAX; i++)
        if (occupied(t, i) && (t->held[i].cookie == cookie || t->held[i].stand_in == cookie)) {
            *ret_tag = i;
            return t->held[i].cookie == cookie ? VERDICT_AGAIN : VERDICT_REPLACE;
        }
    /* Listening without a bind, or one that nobody saw: between two shims, or in a group of SO_REUSEPORT. */
    if (address_chosen(a) && decide_chosen(t, a, ret_tag) == VERDICT_STAND_IN)
        return VERDICT_REPLACE;
    /* One that has a path of its own is bound there, and no other is. */
    *ret_tag = address_path(a) ? HOLD_MAX : find_unclaimed(t, a);
    return *ret_tag < HOLD_MAX ? VERDICT_REPLACE : find_room(t, chosen, ret_tag);
}
