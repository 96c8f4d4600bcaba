/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>

#include "shim/hold/decide.h"
#include "tests/unit/test.h"

#define NONE SIZE_MAX

static bool fd_is_even(const Held *held, void *userdata)
{
    (void) userdata;
    return held->fd % 2 == 0;
}

/* A table without anything held. A socket counts as open in the agent if its fd is even. */
static HoldTable empty(void)
{
    HoldTable t = {.in_use = fd_is_even};

    for (size_t i = 0; i < HOLD_MAX; i++)
        t.held[i].fd = -1;
    return t;
}

static HoldAddress at(in_addr_t host, uint16_t port)
{
    HoldAddress a = {.len = sizeof(struct sockaddr_in), .type = SOCK_STREAM};
    struct sockaddr_in *in = (void *) &a.sa;

    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(host);
    address_set_port(&a, port);
    return a;
}

enum { UNCLAIMED, OPEN, CLOSED };

static void hold(HoldTable *t, size_t tag, HoldAddress a, int how)
{
    t->held[tag] = (Held){.fd = (int) tag * 2 + (how == CLOSED), .address = a, .cookie = 1000 + tag, .claimed = how};
}

static void check_bind(const HoldTable *t, HoldAddress a, Verdict v, size_t tag)
{
    size_t got = NONE;

    assert_int_equal(decide_bind(t, &a, &got), v);
    if (tag != NONE)
        assert_int_equal(got, tag);
}

static void check_listen(const HoldTable *t, HoldAddress a, uint64_t cookie, bool chosen, Verdict v, size_t tag)
{
    size_t got = NONE;

    assert_int_equal(decide_listen(t, &a, cookie, chosen, &got), v);
    if (tag != NONE)
        assert_int_equal(got, tag);
}

TEST(the_first_bind_is_the_kernels_and_the_listen_is_kept)
{
    HoldTable t = empty();

    check_bind(&t, at(INADDR_LOOPBACK, 80), VERDICT_KERNEL, NONE);
    check_listen(&t, at(INADDR_LOOPBACK, 80), 7, false, VERDICT_KEEP, 0);
    hold(&t, 0, at(INADDR_LOOPBACK, 80), OPEN);
    check_listen(&t, at(INADDR_LOOPBACK, 80), 1000, false, VERDICT_AGAIN, 0);
}

TEST(a_bind_of_the_next_incarnation_is_given_the_held_socket)
{
    HoldTable t = empty();

    hold(&t, 3, at(INADDR_LOOPBACK, 80), UNCLAIMED);
    check_bind(&t, at(INADDR_LOOPBACK, 80), VERDICT_REPLACE, 3);
    check_bind(&t, at(INADDR_LOOPBACK, 81), VERDICT_KERNEL, NONE);
    check_listen(&t, at(INADDR_LOOPBACK, 80), 7, false, VERDICT_REPLACE, 3);
}

TEST(a_second_bind_is_a_conflict_while_the_first_is_open_and_none_after)
{
    HoldTable t = empty();

    hold(&t, 0, at(INADDR_LOOPBACK, 80), OPEN);
    check_bind(&t, at(INADDR_LOOPBACK, 80), VERDICT_KERNEL, NONE);
    hold(&t, 0, at(INADDR_LOOPBACK, 80), CLOSED);
    check_bind(&t, at(INADDR_LOOPBACK, 80), VERDICT_REPLACE, 0);
}

TEST(a_group_is_handed_back_in_order_and_may_grow)
{
    HoldTable t = empty();

    for (size_t i = 0; i < 3; i++)
        hold(&t, i, at(INADDR_ANY, 80), UNCLAIMED);
    for (size_t i = 0; i < 3; i++) {
        check_bind(&t, at(INADDR_ANY, 80), VERDICT_REPLACE, i);
        t.held[i].claimed = true;
    }
    check_bind(&t, at(INADDR_ANY, 80), VERDICT_KERNEL, NONE);
    check_listen(&t, at(INADDR_ANY, 80), 7, false, VERDICT_KEEP, 3);
    /* One worker has died. */
    hold(&t, 1, at(INADDR_ANY, 80), CLOSED);
    check_bind(&t, at(INADDR_ANY, 80), VERDICT_REPLACE, 1);
}

TEST(what_nobody_wants_any_more_gives_way)
{
    HoldTable t = empty();

    hold(&t, 5, at(INADDR_ANY, 80), UNCLAIMED);
    check_bind(&t, at(INADDR_LOOPBACK, 80), VERDICT_YIELD, 5);
    hold(&t, 5, at(INADDR_ANY, 80), CLOSED);
    check_bind(&t, at(INADDR_LOOPBACK, 80), VERDICT_YIELD, 5);
    hold(&t, 5, at(INADDR_ANY, 80), OPEN);
    check_bind(&t, at(INADDR_LOOPBACK, 80), VERDICT_KERNEL, NONE);
}

TEST(a_chosen_port_stays_and_is_promised_once)
{
    HoldTable t = empty();
    const size_t first = HOLD_FIRST_CHOSEN;

    check_bind(&t, at(INADDR_ANY, 0), VERDICT_KERNEL, NONE);
    check_listen(&t, at(INADDR_ANY, 40000), 7, true, VERDICT_KEEP, first);
    hold(&t, 0, at(INADDR_ANY, 80), UNCLAIMED); /* was asked for by number: not for those who ask for any */
    check_bind(&t, at(INADDR_ANY, 0), VERDICT_KERNEL, NONE);
    hold(&t, first, at(INADDR_ANY, 40000), UNCLAIMED);
    check_bind(&t, at(INADDR_LOOPBACK, 0), VERDICT_KERNEL, NONE);
    check_bind(&t, at(INADDR_ANY, 0), VERDICT_STAND_IN, first);
    t.held[first].stand_in = 7;
    check_bind(&t, at(INADDR_ANY, 0), VERDICT_KERNEL, NONE);
    check_listen(&t, at(INADDR_ANY, 40000), 7, true, VERDICT_REPLACE, first);
    t.held[first].stand_in = 0;
    /* Without a bind the address is that of an unbound socket. */
    check_listen(&t, at(INADDR_ANY, 0), 8, true, VERDICT_REPLACE, first);
    check_bind(&t, at(INADDR_ANY, 40000), VERDICT_REPLACE, first);
    /* One of this incarnation is not handed out again: a new one gets a port of its own. */
    hold(&t, first, at(INADDR_ANY, 40000), CLOSED);
    check_bind(&t, at(INADDR_ANY, 0), VERDICT_KERNEL, NONE);
}

TEST(a_full_table_takes_the_place_of_what_is_closed)
{
    HoldTable t = empty();

    for (size_t i = 0; i < HOLD_MAX; i++)
        hold(&t, i, at(INADDR_LOOPBACK, (uint16_t) (i + 1)), OPEN);
    check_listen(&t, at(INADDR_LOOPBACK, 999), 7, false, VERDICT_FULL, NONE);
    check_listen(&t, at(INADDR_LOOPBACK, 999), 7, true, VERDICT_FULL, NONE);
    hold(&t, 9, at(INADDR_LOOPBACK, 10), CLOSED);
    check_listen(&t, at(INADDR_LOOPBACK, 999), 7, false, VERDICT_KEEP, 9);
    check_listen(&t, at(INADDR_LOOPBACK, 999), 7, true, VERDICT_FULL, NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(the_first_bind_is_the_kernels_and_the_listen_is_kept),
        UNIT(a_bind_of_the_next_incarnation_is_given_the_held_socket),
        UNIT(a_second_bind_is_a_conflict_while_the_first_is_open_and_none_after),
        UNIT(a_group_is_handed_back_in_order_and_may_grow),
        UNIT(what_nobody_wants_any_more_gives_way),
        UNIT(a_chosen_port_stays_and_is_promised_once),
        UNIT(a_full_table_takes_the_place_of_what_is_closed),
    };

    return RUN_TESTS(tests);
}
