/* SPDX-License-Identifier: Apache-2.0 */
#include <net/if.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/route.h>
#include <sched.h>

#include "net.h"
#include "runtime/base/fd.h"

DEFINE_TRIVIAL_CLEANUP(struct nl_sock *, nl_socket_free)
DEFINE_TRIVIAL_CLEANUP(struct rtnl_link *, rtnl_link_put)
DEFINE_TRIVIAL_CLEANUP(struct rtnl_addr *, rtnl_addr_put)
DEFINE_TRIVIAL_CLEANUP(struct nl_addr *, nl_addr_put)
DEFINE_TRIVIAL_CLEANUP(struct rtnl_route *, rtnl_route_put)

static int nl_failed(int n, const char *what, Error *e)
{
    static const int codes[][2] = {
        {NLE_EXIST, EEXIST}, {NLE_PERM, EPERM}, {NLE_NODEV, ENODEV}, {NLE_OBJ_NOTFOUND, ENODEV}, {NLE_NOMEM, ENOMEM},
    };
    int r = -EIO;

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (n == -codes[i][0])
            r = -codes[i][1];
    return error_setf(e, r, "%s: %s", what, nl_geterror(n));
}

static int open_route(struct nl_sock **ret, Error *e)
{
    struct nl_sock *sock = nl_socket_alloc();
    int n;

    if (!sock)
        return error_errnof(e, -ENOMEM, "rtnetlink");
    n = nl_connect(sock, NETLINK_ROUTE);
    if (n < 0) {
        nl_socket_free(sock);
        return nl_failed(n, "rtnetlink", e);
    }
    *ret = sock;
    return 0;
}

/* Gives the link `name` its address, brings it up, and returns its index. */
static int set_up(struct nl_sock *sock, const char *name, const char *address, Error *e)
{
    _cleanup_(rtnl_link_putp) struct rtnl_link *link = NULL, *change = rtnl_link_alloc();
    _cleanup_(rtnl_addr_putp) struct rtnl_addr *addr = rtnl_addr_alloc();
    _cleanup_(nl_addr_putp) struct nl_addr *local = NULL;
    int index, n;

    if (!change || !addr)
        return error_errnof(e, -ENOMEM, "link %s", name);
    if ((n = rtnl_link_get_kernel(sock, 0, name, &link)) < 0)
        return nl_failed(n, name, e);
    if ((n = nl_addr_parse(address, AF_INET, &local)) < 0)
        return nl_failed(n, address, e);
    index = rtnl_link_get_ifindex(link);
    rtnl_addr_set_ifindex(addr, index);
    if ((n = rtnl_addr_set_local(addr, local)) < 0 || (n = rtnl_addr_add(sock, addr, 0)) < 0)
        return nl_failed(n, address, e);
    rtnl_link_set_flags(change, IFF_UP);
    n = rtnl_link_change(sock, link, change, 0);
    return n < 0 ? nl_failed(n, name, e) : index;
}

static int add_default_route(struct nl_sock *sock, int index, const char *gateway, Error *e)
{
    _cleanup_(rtnl_route_putp) struct rtnl_route *route = rtnl_route_alloc();
    _cleanup_(nl_addr_putp) struct nl_addr *any = NULL, *via = NULL;
    struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
    int n;

    if (!route || !hop || nl_addr_parse("0.0.0.0/0", AF_INET, &any) < 0 || nl_addr_parse(gateway, AF_INET, &via) < 0) {
        if (hop)
            rtnl_route_nh_free(hop);
        return error_errnof(e, -ENOMEM, "default route");
    }
    nl_addr_set_prefixlen(via, 32);
    rtnl_route_nh_set_ifindex(hop, index);
    rtnl_route_nh_set_gateway(hop, via);
    rtnl_route_add_nexthop(route, hop);
    (void) rtnl_route_set_family(route, AF_INET);
    (void) rtnl_route_set_dst(route, any);
    n = rtnl_route_add(sock, route, 0);
    return n < 0 ? nl_failed(n, "default route", e) : 0;
}

static int set_up_inside(const NetVeth *v, Error *e)
{
    _cleanup_(nl_socket_freep) struct nl_sock *sock = NULL;
    int index, r = open_route(&sock, e);

    if (r < 0)
        return r;
    index = set_up(sock, v->name, v->address, e);
    if (index < 0 || !v->host_address)
        return MIN(index, 0);
    return add_default_route(sock, index, v->host_address, e);
}

static int enter_and_set_up(int netns, const NetVeth *v, Error *e)
{
    _cleanup_close_ int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int r;

    if (ours < 0 || setns(netns, CLONE_NEWNET) < 0)
        return error_errnof(e, -errno, "network namespace");
    r = set_up_inside(v, e);
    if (setns(ours, CLONE_NEWNET) < 0)
        abort(); /* in the wrong namespace nothing that follows would be right */
    return r;
}

int net_address_add(int netns, const char *name, const char *address, Error *e)
{
    const NetVeth end = {.name = name, .address = address};

    return enter_and_set_up(netns, &end, e);
}

static int set_up_peer(const NetVeth *v, Error *e)
{
    _cleanup_close_ int netns = -EBADF;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) v->pid);
    netns = open(path, O_RDONLY | O_CLOEXEC);
    return netns < 0 ? error_errnof(e, -errno, "%s", path) : enter_and_set_up(netns, v, e);
}

int net_veth_add(const NetVeth *v, Error *e)
{
    _cleanup_(nl_socket_freep) struct nl_sock *sock = NULL;
    int n, r = open_route(&sock, e);

    if (r < 0)
        return r;
    n = rtnl_link_veth_add(sock, v->host_name, v->name, v->pid);
    if (n < 0)
        return nl_failed(n, v->host_name, e);
    r = set_up(sock, v->host_name, v->host_address, e);
    if (r >= 0)
        r = set_up_peer(v, e);
    if (r < 0)
        (void) net_link_remove(v->host_name, NULL);
    return MIN(r, 0);
}

int net_link_remove(const char *name, Error *e)
{
    _cleanup_(nl_socket_freep) struct nl_sock *sock = NULL;
    _cleanup_(rtnl_link_putp) struct rtnl_link *link = rtnl_link_alloc();
    int n, r = open_route(&sock, e);

    if (r < 0)
        return r;
    if (!link)
        return error_errnof(e, -ENOMEM, "link %s", name);
    rtnl_link_set_name(link, name);
    n = rtnl_link_delete(sock, link);
    return n < 0 && n != -NLE_NODEV && n != -NLE_OBJ_NOTFOUND ? nl_failed(n, name, e) : 0;
}
