/* SPDX-License-Identifier: Apache-2.0 */
#include "hold.h"

#include <limits.h>
#include <netinet/in.h>

#include "call.h"
#include "inuse.h"
#include "place.h"
#include "runtime/base/fd.h"
#include "runtime/base/strbuf.h"

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

/* Where in the state volume the path lies; NULL: it does not. */
static const char *place_of(const Hold *hold, const HoldAddress *a)
{
    const char *path = address_path(a), *rest = NULL;

    if (path && hold->hooks.state_path)
        rest = startswith(path, hold->hooks.state_path);
    return rest && rest[0] == '/' && rest[1] ? rest + 1 : NULL;
}

static void give_up(Hold *hold, size_t tag)
{
    Held *h = &hold->table.held[tag];

    if (place_of(hold, &h->address))
        place_forget(hold->hooks.links, (unsigned) tag);
    else if (address_path(&h->address) && !hold->hooks.state_path)
        (void) unlink(address_path(&h->address)); /* of listen-fds: ours, and on the host */
    fd_closep(&h->fd);
    hold->hooks.held((unsigned) tag, -1, hold->hooks.userdata);
}

/* The epoch that the incarnation has is another one, or its sockets' files are gone. */
static void restore_places(Hold *hold)
{
    _cleanup_close_ int state = -EBADF;

    for (size_t i = 0; i < HOLD_MAX; i++) {
        const Held *h = &hold->table.held[i];
        const char *place = h->fd >= 0 ? place_of(hold, &h->address) : NULL;

        if (!place)
            continue;
        if (state < 0)
            state = hold->hooks.state(hold->hooks.userdata);
        if (state >= 0)
            (void) place_restore(hold->hooks.links, (unsigned) i, state, place);
    }
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
    restore_places(hold);
}

/* Whom a client of a UNIX socket sees at the other end (SO_PEERCRED) is who called listen(2) last: that must be the agent. */
static bool tells_who_listens(const HoldAddress *a)
{
    return a->sa.ss_family == AF_UNIX;
}

void hold_wait(Hold *hold)
{
    for (size_t i = 0; i < HOLD_MAX; i++) {
        const Held *h = &hold->table.held[i];

        if (h->fd >= 0 && !tells_who_listens(&h->address))
            (void) listen(h->fd, INT_MAX);
    }
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

void hold_tell(Hold *hold)
{
    for (size_t i = 0; i < HOLD_MAX; i++)
        if (hold->table.held[i].fd >= 0)
            hold->hooks.held((unsigned) i, hold->table.held[i].fd, hold->hooks.userdata);
}

void hold_adopt(Hold *hold, unsigned tag, int fd)
{
    HoldAddress a;

    if (tag >= HOLD_MAX || socket_address(fd, &a) < 0)
        close(fd);
    else
        put(hold, tag, fd, &a, false);
}

int hold_claim(Hold *hold, const HoldAddress *a)
{
    for (size_t i = 0; i < HOLD_MAX; i++) {
        Held *h = &hold->table.held[i];

        if (h->fd >= 0 && !h->claimed && address_equal(&h->address, a)) {
            h->claimed = true;
            return h->fd;
        }
    }
    return -ENOENT;
}

int hold_add(Hold *hold, int fd)
{
    _cleanup_close_ int sock = fd;
    HoldAddress a;
    int r = socket_address(sock, &a);
    size_t tag = 0;

    while (tag < HOLD_FIRST_CHOSEN && hold->table.held[tag].fd >= 0)
        tag++;
    if (r < 0 || tag == HOLD_FIRST_CHOSEN)
        return r < 0 ? r : -ENOSPC;
    put(hold, tag, TAKE_FD(sock), &a, true);
    hold->hooks.held((unsigned) tag, hold->table.held[tag].fd, hold->hooks.userdata);
    return 0;
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

static bool is_set(int sock, int level, int name)
{
    int on = 0;
    socklen_t len = sizeof(on);

    return getsockopt(sock, level, name, &on, &len) == 0 && on;
}

/* Servers make addresses reusable, clients seldom; one that leaves its port to connect(2) surely is a client. A client with the port of an earlier one could not connect to where
 * that has been connected to a minute ago. */
static bool may_listen(int sock)
{
    return is_set(sock, SOL_SOCKET, SO_REUSEADDR) && !is_set(sock, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
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
    return may_listen(call->sock) ? bind_beside(&hold->table.held[tag], call) : -EOPNOTSUPP;
}

/* ---- one notification ---- */

static int listen_for(const Call *call, int sock)
{
    if (tells_who_listens(&call->address))
        return -EOPNOTSUPP;
    return listen(sock, call->backlog) < 0 ? -errno : 0;
}

/* The socket's file is where the caller wants it, as a bind would make it; else the kernel says what it thinks of the caller's own. */
static int bind_place(const Hold *hold, size_t tag, const Call *call)
{
    const char *place = place_of(hold, &call->address);
    _cleanup_close_ int state = -EBADF;

    if (!place)
        return 0;
    state = hold->hooks.state(hold->hooks.userdata);
    return state >= 0 && place_bind(hold->hooks.links, (unsigned) tag, state, place, 0777 & ~call->umask) >= 0
               ? 0
               : -EOPNOTSUPP;
}

static int replace(Hold *hold, size_t tag, const Call *call)
{
    Held *held = &hold->table.held[tag];
    int r = bind_place(hold, tag, call);

    if (r >= 0)
        r = hold->hooks.handing(hold->hooks.userdata);

    if (r >= 0)
        r = call_replace(call, held->fd);
    if (r < 0)
        return r;
    held->claimed = true;
    held->stand_in = 0;
    return call->listens ? listen_for(call, held->fd) : 0;
}

static int keep_place(const Hold *hold, size_t tag, const HoldAddress *a)
{
    const char *place = place_of(hold, a);
    _cleanup_close_ int state = -EBADF;

    if (!place)
        return 0;
    state = hold->hooks.state(hold->hooks.userdata);
    return state < 0 ? state : place_keep(hold->hooks.links, (unsigned) tag, state, place);
}

/* A path leads to one socket: to those that had it before nobody comes any more. */
static void give_up_path(Hold *hold, const HoldAddress *a)
{
    for (size_t i = 0; address_path(a) && i < HOLD_MAX; i++)
        if (hold->table.held[i].fd >= 0 && address_equal(&hold->table.held[i].address, a))
            give_up(hold, i);
}

static int keep(Hold *hold, size_t tag, Call *call)
{
    HoldAddress a;
    int r = hold->hooks.handing(hold->hooks.userdata), listens;

    if (r < 0)
        return r;
    listens = listen_for(call, call->sock);
    if (listens < 0 && listens != -EOPNOTSUPP)
        return listens;
    r = socket_address(call->sock, &a); /* with the port that listen(2) chose */
    if (r < 0)
        return r;
    put(hold, tag, TAKE_FD(call->sock), &a, true);
    hold->hooks.held((unsigned) tag, hold->table.held[tag].fd, hold->hooks.userdata);
    return listens;
}

/* Clients may come to one that is not held, too. */
static int listen_unheld(Hold *hold)
{
    int r = hold->hooks.handing(hold->hooks.userdata);

    return r < 0 ? r : -EOPNOTSUPP;
}

static void note_full(Hold *hold, const HoldAddress *a)
{
    char text[ADDRESS_TEXT_MAX];

    address_format(a, text);
    snprintf(hold->trouble, sizeof(hold->trouble), "%s: not held, as too many sockets are", text);
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
        give_up_path(hold, &call->address);
        return keep_place(hold, tag, &call->address) < 0 ? listen_unheld(hold) : keep(hold, tag, call);
    case VERDICT_AGAIN:
        hold->table.held[tag].claimed = true;
        return listen_for(call, call->sock);
    case VERDICT_FULL:
        note_full(hold, &call->address);
        return listen_unheld(hold);
    case VERDICT_KERNEL:
    case VERDICT_YIELD:
        break;
    }
    return -EOPNOTSUPP;
}

static bool is_bound(int sock)
{
    HoldAddress a;

    return socket_address(sock, &a) >= 0 && address_held(&a.sa, a.len, a.sa.ss_family, a.type) && !address_chosen(&a);
}

static int answer(Hold *hold, int cgroup_agent, Call *call)
{
    int r;

    hold->cgroup = cgroup_agent;
    if (call->sock < 0 || !address_ours(&call->address.sa, hold->hooks.landlock) ||
        (address_path(&call->address) && !place_of(hold, &call->address)))
        r = call->listens ? listen_unheld(hold) : -EOPNOTSUPP;
    else if (call->again && !call->listens && is_bound(call->sock))
        r = 0; /* that bind had been done, only not answered */
    else
        r = act(hold, call);
    call_done(call);
    hold->cgroup = -EBADF;
    return call_answer(call, r);
}

int hold_handle(Hold *hold, int notify, int cgroup_agent, HoldPending *pending)
{
    Call call;
    int r = call_receive(notify, pending, &call);

    return r < 0 ? r : answer(hold, cgroup_agent, &call);
}

void hold_resume(Hold *hold, int notify, int cgroup_agent, HoldPending *pending)
{
    Call call;

    for (size_t i = 0; i < HOLD_MAX; i++)
        hold->table.held[i].claimed =
            hold->table.held[i].fd >= 0 && socket_in_use(hold->table.held[i].fd, cgroup_agent);
    if (call_resume(notify, pending, &call) >= 0)
        (void) answer(hold, cgroup_agent, &call);
}
