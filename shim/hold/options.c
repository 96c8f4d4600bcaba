/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "runtime/base/macro.h"

#define VALUE_MAX 64U /* the longest is a name of a congestion control */

static const struct {
    int level, name;
} options[] = {
    {SOL_SOCKET, SO_KEEPALIVE},
    {SOL_SOCKET, SO_OOBINLINE},
    {SOL_SOCKET, SO_LINGER},
    {SOL_SOCKET, SO_RCVTIMEO},
    {SOL_SOCKET, SO_SNDTIMEO},
    {SOL_SOCKET, SO_RCVLOWAT},
    {SOL_SOCKET, SO_PASSCRED},
    {SOL_SOCKET, SO_PRIORITY},
    {IPPROTO_IP, IP_TOS},
    {IPPROTO_IP, IP_TTL},
    {IPPROTO_IPV6, IPV6_TCLASS},
    {IPPROTO_TCP, TCP_NODELAY},
    {IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, TCP_KEEPINTVL},
    {IPPROTO_TCP, TCP_KEEPCNT},
    {IPPROTO_TCP, TCP_USER_TIMEOUT},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT},
    {IPPROTO_TCP, TCP_QUICKACK},
    {IPPROTO_TCP, TCP_FASTOPEN},
    {IPPROTO_TCP, TCP_CONGESTION},
};

/* The kernel tells twice of what it was told. */
static void carry_buffer(int from, int to, int name)
{
    int value, old;
    socklen_t len = sizeof(value), old_len = sizeof(old);

    if (getsockopt(from, SOL_SOCKET, name, &value, &len) < 0 || getsockopt(to, SOL_SOCKET, name, &old, &old_len) < 0 ||
        value == old)
        return;
    value /= 2;
    (void) setsockopt(to, SOL_SOCKET, name, &value, sizeof(value));
}

void options_carry(int from, int to)
{
    int flags = fcntl(from, F_GETFL), held = fcntl(to, F_GETFL);

    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        char value[VALUE_MAX] = "", old[VALUE_MAX] = "";
        socklen_t len = sizeof(value), old_len = sizeof(old);

        if (getsockopt(from, options[i].level, options[i].name, value, &len) == 0 &&
            getsockopt(to, options[i].level, options[i].name, old, &old_len) == 0 &&
            (len != old_len || memcmp(value, old, len) != 0))
            (void) setsockopt(to, options[i].level, options[i].name, value, len);
    }
    carry_buffer(from, to, SO_RCVBUF);
    carry_buffer(from, to, SO_SNDBUF);
    if (flags >= 0 && held >= 0)
        (void) fcntl(to, F_SETFL, (held & ~O_NONBLOCK) | (flags & O_NONBLOCK));
}
