/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#define UNPRIVILEGED_PORT 1024

static uint16_t port_of(const struct sockaddr_storage *sa)
{
    return ntohs(sa->ss_family == AF_INET ? ((const struct sockaddr_in *) (const void *) sa)->sin_port
                                          : ((const struct sockaddr_in6 *) (const void *) sa)->sin6_port);
}

bool address_held(const struct sockaddr_storage *sa, socklen_t len, int domain, int type)
{
    if (type != SOCK_STREAM || sa->ss_family != domain)
        return false;
    switch (domain) {
    case AF_INET:
        return len >= sizeof(struct sockaddr_in) && port_of(sa) >= UNPRIVILEGED_PORT;
    case AF_INET6:
        return len >= sizeof(struct sockaddr_in6) && port_of(sa) >= UNPRIVILEGED_PORT;
    case AF_UNIX: /* an abstract name begins with a NUL and has at least one character */
        return len > offsetof(struct sockaddr_un, sun_path) + 1 && len <= sizeof(struct sockaddr_un) &&
               ((const struct sockaddr_un *) (const void *) sa)->sun_path[0] == '\0';
    default:
        return false;
    }
}

bool address_ours(const struct sockaddr_storage *sa, const LandlockPlan *plan)
{
    if (!plan)
        return true;
    return sa->ss_family == AF_UNIX ? !plan->scoped : landlock_may_bind(plan, port_of(sa));
}

bool address_equal(const HoldAddress *a, const HoldAddress *b)
{
    const struct sockaddr_in *a4 = (const void *) &a->sa, *b4 = (const void *) &b->sa;
    const struct sockaddr_in6 *a6 = (const void *) &a->sa, *b6 = (const void *) &b->sa;

    if (a->sa.ss_family != b->sa.ss_family)
        return false;
    switch (a->sa.ss_family) {
    case AF_INET:
        return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    case AF_INET6:
        return a6->sin6_port == b6->sin6_port && a6->sin6_scope_id == b6->sin6_scope_id && a->v6only == b->v6only &&
               memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
    default:
        return a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0;
    }
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
                 port_of(&a->sa));
        break;
    case AF_INET6:
        snprintf(ret, ADDRESS_TEXT_MAX, "[%s]:%u", inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text)),
                 port_of(&a->sa));
        break;
    default:
        snprintf(ret, ADDRESS_TEXT_MAX, "@%.*s", (int) (a->len - offsetof(struct sockaddr_un, sun_path) - 1),
                 un->sun_path + 1);
        for (char *p = ret + 1; *p; p++)
            if (*p < ' ' || *p > '~')
                *p = '?';
    }
}
