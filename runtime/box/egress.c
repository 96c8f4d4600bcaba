/* SPDX-License-Identifier: Apache-2.0 */
#include "egress.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "runtime/base/fd.h"

#define TABLE "moss"
#define CHAIN "out"
#define BATCH_SIZE ((size_t) 256 << 10)
#define LOOPBACK_INDEX 1U

DEFINE_TRIVIAL_CLEANUP(struct mnl_socket *, mnl_socket_close)

/* ---- rules ---- */

static void add(struct nftnl_rule *rule, struct nftnl_expr *expr)
{
    if (expr)
        nftnl_rule_add_expr(rule, expr);
}

static void load_meta(struct nftnl_rule *rule, uint32_t key)
{
    struct nftnl_expr *e = nftnl_expr_alloc("meta");

    nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, NFT_REG_1);
    add(rule, e);
}

static void load_payload(struct nftnl_rule *rule, uint32_t base, uint32_t offset, uint32_t len)
{
    struct nftnl_expr *e = nftnl_expr_alloc("payload");

    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
    add(rule, e);
}

static void compare(struct nftnl_rule *rule, uint32_t op, const void *data, uint32_t len)
{
    struct nftnl_expr *e = nftnl_expr_alloc("cmp");

    nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
    nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, len);
    add(rule, e);
}

static void accept_packet(struct nftnl_rule *rule)
{
    struct nftnl_expr *e = nftnl_expr_alloc("immediate");

    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, NF_ACCEPT);
    add(rule, e);
}

static void match_loopback(struct nftnl_rule *rule)
{
    uint32_t index = LOOPBACK_INDEX; /* of every namespace: net/core/net_namespace.c makes it first */

    load_meta(rule, NFT_META_OIF);
    compare(rule, NFT_CMP_EQ, &index, sizeof(index));
    accept_packet(rule);
}

static void match_answers(struct nftnl_rule *rule)
{
    struct nftnl_expr *ct = nftnl_expr_alloc("ct"), *and = nftnl_expr_alloc("bitwise");
    uint32_t mask = NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED), zero = 0;

    nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_KEY, NFT_CT_STATE);
    nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_DREG, NFT_REG_1);
    add(rule, ct);
    nftnl_expr_set_u32(and, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(and, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(and, NFTNL_EXPR_BITWISE_LEN, sizeof(mask));
    nftnl_expr_set(and, NFTNL_EXPR_BITWISE_MASK, &mask, sizeof(mask));
    nftnl_expr_set(and, NFTNL_EXPR_BITWISE_XOR, &zero, sizeof(zero));
    add(rule, and);
    compare(rule, NFT_CMP_NEQ, &zero, sizeof(zero));
    accept_packet(rule);
}

/* Without the neighbours' addresses no IPv6 peer is reached: ICMPv6 types 133 to 137 (RFC 4861). */
static void match_neighbours(struct nftnl_rule *rule)
{
    static const uint8_t protocol = IPPROTO_ICMPV6, first = 133, last = 137;

    load_meta(rule, NFT_META_L4PROTO);
    compare(rule, NFT_CMP_EQ, &protocol, sizeof(protocol));
    load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
    compare(rule, NFT_CMP_GTE, &first, sizeof(first));
    compare(rule, NFT_CMP_LTE, &last, sizeof(last));
    accept_packet(rule);
}

static void count_and_reject(struct nftnl_rule *rule, uint8_t protocol)
{
    struct nftnl_expr *e = nftnl_expr_alloc("reject");

    load_meta(rule, NFT_META_L4PROTO);
    compare(rule, NFT_CMP_EQ, &protocol, sizeof(protocol));
    add(rule, nftnl_expr_alloc("counter"));
    nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
    nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
    add(rule, e);
}

static void reject_tcp(struct nftnl_rule *rule)
{
    count_and_reject(rule, IPPROTO_TCP);
}

static void reject_udp(struct nftnl_rule *rule)
{
    count_and_reject(rule, IPPROTO_UDP);
}

typedef struct Peer {
    uint8_t family, protocol;
    unsigned char address[16];
    uint16_t port; /* network order */
} Peer;

static void match_peer(struct nftnl_rule *rule, const Peer *p)
{
    bool v4 = p->family == NFPROTO_IPV4;

    load_meta(rule, NFT_META_NFPROTO);
    compare(rule, NFT_CMP_EQ, &p->family, sizeof(p->family));
    load_meta(rule, NFT_META_L4PROTO);
    compare(rule, NFT_CMP_EQ, &p->protocol, sizeof(p->protocol));
    load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, v4 ? 16 : 24, v4 ? 4 : 16); /* destination address */
    compare(rule, NFT_CMP_EQ, p->address, v4 ? 4 : 16);
    load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2); /* destination port */
    compare(rule, NFT_CMP_EQ, &p->port, sizeof(p->port));
    accept_packet(rule);
}

static int parse_peer(const char *text, Peer *ret, Error *e)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN + 2], *h = host, *end;
    size_t n = colon ? (size_t) (colon - text) : 0;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    Peer p = {.family = NFPROTO_IPV4};

    if (n == 0 || n >= sizeof(host) || port == 0 || port > 65535 || *end)
        return error_setf(e, -EINVAL, "\"%.80s\": must be an address and a port", text);
    memcpy(host, text, n);
    host[n] = '\0';
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        h++;
        p.family = NFPROTO_IPV6;
    }
    if (inet_pton(p.family == NFPROTO_IPV4 ? AF_INET : AF_INET6, h, p.address) != 1)
        return error_setf(e, -EINVAL, "\"%.80s\": \"%s\" is no address", text, h);
    p.port = htons((uint16_t) port);
    *ret = p;
    return 0;
}

/* ---- the batch ---- */

typedef struct Batch {
    char *buf;
    struct mnl_nlmsg_batch *batch;
    uint32_t seq;
} Batch;

static void batch_done(Batch *b)
{
    if (b->batch)
        mnl_nlmsg_batch_stop(b->batch);
    free(b->buf);
}

static struct nlmsghdr *batch_message(Batch *b, uint16_t type, uint16_t flags)
{
    return nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(b->batch), type, NFPROTO_INET, flags, b->seq++);
}

static int batch_next(Batch *b)
{
    return mnl_nlmsg_batch_next(b->batch) ? 0 : -E2BIG;
}

static int batch_table(Batch *b, uint16_t type, uint16_t flags)
{
    struct nftnl_table *t = nftnl_table_alloc();

    if (!t)
        return -ENOMEM;
    nftnl_table_set_str(t, NFTNL_TABLE_NAME, TABLE);
    nftnl_table_nlmsg_build_payload(batch_message(b, type, flags), t);
    nftnl_table_free(t);
    return batch_next(b);
}

static int batch_chain(Batch *b)
{
    struct nftnl_chain *c = nftnl_chain_alloc();

    if (!c)
        return -ENOMEM;
    nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, TABLE);
    nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, CHAIN);
    nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, "filter");
    nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, NF_INET_LOCAL_OUT);
    nftnl_chain_set_u32(c, NFTNL_CHAIN_PRIO, 0);
    nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_DROP);
    nftnl_chain_nlmsg_build_payload(batch_message(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE), c);
    nftnl_chain_free(c);
    return batch_next(b);
}

static int batch_rule(Batch *b, void (*fill)(struct nftnl_rule *), const Peer *peer)
{
    struct nftnl_rule *r = nftnl_rule_alloc();

    if (!r)
        return -ENOMEM;
    nftnl_rule_set_str(r, NFTNL_RULE_TABLE, TABLE);
    nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, CHAIN);
    if (peer)
        match_peer(r, peer);
    else
        fill(r);
    nftnl_rule_nlmsg_build_payload(batch_message(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND), r);
    nftnl_rule_free(r);
    return batch_next(b);
}

static int batch_peers(Batch *b, const char *const *allow, Error *e)
{
    for (size_t i = 0; allow[i]; i++) {
        static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
        Peer peer;
        int r = parse_peer(allow[i], &peer, e);

        for (size_t k = 0; k < ARRAY_SIZE(protocols) && r >= 0; k++) {
            peer.protocol = protocols[k];
            r = batch_rule(b, NULL, &peer);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int batch_build(Batch *b, const char *const *allow, Error *e)
{
    int r;

    b->buf = malloc(2 * BATCH_SIZE);
    b->batch = b->buf ? mnl_nlmsg_batch_start(b->buf, BATCH_SIZE) : NULL;
    if (!b->batch)
        return -ENOMEM;
    nftnl_batch_begin(mnl_nlmsg_batch_current(b->batch), b->seq++);
    if ((r = batch_next(b)) < 0 ||
        /* Made so that it can be deleted, whether it was there or not. */
        (r = batch_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE)) < 0 || (r = batch_table(b, NFT_MSG_DELTABLE, 0)) < 0)
        return r;
    if (allow && ((r = batch_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE)) < 0 || (r = batch_chain(b)) < 0 ||
                  (r = batch_rule(b, match_loopback, NULL)) < 0 || (r = batch_rule(b, match_answers, NULL)) < 0 ||
                  (r = batch_rule(b, match_neighbours, NULL)) < 0 || (r = batch_peers(b, allow, e)) < 0 ||
                  (r = batch_rule(b, reject_tcp, NULL)) < 0 || (r = batch_rule(b, reject_udp, NULL)) < 0))
        return r;
    nftnl_batch_end(mnl_nlmsg_batch_current(b->batch), b->seq++);
    return batch_next(b);
}

/* ---- the kernel ---- */

/* A netfilter socket of the namespace. */
static int open_socket(int netns, struct mnl_socket **ret, Error *e)
{
    _cleanup_close_ int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    struct mnl_socket *nl;
    int r;

    if (ours < 0 || setns(netns, CLONE_NEWNET) < 0)
        return error_errnof(e, -errno, "network namespace");
    nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    r = nl ? 0 : -errno;
    if (setns(ours, CLONE_NEWNET) < 0)
        abort(); /* in the wrong namespace nothing that follows would be right */
    if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
        r = r < 0 ? r : -errno;
        if (nl)
            mnl_socket_close(nl);
        return error_errnof(e, r, "nf_tables");
    }
    *ret = nl;
    return 0;
}

static int batch_send(struct mnl_socket *nl, const Batch *b)
{
    char buf[8192];
    ssize_t n;

    if (mnl_socket_sendto(nl, mnl_nlmsg_batch_head(b->batch), mnl_nlmsg_batch_size(b->batch)) < 0)
        return -errno;
    /* The kernel answers within sendto(2): errors are in the queue already, and without one there is nothing. */
    while ((n = recv(mnl_socket_get_fd(nl), buf, sizeof(buf), MSG_DONTWAIT)) > 0)
        if (mnl_cb_run(buf, (size_t) n, 0, 0, NULL, NULL) < 0)
            return -errno;
    return 0;
}

int egress_apply(int netns, const char *const *allow, Error *e)
{
    _cleanup_(mnl_socket_closep) struct mnl_socket *nl = NULL;
    _cleanup_(batch_done) Batch b = {.seq = 1};
    Error why = {};
    int r;

    r = batch_build(&b, allow, &why);
    if (r < 0)
        return why.code < 0 ? error_setf(e, r, "%s", why.text) : error_errnof(e, r, "egress rules");
    r = open_socket(netns, &nl, e);
    if (r < 0)
        return r;
    r = batch_send(nl, &b);
    return r < 0 ? error_errnof(e, r, "nf_tables refuses the egress rules") : 0;
}

static int sum_counter(struct nftnl_expr *expr, void *data)
{
    if (streq(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME), "counter"))
        *(uint64_t *) data += nftnl_expr_get_u64(expr, NFTNL_EXPR_CTR_PACKETS);
    return 0;
}

static int on_rule(const struct nlmsghdr *h, void *data)
{
    struct nftnl_rule *r = nftnl_rule_alloc();

    if (r && nftnl_rule_nlmsg_parse(h, r) >= 0)
        nftnl_expr_foreach(r, sum_counter, data);
    if (r)
        nftnl_rule_free(r);
    return MNL_CB_OK;
}

int egress_refused(int netns, uint64_t *ret, Error *e)
{
    _cleanup_(mnl_socket_closep) struct mnl_socket *nl = NULL;
    struct nftnl_rule *filter = nftnl_rule_alloc();
    char buf[32768];
    struct nlmsghdr *h;
    uint64_t sum = 0;
    ssize_t n;
    int r;

    if (!filter)
        return error_errnof(e, -ENOMEM, "nf_tables");
    nftnl_rule_set_str(filter, NFTNL_RULE_TABLE, TABLE);
    nftnl_rule_set_str(filter, NFTNL_RULE_CHAIN, CHAIN);
    h = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETRULE, NFPROTO_INET, NLM_F_DUMP, 1);
    nftnl_rule_nlmsg_build_payload(h, filter);
    nftnl_rule_free(filter);
    r = open_socket(netns, &nl, e);
    if (r < 0)
        return r;
    if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
        return error_errnof(e, -errno, "nf_tables");
    while ((n = mnl_socket_recvfrom(nl, buf, sizeof(buf))) > 0) {
        r = mnl_cb_run(buf, (size_t) n, 1, 0, on_rule, &sum);
        if (r <= 0)
            break;
    }
    if (n < 0 || r < 0)
        return error_errnof(e, -errno, "nf_tables");
    *ret = sum;
    return 0;
}
