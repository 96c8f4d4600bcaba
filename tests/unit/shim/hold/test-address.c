/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "shim/hold/address.h"
#include "tests/unit/test.h"

static HoldAddress v4(const char *host, uint16_t port)
{
    HoldAddress a = {.len = sizeof(struct sockaddr_in), .type = SOCK_STREAM};
    struct sockaddr_in *in = (void *) &a.sa;

    in->sin_family = AF_INET;
    assert_int_equal(inet_pton(AF_INET, host, &in->sin_addr), 1);
    address_set_port(&a, port);
    return a;
}

static HoldAddress v6(const char *host, uint16_t port, bool only)
{
    HoldAddress a = {.len = sizeof(struct sockaddr_in6), .type = SOCK_STREAM, .v6only = only};
    struct sockaddr_in6 *in = (void *) &a.sa;

    in->sin6_family = AF_INET6;
    assert_int_equal(inet_pton(AF_INET6, host, &in->sin6_addr), 1);
    address_set_port(&a, port);
    return a;
}

static HoldAddress abstract(const char *name, int type)
{
    HoldAddress a = {.len = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)), .type = type};
    struct sockaddr_un *un = (void *) &a.sa;

    un->sun_family = AF_UNIX;
    memcpy(un->sun_path + 1, name, strlen(name));
    return a;
}

TEST(streams_of_both_families_and_names_can_be_held)
{
    HoldAddress a = v4("127.0.0.1", 80), b = v6("::", 8080, false), c = abstract("x", SOCK_SEQPACKET);

    assert_true(address_held(&a.sa, a.len, AF_INET, SOCK_STREAM));
    assert_false(address_held(&a.sa, a.len, AF_INET, SOCK_DGRAM));
    assert_false(address_held(&a.sa, a.len - 1, AF_INET, SOCK_STREAM));
    assert_false(address_held(&a.sa, a.len, AF_INET6, SOCK_STREAM));
    assert_true(address_held(&b.sa, b.len, AF_INET6, SOCK_STREAM));
    assert_false(address_held(&b.sa, sizeof(struct sockaddr_in), AF_INET6, SOCK_STREAM));
    assert_true(address_held(&c.sa, c.len, AF_UNIX, SOCK_SEQPACKET));
    assert_true(address_held(&c.sa, c.len, AF_UNIX, SOCK_STREAM));
    assert_false(address_held(&c.sa, c.len, AF_UNIX, SOCK_DGRAM));
    assert_false(address_held(&c.sa, offsetof(struct sockaddr_un, sun_path), AF_UNIX, SOCK_STREAM));
    assert_null(address_path(&c));
    ((struct sockaddr_un *) (void *) &c.sa)->sun_path[0] = '/';
    assert_true(address_held(&c.sa, c.len, AF_UNIX, SOCK_STREAM));
    assert_string_equal(address_path(&c), "/x");
}

TEST(equal_is_what_the_kernel_takes_for_one_listener)
{
    HoldAddress a = v4("127.0.0.1", 80), b = v4("127.0.0.1", 81), c = v4("127.0.0.2", 80);
    HoldAddress dual = v6("::", 80, false), only = v6("::", 80, true);
    HoldAddress stream = abstract("x", SOCK_STREAM), packets = abstract("x", SOCK_SEQPACKET),
                longer = abstract("xy", SOCK_STREAM);

    assert_true(address_equal(&a, &a));
    assert_false(address_equal(&a, &b));
    assert_true(address_same_host(&a, &b));
    assert_false(address_same_host(&a, &c));
    assert_false(address_equal(&dual, &only));
    assert_true(address_equal(&stream, &stream));
    assert_false(address_equal(&stream, &packets));
    assert_false(address_equal(&stream, &longer));
    assert_false(address_same_host(&stream, &stream));
}

TEST(overlapping_is_what_the_kernel_refuses_beside_a_listener)
{
    const struct {
        HoldAddress a, b;
        bool overlap;
    } cases[] = {
        {v4("0.0.0.0", 80), v4("127.0.0.1", 80), true},
        {v4("0.0.0.0", 80), v4("127.0.0.1", 81), false},
        {v4("127.0.0.1", 80), v4("127.0.0.2", 80), false},
        {v4("127.0.0.1", 80), v4("127.0.0.1", 80), false}, /* equal is no overlap */
        {v6("::", 80, false), v4("127.0.0.1", 80), true},
        {v6("::", 80, true), v4("127.0.0.1", 80), false},
        {v6("::", 80, true), v6("::", 80, false), true},
        {v6("::", 80, true), v6("::1", 80, true), true},
        {v6("::1", 80, false), v4("0.0.0.0", 80), false},
        {v6("::1", 80, false), v6("::1", 80, true), true},
        {v6("::ffff:127.0.0.1", 80, false), v4("127.0.0.1", 80), true},
        {v6("::ffff:127.0.0.1", 80, false), v4("127.0.0.2", 80), false},
        {abstract("x", SOCK_STREAM), abstract("y", SOCK_STREAM), false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(address_overlaps(&cases[i].a, &cases[i].b), cases[i].overlap);
        assert_int_equal(address_overlaps(&cases[i].b, &cases[i].a), cases[i].overlap);
    }
}

TEST(an_address_is_printed_as_people_write_it)
{
    HoldAddress a = v4("192.0.2.1", 80), b = v6("::1", 443, true), c = abstract("a\nb", SOCK_STREAM);
    char text[ADDRESS_TEXT_MAX];

    address_format(&a, text);
    assert_string_equal(text, "192.0.2.1:80");
    address_format(&b, text);
    assert_string_equal(text, "[::1]:443");
    address_format(&c, text);
    assert_string_equal(text, "@a?b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(streams_of_both_families_and_names_can_be_held),
        UNIT(equal_is_what_the_kernel_takes_for_one_listener),
        UNIT(overlapping_is_what_the_kernel_refuses_beside_a_listener),
        UNIT(an_address_is_printed_as_people_write_it),
    };

    return RUN_TESTS(tests);
}
