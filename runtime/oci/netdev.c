/* SPDX-License-Identifier: Apache-2.0 */
#include "netdev.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "runtime/base/fd.h"

#define ANSWER_MAX 32768
#define NUMBERS_MAX 4096 /* tries for a name with "%d" */

/* A network namespace: itself and a netlink socket in it. */
typedef struct Net {
    int ns;
    int route;
} Net;

typedef struct Request {
    struct nlmsghdr head;
    union {
        struct ifinfomsg link;
        struct ifaddrmsg address;
    };
    char attributes[512];
} Request;

/* An address as the kernel tells of it, for giving it back. */
typedef struct Address {
    struct ifaddrmsg head;
    char attributes[256];
    size_t len;
} Address;

typedef struct Moved {
    char from[IFNAMSIZ], to[IFNAMSIZ];
    bool sent;
    unsigned flags; /* IFF_* on the host */
    Address *addresses;
    size_t n_addresses;
} Moved;

static void net_done(Net *n)
{
    fd_closep(&n->ns);
    fd_closep(&n->route);
}

/* ---- messages ---- */

static void request_init(Request *r, uint16_t type, uint16_t flags, size_t head)
{
    *r = (Request){.head = {.nlmsg_len = (uint32_t) NLMSG_LENGTH(head),
                            .nlmsg_type = type,
                            .nlmsg_flags = (uint16_t) (NLM_F_REQUEST | flags)}};
}

static void add_bytes(Request *r, const void *data, size_t len)
{
    size_t at = NLMSG_ALIGN(r->head.nlmsg_len);

    if (at + len <= sizeof(*r)) { /* what is put here is bounded by its callers */
        memcpy((char *) r + at, data, len);
        r->head.nlmsg_len = (uint32_t) (at + len);
    }
}

static void add_attribute(Request *r, uint16_t type, const void *data, size_t len)
{
    char buf[NLA_HDRLEN + 64] = {};
    struct nlattr a = {.nla_len = (uint16_t) (NLA_HDRLEN + len), .nla_type = type};

    memcpy(buf, &a, sizeof(a));
    memcpy(buf + NLA_HDRLEN, data, MIN(len, sizeof(buf) - NLA_HDRLEN));
    add_bytes(r, buf, NLA_HDRLEN + MIN(len, sizeof(buf) - NLA_HDRLEN));
}

/* Sends it and hands each message of the answer to `each`. Returns 0 or the kernel's error. */
static int talk(int route, Request *r, int (*each)(const struct nlmsghdr *m, void *arg), void *arg)
{
    _cleanup_free_ char *buf = malloc(ANSWER_MAX);
    int result = 0;

    if (!buf)
        return -ENOMEM;
    if (send(route, r, r->head.nlmsg_len, 0) < 0)
        return -errno;
    for (;;) {
        ssize_t n = recv(route, buf, ANSWER_MAX, 0);
        struct nlmsghdr *m = (struct nlmsghdr *) (void *) buf;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        for (size_t left = (size_t) n; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
            if (m->nlmsg_type == NLMSG_DONE)
                return result;
            if (m->nlmsg_type == NLMSG_ERROR)
                return ((const struct nlmsgerr *) NLMSG_DATA(m))->error;
            if (each && result >= 0)
                result = each(m, arg);
            if (!(m->nlmsg_flags & NLM_F_MULTI))
                return result;
        }
    }
}

typedef struct Link {
    int index;
    unsigned flags;
} Link;

static int read_link(const struct nlmsghdr *m, void *arg)
{
    const struct ifinfomsg *i = NLMSG_DATA(m);

    *(Link *) arg = (Link){i->ifi_index, i->ifi_flags};
    return 0;
}

/* -ENODEV where there is none of that name. */
static int find_link(const Net *net, const char *name, Link *ret)
{
    Request r;

    request_init(&r, RTM_GETLINK, 0, sizeof(r.link));
    add_attribute(&r, IFLA_IFNAME, name, strlen(name) + 1);
    return talk(net->route, &r, read_link, ret);
}

/* ---- addresses ---- */

typedef struct Collect {
    int index;
    Moved *into;
} Collect;

static int read_address(const struct nlmsghdr *m, void *arg)
{
    const struct ifaddrmsg *a = NLMSG_DATA(m);
    const Collect *c = arg;
    const char *rest = (const char *) (a + 1);
    size_t len = NLMSG_PAYLOAD(m, sizeof(*a));
    Address *more;

    if ((int) a->ifa_index != c->index || a->ifa_scope != RT_SCOPE_UNIVERSE || !(a->ifa_flags & IFA_F_PERMANENT) ||
        len > sizeof(more->attributes))
        return 0;
    more = realloc(c->into->addresses, (c->into->n_addresses + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    c->into->addresses = more;
    more += c->into->n_addresses++;
    more->head = *a;
    more->len = len;
    memcpy(more->attributes, rest, len);
    return 0;
}

static int read_addresses(const Net *net, int index, Moved *ret)
{
    Collect c = {index, ret};
    Request r;

    request_init(&r, RTM_GETADDR, NLM_F_DUMP, sizeof(r.address));
    return talk(net->route, &r, read_address, &c);
}

static int give_address(const Net *net, int index, const Address *a)
{
    Request r;
    size_t at = 0;

    request_init(&r, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(r.address));
    r.address = a->head;
    r.address.ifa_index = (unsigned) index;
    while (at + NLA_HDRLEN <= a->len) {
        struct nlattr attr;

        memcpy(&attr, a->attributes + at, sizeof(attr));
        if (attr.nla_len < NLA_HDRLEN || at + attr.nla_len > a->len)
            break;
        /* a label has the name of the device in it, the others are what the kernel has counted */
        if (attr.nla_type == IFA_ADDRESS || attr.nla_type == IFA_LOCAL || attr.nla_type == IFA_BROADCAST ||
            attr.nla_type == IFA_ANYCAST || attr.nla_type == IFA_FLAGS || attr.nla_type == IFA_RT_PRIORITY)
            add_bytes(&r, a->attributes + at, attr.nla_len);
        at += NLA_ALIGN(attr.nla_len);
    }
    return talk(net->route, &r, NULL, NULL);
}

/* ---- devices ---- */

/* One message moves and renames; what it cannot rename it has moved nevertheless. */
static int send_over(const Net *from, const Net *to, int index, const char *name)
{
    uint32_t ns = (uint32_t) to->ns;
    Request r;

    request_init(&r, RTM_NEWLINK, NLM_F_ACK, sizeof(r.link));
    r.link.ifi_index = index;
    add_attribute(&r, IFLA_NET_NS_FD, &ns, sizeof(ns));
    add_attribute(&r, IFLA_IFNAME, name, strlen(name) + 1);
    return talk(from->route, &r, NULL, NULL);
}

static int bring_up(const Net *net, int index)
{
    Request r;

    request_init(&r, RTM_NEWLINK, NLM_F_ACK, sizeof(r.link));
    r.link.ifi_index = index;
    r.link.ifi_flags = r.link.ifi_change = IFF_UP;
    return talk(net->route, &r, NULL, NULL);
}

/* Addresses first: with the device come routes to them. */
static int set_up(const Net *net, const char *name, const Moved *m, bool up)
{
    Link link;
    int r = find_link(net, name, &link);

    for (size_t i = 0; i < m->n_addresses && r >= 0; i++)
        r = give_address(net, link.index, &m->addresses[i]);
    return r >= 0 && up ? bring_up(net, link.index) : r;
}

/* The name in the container; for "eth%d" the first that is free. */
static int choose_name(const Net *net, const char *pattern, char ret[static IFNAMSIZ])
{
    const char *percent = strchr(pattern, '%');
    Link link;
    int r;

    for (unsigned i = 0; i < NUMBERS_MAX; i++) {
        int n = percent ? snprintf(ret, IFNAMSIZ, "%.*s%u%s", (int) (percent - pattern), pattern, i, percent + 2)
                        : snprintf(ret, IFNAMSIZ, "%s", pattern);

        if (n >= IFNAMSIZ)
            return -ENAMETOOLONG;
        r = find_link(net, ret, &link);
        if (r == -ENODEV)
            return 0;
        if (r < 0)
            return r;
        if (!percent)
            break;
    }
    return -EEXIST;
}

static int move_one(const Net *host, const Net *inside, const ConfigNetDevice *d, Moved *m, Error *e)
{
    Link link;
    int r;

    snprintf(m->from, sizeof(m->from), "%s", d->name);
    if ((r = find_link(host, d->name, &link)) < 0)
        return error_errnof(e, r, "linux.netDevices: %s", d->name);
    if (link.flags & IFF_LOOPBACK)
        return error_setf(e, -EINVAL, "linux.netDevices: %s: a loopback stays where it is", d->name);
    if ((r = choose_name(inside, d->target, m->to)) < 0)
        return error_errnof(e, r, "linux.netDevices: %s: cannot be called %s in the container", d->name, d->target);
    m->flags = link.flags;
    if ((r = read_addresses(host, link.index, m)) < 0)
        return error_errnof(e, r, "linux.netDevices: addresses of %s", d->name);
    m->sent = true;
    if ((r = send_over(host, inside, link.index, m->to)) < 0)
        return error_errnof(e, r, "linux.netDevices: %s: cannot be moved into the container", d->name);
    if ((r = set_up(inside, m->to, m, true)) < 0)
        return error_errnof(e, r, "linux.netDevices: %s: cannot be set up as %s in the container", d->name, m->to);
    return 0;
}

static void move_back(const Net *host, const Net *inside, const Moved *m)
{
    Link link;

    if (!m->sent || find_link(host, m->from, &link) >= 0)
        return;
    if ((find_link(inside, m->to, &link) >= 0 || find_link(inside, m->from, &link) >= 0) &&
        send_over(inside, host, link.index, m->from) >= 0)
        (void) set_up(host, m->from, m, m->flags & IFF_UP);
}

/* A netlink socket stays in the namespace that it was made in, so nothing else has to be done there. */
static int open_nets(pid_t pid, Net *host, Net *inside)
{
    struct stat a, b;
    char path[40];

    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) pid);
    host->ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    inside->ns = open(path, O_RDONLY | O_CLOEXEC);
    if (host->ns < 0 || inside->ns < 0 || fstat(host->ns, &a) < 0 || fstat(inside->ns, &b) < 0)
        return -errno;
    if (a.st_ino == b.st_ino && a.st_dev == b.st_dev)
        return -EXDEV;
    host->route = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (host->route < 0 || setns(inside->ns, CLONE_NEWNET) < 0)
        return -errno;
    inside->route = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (setns(host->ns, CLONE_NEWNET) < 0)
        abort(); /* in the wrong namespace nothing that follows would be right */
    return inside->route < 0 ? -errno : 0;
}

int netdev_move(const ConfigNetDevice *devices, size_t n, pid_t pid, Error *e)
{
    _cleanup_(net_done) Net host = {-EBADF, -EBADF}, inside = {-EBADF, -EBADF};
    _cleanup_free_ Moved *moved = calloc(n + 1, sizeof(*moved));
    size_t done = 0;
    int r;

    if (!moved)
        return error_errnof(e, -ENOMEM, "linux.netDevices");
    r = open_nets(pid, &host, &inside);
    if (r == -EXDEV)
        return error_setf(e, -EINVAL, "linux.netDevices: the container is in the network namespace of the host");
    if (r < 0)
        return error_errnof(e, r, "linux.netDevices: network namespace of the container");
    for (; done < n && r >= 0; done++)
        r = move_one(&host, &inside, &devices[done], &moved[done], e);
    for (size_t i = 0; i < done; i++) {
        if (r < 0)
            move_back(&host, &inside, &moved[i]);
        free(moved[i].addresses);
    }
    return r;
}
