/* SPDX-License-Identifier: Apache-2.0 */
#include "veth.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "runtime/base/hash.h"
#include "runtime/box/net.h"

static void host_name(const char *container, char ret[static 16])
{
    char digest[DIGEST_SIZE];

    hash_buffer(container, strlen(container), digest);
    snprintf(ret, 16, "moss-%.8s", digest);
}

static int peer_address(const char *address, char ret[static INET_ADDRSTRLEN + 4], Error *e)
{
    const char *slash = strchr(address, '/');
    char text[INET_ADDRSTRLEN], peer[INET_ADDRSTRLEN];
    struct in_addr in;
    uint32_t host;
    int prefix;

    if (!slash || (size_t) (slash - address) >= sizeof(text) || (prefix = slash[1] == '3' ? slash[2] - '0' : -1) < 0 ||
        prefix > 1 || slash[3])
        return error_setf(e, -EINVAL, "network address \"%s\": must be an IPv4 address with /30 or /31", address);
    snprintf(text, sizeof(text), "%.*s", (int) (slash - address), address);
    if (inet_pton(AF_INET, text, &in) != 1)
        return error_setf(e, -EINVAL, "network address \"%s\": is no IPv4 address", address);
    host = ntohl(in.s_addr);
    if (prefix == 0 && ((host & 3) == 0 || (host & 3) == 3))
        return error_setf(e, -EINVAL, "network address \"%s\": is the network's own or its broadcast address", address);
    in.s_addr = htonl(host ^ (prefix == 0 ? 3 : 1));
    snprintf(ret, INET_ADDRSTRLEN + 4, "%s/3%d", inet_ntop(AF_INET, &in, peer, sizeof(peer)), prefix);
    return 0;
}

int veth_add(const char *container, const char *address, pid_t pid, Error *e)
{
    char name[16], peer[INET_ADDRSTRLEN + 4];
    NetVeth veth = {.pid = pid, .host_name = name, .host_address = peer, .name = "eth0", .address = address};
    int r = peer_address(address, peer, e);

    if (r < 0)
        return r;
    host_name(container, name);
    return net_veth_add(&veth, e);
}

void veth_remove(const char *container)
{
    char name[16];

    host_name(container, name);
    (void) net_link_remove(name, NULL);
}
