/* SPDX-License-Identifier: Apache-2.0 */
#include "hold.h"

#include <limits.h>
#include <netinet/in.h>

#include "call.h"
#include "inuse.h"
#include "runtime/base/fd.h"

#define CHOSEN_MAX 64U

struct Hold {
    HoldHooks hooks;
    HoldTable table;
    int cgroup;                  /* of the agent, while it is asked */
    unsigned run;                /* counts incarnations */
    unsigned settled;            /* the last one that was there when a swap ended */
    uint64_t chosen[CHOSEN_MAX]; /* cookies of sockets whose port is the kernel's choice: the latest */
    size_t n_chosen;
    char trouble[ADDRESS_TEXT_MAX + 80];
};

static bool in_use(const Held *held, void *userdata)
{
    const Hold *hold = userdata;

    return socket_in_use(held->fd, hold->cgroup);
}

int hold_new(const HoldHooks *hooks, Hold **ret)
{
    Hold *h = calloc(1, sizeof(*h));

    if (!h)
        return -ENOMEM;
    h->hooks = *hooks;
    h->cgroup = -EBADF;
    h->table.in_use = in_use;
    h->table.userdata = h;
    for (size_t i = 0; i < HOLD_MAX; i++)
        h->table.held[i].fd = -EBADF;
    *ret = h;
    return 0;
}

Hold *hold_free(Hold *hold)
{
    if (hold)
        for (size_t i = 0; i < HOLD_MAX; i++)
            fd_closep(&hold->table.held[i].fd);
    free(hold);
    return NULL;
}

/* ---- the table ---- */

static void give_up(Hold *hold, size_t tag)
{
    fd_closep(&hold->table.held[tag].fd);
    hold->hooks.held((unsigned) tag, -1, hold->hooks.userdata);
}

/* Takes the fd. */
static void put(Hold *hold, size_t tag, int fd, const HoldAddress *a, bool claimed)
{
    fd_closep(&hold->table.held[tag].fd);
    hold->table.held[tag] = (Held){
        .fd = fd, .address = *a, .cookie = socket_cookie(fd), .since = claimed ? hold->run : 0, .claimed = claimed};
}

void hold_begin(Hold *hold)
{
    for (size_t i = 0; i < HOLD_MAX; i++) {
        hold->table.held[i].claimed = false;
        hold->table.held[i].stand_in = 0;
    }
    hold->run++;
    hold->n_chosen = 0;
    hold->trouble[0] = '\0';
}

void hold_resume(Hold *hold, int cgroup_agent)
{
    for (size_t i = 0; i < HOLD_MAX; i++)
        hold->table.held[i].claimed =
            hold->table.held[i].fd >= 0 && socket_in_use(hold->table.held[i].fd, cgroup_agent);
}

void hold_wait(Hold *hold)
{
    for (size_t i = 0; i < HOLD_MAX; i++)
        if (hold->table.held[i].fd >= 0)
            (void) listen(hold->table.held[i].fd, INT_MAX);
}

static bool has_claimed_equal(const HoldTable *t, const HoldAddress *a)
{
    for (size_t i = 0; i < HOLD_MAX; i++)
        if (t->held[i].fd >= 0 && t->held[i].claimed && address_equal(&t->held[i].address, a))
            return true;
    return false;
}

void hold_ready(Hold *hold)
{
    for (size_t i = 0; i < HOLD_MAX; i++) {
        const Held *h = &hold->table.held[i];

        if (h->fd >= 0 && !h->claimed && has_claimed_equal(&hold->table, &h->address))
            give_up(hold, i);
    }
}

void hold_prune(Hold *hold, bool committed)
{
    for (size_t i = 0; i < HOLD_MAX; i++) {
        const Held *h = &hold->table.held[i];

        if (h->fd >= 0 && !h->claimed && (committed || h->since > hold->settled))
            give_up(hold, i);
    }
    hold->settled = hold->run;
}

void hold_clear(Hold *hold)
{
    for (size_t i = 0; i < HOLD_MAX; i++)
        if (hold->table.held[i].fd >= 0)
            give_up(hold, i);
}

void hold_adopt(Hold *hold, unsigned tag, int fd)
{
    HoldAddress a;

    if (tag >= HOLD_MAX || socket_address(fd, &a) < 0)
        close(fd);
    else
        put(hold, tag, fd, &a, false);
}

const char *hold_trouble(const Hold *hold)
{
    return hold->trouble;
}

json_t *hold_to_json(const Hold *hold)
{
    json_t *list = json_array();

    for (size_t i = 0; i < HOLD_MAX; i++) {
        const Held *h = &hold->table.held[i];
        char text[ADDRESS_TEXT_MAX];

        if (h->fd < 0)
            continue;
        address_format(&h->address, text);
        json_array_append_new(list, json_pack("{s:s,s:b}", "address", text, "bound", (int) h->claimed));
    }
    return list;
}

/* ---- ports that the kernel chooses ---- */

static void note_chosen(Hold *hold, uint64_t cookie)
{
    hold->chosen[hold->n_chosen++ % CHOSEN_MAX] = cookie;
}

static bool is_chosen(const Hold *hold, const Call *call)
{
    for (size_t i = 0; i < MIN(hold->n_chosen, CHOSEN_MAX); i++)
        if (hold->chosen[i] == call->cookie)
            return true;
    return address_chosen(&call->address);
}

/* A client that leaves its port to connect(2). */
static bool port_comes_later(int sock)
{
    int on = 0;
    socklen_t len = sizeof(on);

    return getsockopt(sock, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, &len) == 0 && on;
}

static bool set_reuse(int sock, int on, int *ret_before)
{
    socklen_t len = sizeof(*ret_before);

    return (!ret_before || getsockopt(sock, SOL_SOCKET, SO_REUSEPORT, ret_before, &len) == 0) &&
           setsockopt(sock, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0;
}

/* Binds the caller's socket to the port of the held one, beside it. A kernel that does not want to chooses another port. */
static int bind_beside(Held *held, const Call *call)
{
    HoldAddress a = call->address;
    int theirs = 0, ours = 0, r = -EOPNOTSUPP;

    address_set_port(&a, address_port(&held->address.sa));
    if (!set_reuse(call->sock, 1, &theirs))
        return r;
    if (set_reuse(held->fd, 1, &ours)) {
        if (bind(call->sock, (const struct sockaddr *) &a.sa, a.len) == 0) {
            held->stand_in = call->cookie;
            r = 0;
        }
        (void) set_reuse(held->fd, ours, NULL);
    }
    (void) set_reuse(call->sock, theirs, NULL);
    return r;
}

static int bind_chosen(Hold *hold, size_t tag, const Call *call)
{
    return port_comes_later(call->sock) ? -EOPNOTSUPP : bind_beside(&hold->table.held[tag], call);
}

/* ---- one notification ---- */

static int replace(Hold *hold, size_t tag, const Call *call)
{
    Held *held = &hold->table.held[tag];
    int r = hold->hooks.handing(hold->hooks.userdata);

    if (r >= 0)
        r = call_replace(call, held->fd);
    if (r < 0)
        return r;
    held->claimed = true;
    held->stand_in = 0;
    return call->listens && listen(held->fd, call->backlog) < 0 ? -errno : 0;
}

static int keep(Hold *hold, size_t tag, Call *call)
{
    HoldAddress a;
    int r = hold->hooks.handing(hold->hooks.userdata);

    if (r < 0)
        return r;
    if (listen(call->sock, call->backlog) < 0)
        return -errno;
    r = socket_address(call->sock, &a); /* the port that listen(2) chose */
    if (r < 0)
        return r;
    put(hold, tag, TAKE_FD(call->sock), &a, true);
    hold->hooks.held((unsigned) tag, hold->table.held[tag].fd, hold->hooks.userdata);
    return 0;
}

static int listen_unheld(Hold *hold, const Call *call)
{
    char text[ADDRESS_TEXT_MAX];
    int r = hold->hooks.handing(hold->hooks.userdata);

    address_format(&call->address, text);
    snprintf(hold->trouble, sizeof(hold->trouble), "%s: not held, as too many sockets are", text);
    return r < 0 ? r : -EOPNOTSUPP;
}

static Verdict decide(Hold *hold, const Call *call, size_t *ret_tag)
{
    Verdict v;

    if (call->listens)
        return decide_listen(&hold->table, &call->address, call->cookie, is_chosen(hold, call), ret_tag);
    if (address_chosen(&call->address))
        note_chosen(hold, call->cookie);
    while ((v = decide_bind(&hold->table, &call->address, ret_tag)) == VERDICT_YIELD)
        give_up(hold, *ret_tag);
    return v;
}

static int act(Hold *hold, Call *call)
{
    size_t tag;

    switch (decide(hold, call, &tag)) {
    case VERDICT_REPLACE:
        return replace(hold, tag, call);
    case VERDICT_STAND_IN:
        return bind_chosen(hold, tag, call);
    case VERDICT_KEEP:
        return keep(hold, tag, call);
    case VERDICT_AGAIN:
        hold->table.held[tag].claimed = true;
        return listen(call->sock, call->backlog) < 0 ? -errno : 0;
    case VERDICT_FULL:
        return listen_unheld(hold, call);
    case VERDICT_KERNEL:
    case VERDICT_YIELD:
        break;
    }
    return -EOPNOTSUPP;
}

int hold_handle(Hold *hold, int notify, int cgroup_agent)
{
    Call call;
    int r = call_receive(notify, &call);

    if (r < 0)
        return r;
    hold->cgroup = cgroup_agent;
    if (call.sock < 0 || !address_ours(&call.address.sa, hold->hooks.landlock))
        r = -EOPNOTSUPP;
    else
        r = act(hold, &call);
    call_done(&call);
    hold->cgroup = -EBADF;
    return call_answer(&call, r);
}
