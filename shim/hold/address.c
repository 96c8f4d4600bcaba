/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

uint16_t address_port(const struct sockaddr_storage *sa)
{
    return ntohs(sa->ss_family == AF_INET ? ((const struct sockaddr_in *) (const void *) sa)->sin_port
                                          : ((const struct sockaddr_in6 *) (const void *) sa)->sin6_port);
}

void address_set_port(HoldAddress *a, uint16_t port)
{
    if (a->sa.ss_family == AF_INET)
        ((struct sockaddr_in *) (void *) &a->sa)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *) (void *) &a->sa)->sin6_port = htons(port);
}

static bool internet(const HoldAddress *a)
{
    return a->sa.ss_family == AF_INET || a->sa.ss_family == AF_INET6;
}

bool address_held(const struct sockaddr_storage *sa, socklen_t len, int domain, int type)
{
    if (sa->ss_family != domain)
        return false;
    switch (domain) {
    case AF_INET:
        return type == SOCK_STREAM && len >= sizeof(struct sockaddr_in);
    case AF_INET6:
        return type == SOCK_STREAM && len >= sizeof(struct sockaddr_in6);
    case AF_UNIX: /* an abstract name begins with a NUL and has at least one character, a path ends with one */
        return (type == SOCK_STREAM || type == SOCK_SEQPACKET) && len > offsetof(struct sockaddr_un, sun_path) + 1 &&
               len <= sizeof(struct sockaddr_un);
    default:
        return false;
    }
}

const char *address_path(const HoldAddress *a)
{
    const struct sockaddr_un *un = (const void *) &a->sa;

    return a->sa.ss_family == AF_UNIX && a->len > offsetof(struct sockaddr_un, sun_path) && un->sun_path[0]
               ? un->sun_path
               : NULL;
}

bool address_ours(const struct sockaddr_storage *sa, const LandlockPlan *plan)
{
    if (!plan)
        return true;
    if (sa->ss_family == AF_UNIX && ((const struct sockaddr_un *) (const void *) sa)->sun_path[0])
        return false; /* whether it may make a socket there is for the kernel to say */
    return sa->ss_family == AF_UNIX ? !plan->scoped : landlock_may_bind(plan, address_port(sa));
}

bool address_chosen(const HoldAddress *a)
{
    return internet(a) && address_port(&a->sa) == 0;
}

bool address_same_host(const HoldAddress *a, const HoldAddress *b)
{
    const struct sockaddr_in *a4 = (const void *) &a->sa, *b4 = (const void *) &b->sa;
    const struct sockaddr_in6 *a6 = (const void *) &a->sa, *b6 = (const void *) &b->sa;

    if (a->sa.ss_family != b->sa.ss_family || !internet(a))
        return false;
    if (a->sa.ss_family == AF_INET)
        return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    return a6->sin6_scope_id == b6->sin6_scope_id && a->v6only == b->v6only &&
           memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
}

bool address_equal(const HoldAddress *a, const HoldAddress *b)
{
    if (a->sa.ss_family != b->sa.ss_family || a->type != b->type)
        return false;
    if (internet(a))
        return address_port(&a->sa) == address_port(&b->sa) && address_same_host(a, b);
    return a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0;
}

/* What it takes in of IPv4: true with *ret, an address in network order or INADDR_ANY. */
static bool takes_ipv4(const HoldAddress *a, in_addr_t *ret)
{
    const struct sockaddr_in6 *a6 = (const void *) &a->sa;

    if (a->sa.ss_family == AF_INET)
        *ret = ((const struct sockaddr_in *) (const void *) &a->sa)->sin_addr.s_addr;
    else if (a->v6only)
        return false;
    else if (IN6_IS_ADDR_V4MAPPED(&a6->sin6_addr))
        memcpy(ret, &a6->sin6_addr.s6_addr[12], sizeof(*ret));
    else if (IN6_IS_ADDR_UNSPECIFIED(&a6->sin6_addr))
        *ret = INADDR_ANY;
    else
        return false;
    return true;
}

static bool overlaps_ipv6(const HoldAddress *a, const HoldAddress *b)
{
    const struct in6_addr *x = &((const struct sockaddr_in6 *) (const void *) &a->sa)->sin6_addr;
    const struct in6_addr *y = &((const struct sockaddr_in6 *) (const void *) &b->sa)->sin6_addr;

    if (a->sa.ss_family != AF_INET6 || b->sa.ss_family != AF_INET6)
        return false;
    return IN6_IS_ADDR_UNSPECIFIED(x) || IN6_IS_ADDR_UNSPECIFIED(y) || IN6_ARE_ADDR_EQUAL(x, y);
}

bool address_overlaps(const HoldAddress *a, const HoldAddress *b)
{
    in_addr_t x, y;

    if (!internet(a) || !internet(b) || address_port(&a->sa) != address_port(&b->sa) || address_equal(a, b))
        return false;
    if (takes_ipv4(a, &x) && takes_ipv4(b, &y) && (x == INADDR_ANY || y == INADDR_ANY || x == y))
        return true;
    return overlaps_ipv6(a, b);
}

void address_format(const HoldAddress *a, char ret[static ADDRESS_TEXT_MAX])
{
    const struct sockaddr_in *v4 = (const void *) &a->sa;
    const struct sockaddr_in6 *v6 = (const void *) &a->sa;
    const struct sockaddr_un *un = (const void *) &a->sa;
    char text[INET6_ADDRSTRLEN];

    switch (a->sa.ss_family) {
    case AF_INET:
        snprintf(ret, ADDRESS_TEXT_MAX, "%s:%u", inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text)),
                 address_port(&a->sa));
        break;
    case AF_INET6:
        snprintf(ret, ADDRESS_TEXT_MAX, "[%s]:%u", inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text)),
                 address_port(&a->sa));
        break;
    default:
        if (address_path(a))
            snprintf(ret, ADDRESS_TEXT_MAX, "%s", un->sun_path);
        else
            snprintf(ret, ADDRESS_TEXT_MAX, "@%.*s", (int) (a->len - offsetof(struct sockaddr_un, sun_path) - 1),
                     un->sun_path + 1);
        for (char *p = ret + 1; *p; p++)
            if (*p < ' ' || *p > '~')
                *p = '?';
    }
}
