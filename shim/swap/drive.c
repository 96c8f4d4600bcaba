/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include <inttypes.h>

#include "drive_internal.h"
#include "epoch.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "schema.h"

#define RECOVERIES_MAX 32
#define START_TRIES 3U
#define AGAIN_FIRST (1 * USEC_PER_SEC)
#define AGAIN_MAX (30 * USEC_PER_SEC)

/* ---- events ---- */

/* Which side the next shim makes current where the head on disk is this one: in SERVING that depends on why it is the next one. */
static Side led_to(const Drive *d, const SwapEvent *event)
{
    SwapEvent recovery = {.kind = EVENT_RECOVER, .boot_id = d->boot_id, .keep_state = event->keep_state};
    SwapStep s;

    if (d->head.state != SWAP_TRYING || swap_step(&d->head, &d->policy, &recovery, &s) < 0)
        return d->head.cur;
    return s.head.cur;
}

/* Is it the same side that is current after this step? Then the way back does not have to wait for a disk that takes no writes. */
static bool safe_unwritten(const Drive *d, const Head *next, const SwapEvent *event)
{
    Side led = led_to(d, event);
    bool sure = !d->in_doubt || memcmp(&d->doubt.cur, &next->cur, sizeof(next->cur)) == 0;

    return sure && memcmp(&led, &next->cur, sizeof(led)) == 0 && next->state != SWAP_TRYING;
}

static bool goes_back(SwapEventKind kind)
{
    return kind == EVENT_ABORT || kind == EVENT_DIED || kind == EVENT_RECOVER;
}

static int write_head(Drive *d, const SwapStep *step, const SwapEvent *event)
{
    bool clients_wait = step->head.state == SWAP_TRYING || step->head.state == SWAP_ROLLING_BACK;
    Error e = {};
    int r = head_save(&d->head_file, &step->head, clients_wait, &e);

    if (r >= 0) {
        d->in_doubt = false;
        if (d->again_delay)
            d->trouble[0] = '\0';
        d->again_delay = 0;
        return 0;
    }
    if (!d->again_delay)
        log_line(d->log, "%s", e.text);
    drive_set_trouble(d, e.text);
    if (r == -EINPROGRESS) {
        d->in_doubt = true;
        d->doubt = step->head;
    }
    if ((goes_back(event->kind) || d->head.state == SWAP_ROLLING_BACK) && safe_unwritten(d, &step->head, event))
        return 0;
    return r;
}

/* Would the old generation run on what the candidate has written? */
static bool keeps_state(const Drive *d, int64_t old_epoch, int64_t new_epoch)
{
    _cleanup_close_ int before = -EBADF, after = -EBADF;

    if (d->spec.agent->state_policy != STATE_AUTO)
        return d->spec.agent->state_policy == STATE_KEEP;
    before = epoch_open(d->spec.agent_dir, old_epoch, NULL);
    after = epoch_open(d->spec.agent_dir, new_epoch, NULL);
    return before >= 0 && after >= 0 && schema_readable(before, after);
}

/* Fails where the head cannot be written: then nothing has happened. */
static int step(Drive *d, const Queued *q)
{
    SwapEvent event = {.kind = q->kind,
                       .reason = q->reason,
                       .generation = q->generation[0] ? q->generation : NULL,
                       .epoch = q->epoch,
                       .consent = q->consent,
                       .rehearse = q->rehearse,
                       .boot_id = d->boot_id,
                       .now = (int64_t) clock_now(),
                       .running = q->kind == EVENT_RECOVER && d->adopted};
    SwapState before = d->head.state;
    SwapStep s;

    if (d->head.state == SWAP_TRYING)
        event.keep_state = keeps_state(d, d->head.cur.epoch, d->head.cand.epoch);
    else if (d->head.state == SWAP_SERVING)
        event.keep_state = keeps_state(d, d->head.prev.epoch, d->head.cur.epoch);
    int r;

    if (swap_step(&d->head, &d->policy, &event, &s) < 0)
        return 0;
    if (s.n > 0 && s.actions[0] == ACT_WRITE) {
        if ((r = write_head(d, &s, &event)) < 0)
            return r;
        loop_cancel(&d->again_timer);
    }
    d->head = s.head;
    if (d->head.state != before) {
        log_line(d->log, "%s%s%s", swap_state_name(d->head.state), d->head.reason[0] ? ": " : "", d->head.reason);
        d->spec.progress(swap_state_name(d->head.state), d->spec.userdata);
    }
    if (d->head.state != SWAP_DRAINING && d->head.state != SWAP_TRYING)
        loop_cancel(&d->budget_timer);
    for (size_t i = 0; i < s.n; i++)
        drive_act(d, s.actions[i]);
    if (d->head.state == SWAP_HALTED && before != SWAP_HALTED)
        d->spec.settled(d->head.reason, d->spec.userdata);
    return 0;
}

static void take(Drive *d, const Queued *q);

/* What the disk licenses is still what may run: it serves on, also if it is a candidate that has ended too often. */
static void on_again(uint32_t events, void *userdata)
{
    Drive *d = userdata;
    Queued q = d->again;

    (void) events;
    loop_cancel(&d->again_timer);
    take(d, &q);
    if (d->again_timer && d->head.state == SWAP_SERVING && (!d->incarnation || incarnation_pid(d->incarnation) == 0)) {
        drive_act(d, ACT_KILL);
        drive_act(d, ACT_START);
    }
}

static void try_again_later(Drive *d, const Queued *q)
{
    d->again = *q;
    d->again_delay = MIN(MAX(2 * d->again_delay, AGAIN_FIRST), AGAIN_MAX);
    loop_cancel(&d->again_timer);
    (void) loop_timer(d->spec.loop, clock_now() + d->again_delay, on_again, d, &d->again_timer);
}

static void happen(Drive *d, const Queued *q)
{
    Queued abort = {.kind = EVENT_ABORT};

    if (step(d, q) >= 0 || d->head.state == SWAP_STEADY || d->head.state == SWAP_HALTED)
        return;
    snprintf(abort.reason, sizeof(abort.reason), "%.190s", d->trouble);
    if (q->kind == EVENT_ABORT || step(d, &abort) < 0)
        try_again_later(d, q);
}

static void take(Drive *d, const Queued *q)
{
    if (d->n_queue < ARRAY_SIZE(d->queue))
        d->queue[d->n_queue++] = *q;
    if (d->stepping)
        return;
    d->stepping = true;
    while (d->n_queue > 0) {
        Queued next = d->queue[0];

        memmove(d->queue, d->queue + 1, --d->n_queue * sizeof(next));
        happen(d, &next);
    }
    d->stepping = false;
}

void drive_feed(Drive *d, SwapEventKind kind, const char *reason)
{
    Queued q = {.kind = kind};

    snprintf(q.reason, sizeof(q.reason), "%s", reason ? reason : "");
    take(d, &q);
}

void drive_set_trouble(Drive *d, const char *what)
{
    snprintf(d->trouble, sizeof(d->trouble), "%.200s", what);
}

void drive_set_blame(Drive *d, json_t *probe)
{
    json_decref(d->blame);
    d->blame = probe;
}

/* ---- life ---- */

/* The candidate is about to get clients: from here on what it writes is theirs too, and a recovery has to know. */
static int on_handing(void *userdata)
{
    Drive *d = userdata;
    uint64_t asked = clock_now();

    if (d->head.state == SWAP_TRYING && !d->head.served) {
        drive_feed(d, EVENT_HANDED, NULL);
        if (!d->head.served)
            return -EIO;
        d->memory->pause.hand = clock_now() - asked;
    }
    if (d->memory->pause.begun)
        d->memory->pause.ended = clock_now();
    return 0;
}

static void on_held(unsigned tag, int fd, void *userdata)
{
    Drive *d = userdata;

    if (d->container)
        (void) container_keep(d->container, tag, fd);
}

static int on_state(void *userdata)
{
    Drive *d = userdata;

    return epoch_open(d->spec.agent_dir, swap_licensed(&d->head)->epoch, NULL);
}

/* Names of the held sockets that have a path in the state: on the file system that the epochs are on. */
static int open_links(int agent_dir, Error *e)
{
    int fd;

    if (mkdirat(agent_dir, "sockets", 0700) < 0 && errno != EEXIST)
        return error_errnof(e, -errno, "agent's directory sockets");
    fd = openat(agent_dir, "sockets", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? error_errnof(e, -errno, "agent's directory sockets") : fd;
}

static int first_head(Drive *d, Error *e)
{
    _cleanup_close_ int state = epoch_open(d->spec.agent_dir, d->head.cur.epoch, e);
    int r;

    if (state < 0)
        return state;
    r = epoch_own(state, d->spec.agent->run_uid, d->spec.agent->run_gid, e);
    return r < 0 ? r : head_save(&d->head_file, &d->head, false, e);
}

static int prepare(Drive *d, Error *e)
{
    HoldHooks hooks = {.handing = on_handing,
                       .held = on_held,
                       .state = on_state,
                       .userdata = d,
                       .landlock = d->spec.agent->landlock,
                       .state_path = d->spec.agent->sockets == SOCKETS_TRANSPARENT ? d->spec.agent->state_path : NULL};
    bool fresh;
    int r;

    if ((r = process_boot_id(d->boot_id)) < 0)
        return error_errnof(e, r, "boot id");
    if ((r = head_load(d->spec.agent_dir, &d->head, &fresh, e)) < 0 || (r = seccomp_profile("box", &d->filter, e)) < 0)
        return r;
    if (fresh && (r = first_head(d, e)) < 0)
        return r;
    if ((d->spec.engine || d->spec.agent->network == NETWORK_ENGINE) && (r = drive_find_engine(d, e)) < 0)
        return r;
    hooks.links = d->links = open_links(d->spec.agent_dir, e);
    if (d->links < 0)
        return d->links;
    if ((r = hold_new(&hooks, &d->hold)) < 0)
        return error_errnof(e, r, "hold");
    rehearsal_clean(d->spec.agent->name, d->spec.agent_dir);
    return drive_open_container(d, e);
}

int drive_new(const DriveSpec *spec, Drive **ret, Error *e)
{
    _cleanup_(drive_freep) Drive *d = calloc(1, sizeof(*d));
    int r;

    if (!d)
        return error_errnof(e, -ENOMEM, "agent %s", spec->agent->name);
    d->spec = *spec;
    d->links = d->memory_fd = d->root = -EBADF;
    d->head_file = (HeadFile){.dir = spec->agent_dir};
    d->policy = (SwapPolicy){.bake_max_restarts = spec->agent->gate.bake_max_restarts,
                             .recoveries_max = RECOVERIES_MAX,
                             .served_halts = spec->agent->state_policy == STATE_HALT,
                             .served_at_start = spec->agent->sockets == SOCKETS_LISTEN_FDS};
    r = prepare(d, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(d);
    return 0;
}

Drive *drive_free(Drive *d)
{
    if (!d)
        return NULL;
    drive_forget_agent(d);
    precopy_free(d->precopy);
    loop_cancel(&d->budget_timer);
    loop_cancel(&d->again_timer);
    rehearsal_free(d->rehearsal);
    hold_free(d->hold);
    fd_closep(&d->links);
    log_free(d->log);
    container_free(d->container);
    free(d->engine);
    memory_close(d->memory);
    fd_closep(&d->memory_fd);
    fd_closep(&d->root);
    seccomp_filter_done(&d->filter);
    json_decref(d->blame);
    json_decref(d->unmet);
    free(d);
    return NULL;
}

/* ---- what it is asked for ---- */

void drive_recover(Drive *d)
{
    drive_feed(d, EVENT_RECOVER, NULL);
}

static int check_generation(Drive *d, const char *generation, Error *e)
{
    _cleanup_(generation_freep) Generation *g = NULL;
    int r = generation_load(d->spec.store, generation, &g, e);

    if (r < 0)
        return r;
    if (!streq(g->agent, d->spec.agent->name))
        return error_setf(e, -EINVAL, "generation %.12s is one of agent \"%.40s\"", generation, g->agent);
    return 0;
}

static int swap_to(Drive *d, const SwapRequest *request, Error *e)
{
    SwapEvent probe = {.kind = EVENT_REQUEST, .generation = request->generation};
    Queued asked = {.kind = EVENT_REQUEST};
    int64_t seq = d->head.seq;
    SwapStep ignored;
    int r;

    if (!digest_valid(request->generation))
        return error_setf(e, -EINVAL, "\"%.70s\" is no digest of a generation", request->generation);
    r = check_generation(d, request->generation, e);
    if (r < 0)
        return r;
    r = swap_step(&d->head, &d->policy, &probe, &ignored);
    if (r == -EBUSY)
        return error_setf(e, r, "a swap goes on, or the agent is halted: %s", swap_state_name(d->head.state));
    if (r == -EALREADY)
        return error_setf(e, r, "generation %.12s is the current one", request->generation);
    if (r == -EDQUOT)
        return error_setf(
            e, r,
            "%u states are set aside, more are not kept: discard some first (`moss-shim generations %s` lists them)",
            ASIDE_MAX, d->spec.agent->name);
    if (d->container && container_frozen(d->container))
        return error_setf(e, -EBUSY, "the container is paused");
    if ((r = drive_record(d, e)) < 0)
        return error_wrapf(e, r, "the last swap is not recorded yet");
    if (!d->incarnation || !incarnation_ready(d->incarnation))
        return error_setf(e, -EAGAIN,
                          "the agent is not ready: a swap could not tell the candidate's fault from its own");
    snprintf(asked.generation, sizeof(asked.generation), "%s", request->generation);
    snprintf(asked.consent, sizeof(asked.consent), "%s", request->consent ? request->consent : "");
    asked.rehearse = request->rehearse;
    drive_set_blame(d, NULL);
    json_decref(d->unmet);
    d->unmet = NULL;
    take(d, &asked);
    return d->head.seq == seq ? error_setf(e, -EIO, "%s", d->trouble) : 0;
}

/* From when the generation is looked at until the head names it nobody may collect it. */
int drive_swap(Drive *d, const SwapRequest *request, Error *e)
{
    int r = store_pin(d->spec.store, e);

    if (r >= 0)
        r = swap_to(d, request, e);
    store_unpin(d->spec.store);
    return r;
}

int drive_rollback(Drive *d, const char *to, Error *e)
{
    SwapRequest back = {.generation = to ? to : d->head.prev.generation, .rehearse = true};

    if (to)
        return drive_swap(d, &back, e);
    switch (d->head.state) {
    case SWAP_PREPARED:
    case SWAP_DRAINING:
    case SWAP_TRYING:
    case SWAP_SERVING:
        if (d->incarnation && (d->head.state == SWAP_TRYING || d->head.state == SWAP_SERVING))
            drive_set_blame(d, incarnation_blame(d->incarnation));
        drive_feed(d, EVENT_ABORT, "rolled back by the operator");
        return 1;
    case SWAP_STEADY:
        if (!d->head.prev.generation[0])
            return error_setf(e, -ENOENT, "there is no generation to go back to");
        return drive_swap(d, &back, e);
    case SWAP_ROLLING_BACK:
    case SWAP_HALTED:
    case SWAP_STATES:
        break;
    }
    return error_setf(e, -EBUSY, "cannot roll back in state %s", swap_state_name(d->head.state));
}

/* Feeds what the operator asks for, unless the protocol refuses it. */
static int ask(Drive *d, const Queued *q, Error *e)
{
    SwapEvent probe = {.kind = q->kind, .generation = q->generation[0] ? q->generation : NULL, .epoch = q->epoch};
    int64_t seq = d->head.seq;
    SwapStep ignored;
    int r = swap_step(&d->head, &d->policy, &probe, &ignored);

    if (r == -ENOENT)
        return error_setf(e, r, "there is no epoch %" PRIi64 " to %s", q->epoch,
                          q->kind == EVENT_DISCARD ? "discard: it is not set aside" : "resume on");
    if (r < 0)
        return error_setf(e, r, "not in state %s", swap_state_name(d->head.state));
    take(d, q);
    return d->head.seq == seq ? error_setf(e, -EIO, "%s", d->trouble) : 0;
}

int drive_resume(Drive *d, const Side *to, Error *e)
{
    Queued q = {.kind = EVENT_RESUME, .epoch = to ? to->epoch : EPOCH_NONE};
    int r = 0;

    if (d->head.state != SWAP_HALTED)
        return error_setf(e, -EINVAL, "the agent is not halted: %s", swap_state_name(d->head.state));
    snprintf(q.generation, sizeof(q.generation), "%s", to ? to->generation : "");
    if (to && (r = store_pin(d->spec.store, e)) >= 0)
        r = check_generation(d, to->generation, e);
    d->failures = 0;
    if (r >= 0)
        r = ask(d, &q, e);
    store_unpin(d->spec.store);
    return r;
}

int drive_discard(Drive *d, int64_t epoch, Error *e)
{
    return ask(d, &(Queued){.kind = EVENT_DISCARD, .epoch = epoch}, e);
}

void drive_stop(Drive *d)
{
    d->stopping = true;
    loop_cancel(&d->start_timer);
    loop_cancel(&d->again_timer);
    if (d->incarnation && incarnation_pid(d->incarnation) > 0)
        drive_drain_agent(d);
    else
        d->spec.stopped(d->spec.userdata);
}

void drive_destroy(Drive *d)
{
    d->precopy = precopy_free(d->precopy);
    d->rehearsal = rehearsal_free(d->rehearsal);
    drive_kill_agent(d);
    log_drain(d->log);
    hold_clear(d->hold);
    if (d->container)
        (void) container_destroy(d->container, NULL);
}

bool drive_adopted(const Drive *d)
{
    return d->adopted;
}

bool drive_tries_again(const Drive *d)
{
    return d->found && d->failures < START_TRIES;
}

const Head *drive_head(const Drive *d)
{
    return &d->head;
}
