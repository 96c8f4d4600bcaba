/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "evolve/control/peer.h"
#include "tests/unit/test.h"

TEST(an_id_is_found_in_the_range_that_holds_it)
{
    static const char map[] =
        "         0     231072       1000\n      1000       1000          1\n      1001     232073      64535\n";
    uid_t uid = 7;

    assert_int_equal(peer_map_uid(map, 0, &uid), 0);
    assert_int_equal(uid, 231072);
    assert_int_equal(peer_map_uid(map, 999, &uid), 0);
    assert_int_equal(uid, 232071);
    assert_int_equal(peer_map_uid(map, 1000, &uid), 0);
    assert_int_equal(uid, 1000);
    assert_int_equal(peer_map_uid(map, 65535, &uid), 0);
    assert_int_equal(uid, 296607);
}

TEST(an_id_outside_all_ranges_is_nobody)
{
    uid_t uid = 7;

    assert_int_equal(peer_map_uid("0 2147483648 65536\n", 65536, &uid), -ENOENT);
    assert_int_equal(peer_map_uid("", 0, &uid), -ENOENT);
    assert_int_equal(peer_map_uid("garbage\n", 0, &uid), -ENOENT);
    assert_int_equal(uid, 7);
}

TEST(the_map_of_the_first_namespace_maps_every_id_to_itself)
{
    uid_t uid = 7;

    assert_int_equal(peer_map_uid("         0          0 4294967295\n", 1000, &uid), 0);
    assert_int_equal(uid, 1000);
}

TEST(root_and_we_are_the_operator)
{
    ControlPeer peer = CONTROL_AGENT;

    assert_int_equal(control_peer(NULL, 0, &peer), 0);
    assert_int_equal(peer, CONTROL_OPERATOR);
    peer = CONTROL_AGENT;
    assert_int_equal(control_peer(NULL, geteuid(), &peer), 0);
    assert_int_equal(peer, CONTROL_OPERATOR);
}

TEST(without_settings_nobody_else_is_let_in)
{
    ControlPeer peer = CONTROL_AGENT;
    Agent shut = {.name = "clerk", .run_uid = 1000};

    assert_int_equal(control_peer(NULL, geteuid() + 1, &peer), -EPERM);
    assert_int_equal(control_peer(&shut, 1000, &peer), geteuid() == 1000 ? 0 : -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(an_id_is_found_in_the_range_that_holds_it),
        UNIT(an_id_outside_all_ranges_is_nobody),
        UNIT(the_map_of_the_first_namespace_maps_every_id_to_itself),
        UNIT(root_and_we_are_the_operator),
        UNIT(without_settings_nobody_else_is_let_in),
    };

    return RUN_TESTS(tests);
}
