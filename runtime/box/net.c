/* SPDX-License-Identifier: Apache-2.0 */
#include "net.h"

#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include <linux/rtnetlink.h>

#define LOOPBACK_INDEX 1 /* LOOPBACK_IFINDEX in include/net/flow.h: the first link of every network namespace */

DEFINE_TRIVIAL_CLEANUP(struct nl_sock *, nl_socket_free)
DEFINE_TRIVIAL_CLEANUP(struct nl_msg *, nlmsg_free)

/* One message without the cache of all links that the route library would read first: this is on the path of every box. */
int net_loopback_up(Error *e)
{
    _cleanup_(nl_socket_freep) struct nl_sock *sock = nl_socket_alloc();
    _cleanup_(nlmsg_freep) struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_ACK);
    struct ifinfomsg up = {.ifi_index = LOOPBACK_INDEX, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    int r;

    if (!sock || !msg || nlmsg_append(msg, &up, sizeof(up), NLMSG_ALIGNTO) < 0)
        return error_errnof(e, -ENOMEM, "loopback");
    r = nl_connect(sock, NETLINK_ROUTE);
    if (r >= 0)
        r = nl_send_sync(sock, TAKE_PTR(msg));
    return r < 0 ? error_setf(e, -EIO, "cannot bring the loopback up: %s", nl_geterror(r)) : 0;
}
