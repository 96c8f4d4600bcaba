/* SPDX-License-Identifier: Apache-2.0 */
#include "drive.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "epoch.h"
#include "head.h"
#include "incarnation.h"
#include "log.h"
#include "record.h"
#include "rehearse.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/box/cgroup.h"
#include "runtime/box/egress.h"
#include "shim/init/protocol.h"

#define LOG_TAG (INIT_TAGS_MAX - 1)
#define KILL_TIMEOUT (10 * USEC_PER_SEC)
#define BACKOFF_FIRST (200 * USEC_PER_MSEC)
#define BACKOFF_MAX (30 * USEC_PER_SEC)
#define RECOVERIES_MAX 32

typedef struct Queued {
    SwapEventKind kind;
    char reason[200], generation[DIGEST_SIZE];
} Queued;

struct Drive {
    DriveSpec spec;
    SwapPolicy policy;
    Head head;
    char boot_id[37];
    Container *container;
    Hold *hold;
    Log *log;
    SeccompFilter filter;
    Incarnation *incarnation;
    Rehearsal *rehearsal;
    LoopSource *drain_timer, *bake_timer, *start_timer, *queue_timer;
    unsigned failures; /* in a row, while no swap goes on: for the backoff */
    unsigned restarts;
    uint64_t since;
    bool stopping;
    bool feeding;
    Queued queue[8];
    size_t n_queue;
    char trouble[240];
    /* of the swap that goes on */
    char consent[DIGEST_SIZE];
    bool rehearse;
    uint64_t pause_start, pause_end;
};

static void feed(Drive *d, SwapEventKind kind, const char *reason, const char *generation);
static void forget_incarnation(Drive *d);

/* ---- hooks of the hold ---- */

/* The candidate is about to get clients: from here on what it writes is theirs too, and a recovery has to know. */
static int on_handing(void *userdata)
{
    Drive *d = userdata;

    if (d->head.state == SWAP_TRYING && !d->head.served) {
        feed(d, EVENT_HANDED, NULL, NULL);
        if (!d->head.served)
            return -EIO;
    }
    if (d->pause_start)
        d->pause_end = clock_now();
    return 0;
}

static void on_held(unsigned tag, int fd, void *userdata)
{
    Drive *d = userdata;

    if (d->container)
        (void) container_keep(d->container, tag, fd);
}

/* ---- container ---- */

static ContainerSpec container_spec(const Drive *d, const char *name)
{
    const Agent *a = d->spec.agent;

    return (ContainerSpec){.name = name, .hostname = a->name, .network = a->network, .address = a->network_address};
}

typedef struct Taken {
    Drive *drive;
    int log;
} Taken;

static void take_kept(unsigned tag, int fd, void *userdata)
{
    Taken *t = userdata;

    if (tag == LOG_TAG) {
        fd_closep(&t->log);
        t->log = fd;
    } else
        hold_adopt(t->drive->hold, tag, fd);
}

static bool container_lives(const Drive *d)
{
    struct pollfd p = {.fd = d->container ? d->container->pidfd : -EBADF, .events = POLLIN};

    return p.fd >= 0 && poll(&p, 1, 0) == 0;
}

/* The container of an earlier shim with what its moss-init kept, or a new one. */
static int get_container(Drive *d, Error *e)
{
    char name[64];
    ContainerSpec spec = container_spec(d, name);
    Taken taken = {d, -EBADF};
    int r;

    if (container_lives(d))
        return 0;
    r = container_name("kept", d->spec.agent->name, d->spec.agent_dir, name, e);
    if (r < 0)
        return r;
    if (d->container) {
        d->container = container_free(d->container);
        if (d->spec.agent->network != NETWORK_HOST)
            hold_clear(d->hold);
    } else if (container_adopt(&spec, d->spec.run_dir, &d->container, NULL) >= 0) {
        r = container_kept(d->container, take_kept, &taken);
        if (r < 0)
            d->container = container_free(d->container);
    }
    if (!d->container && (r = container_create(&spec, d->spec.run_dir, &d->container, e)) < 0)
        return r;
    if (!d->log && (r = log_new(d->spec.loop, d->spec.agent_dir, taken.log, &d->log)) < 0)
        return error_errnof(e, r, "log");
    return container_keep(d->container, LOG_TAG, log_reader(d->log));
}

static void kill_agent(Drive *d)
{
    Error e = {};

    forget_incarnation(d);
    if (d->container && container_clear(d->container, &d->container->cgroup_agent, &e) < 0)
        snprintf(d->trouble, sizeof(d->trouble), "%.200s", e.text);
}

/* ---- actions ---- */

static void forget_incarnation(Drive *d)
{
    loop_cancel(&d->drain_timer);
    loop_cancel(&d->bake_timer);
    loop_cancel(&d->start_timer);
    d->incarnation = incarnation_free(d->incarnation);
}

static void on_event(IncarnationEvent event, const char *why, void *userdata)
{
    Drive *d = userdata;
    bool quiet = d->head.state == SWAP_STEADY || d->head.state == SWAP_PREPARED;

    if (event == INCARNATION_DIED || event == INCARNATION_FAILED)
        log_line(d->log, "%s", why);
    if (d->stopping) {
        if (event == INCARNATION_DIED)
            d->spec.stopped(d->spec.userdata);
        return;
    }
    if (d->head.state == SWAP_DRAINING && event != INCARNATION_DIED)
        return; /* one that is told to end may well stop answering */
    switch (event) {
    case INCARNATION_READY:
        d->failures = 0;
        feed(d, EVENT_GATE_PASSED, NULL, NULL);
        d->spec.settled(NULL, d->spec.userdata);
        break;
    case INCARNATION_NOT_READY:
        if (d->head.state == SWAP_SERVING)
            feed(d, EVENT_ABORT, why, NULL);
        break;
    case INCARNATION_DIED:
    case INCARNATION_FAILED:
        if (quiet) {
            d->failures++;
            d->restarts++;
            d->spec.settled(why, d->spec.userdata);
        }
        if (!d->stopping)
            feed(d, event == INCARNATION_DIED ? EVENT_DIED : EVENT_ABORT, why, NULL);
        break;
    }
}

/* A candidate that is being tried reaches nobody: what it did out there no roll-back could undo. */
static int set_egress(const Drive *d, Error *e)
{
    static const char *const nobody[] = {NULL};
    const Agent *a = d->spec.agent;

    if (a->network != NETWORK_VETH)
        return 0;
    return egress_apply(d->container->netns,
                        d->head.state == SWAP_TRYING ? nobody : (const char *const *) a->network_allow, e);
}

static int start_now(Drive *d, Error *e)
{
    const Side *side = swap_licensed(&d->head);
    _cleanup_close_ int state = epoch_open(d->spec.agent_dir, side->epoch, e);
    IncarnationSpec spec = {.loop = d->spec.loop,
                            .store = d->spec.store,
                            .agent = d->spec.agent,
                            .filter = &d->filter,
                            .hold = d->spec.agent->sockets == SOCKETS_TRANSPARENT ? d->hold : NULL,
                            .generation = side->generation,
                            .state = state,
                            .event = on_event,
                            .userdata = d};
    int r;

    if (state < 0)
        return state;
    if ((r = get_container(d, e)) < 0 || (r = set_egress(d, e)) < 0)
        return r;
    spec.container = d->container;
    spec.output = log_writer(d->log);
    r = incarnation_start(&spec, &d->incarnation, e);
    if (r >= 0)
        d->since = clock_now();
    return r;
}

static void start(Drive *d)
{
    Error e = {};

    if (start_now(d, &e) >= 0)
        return;
    if (d->log)
        log_line(d->log, "%s", e.text);
    if (d->head.state == SWAP_STEADY || d->head.state == SWAP_PREPARED) {
        d->failures++;
        d->spec.settled(e.text, d->spec.userdata);
        if (d->stopping)
            return;
    }
    feed(d, d->head.state == SWAP_PREPARED ? EVENT_DIED : EVENT_ABORT, e.text, NULL);
}

static void on_start_time(uint32_t events, void *userdata)
{
    (void) events;
    start(userdata);
}

static void act_start(Drive *d)
{
    bool quiet = d->head.state == SWAP_STEADY || d->head.state == SWAP_PREPARED;
    uint64_t delay;

    if (!quiet || d->failures == 0) {
        start(d);
        return;
    }
    delay = MIN(BACKOFF_FIRST << MIN(d->failures - 1, 10U), BACKOFF_MAX);
    (void) loop_timer(d->spec.loop, clock_now() + delay, on_start_time, d, &d->start_timer);
}

static void on_drain_time(uint32_t events, void *userdata)
{
    Drive *d = userdata;

    (void) events;
    log_line(d->log, "the agent has not ended %u s after SIGTERM", d->spec.agent->gate.drain_timeout_seconds);
    (void) cgroup_kill(d->container->cgroup_agent, KILL_TIMEOUT); /* its exit is the event */
}

static void drain(Drive *d)
{
    if (!d->incarnation || incarnation_pid(d->incarnation) == 0) {
        feed(d, EVENT_DIED, "it was not running", NULL);
        return;
    }
    loop_cancel(&d->bake_timer);
    incarnation_signal(d->incarnation, SIGTERM);
    (void) loop_timer(d->spec.loop, clock_now() + d->spec.agent->gate.drain_timeout_seconds * USEC_PER_SEC,
                      on_drain_time, d, &d->drain_timer);
}

static void on_rehearsed(bool passed, const char *why, void *userdata)
{
    Drive *d = userdata;

    feed(d, passed ? EVENT_REHEARSED : EVENT_ABORT, why, NULL);
}

static void rehearse(Drive *d)
{
    RehearsalSpec spec = {
        .incarnation = {.loop = d->spec.loop,
                        .store = d->spec.store,
                        .agent = d->spec.agent,
                        .filter = &d->filter,
                        .generation = d->head.cand.generation,
                        .output = log_writer(d->log)},
        .agent_dir = d->spec.agent_dir,
        .run_dir = d->spec.run_dir,
        .epoch = d->head.cur.epoch,
        .done = on_rehearsed,
        .userdata = d,
    };
    Error e = {};

    if (!d->rehearse)
        feed(d, EVENT_REHEARSED, NULL, NULL);
    else if (rehearsal_start(&spec, &d->rehearsal, &e) < 0)
        feed(d, EVENT_ABORT, e.text, NULL);
}

static void clone_epoch(Drive *d)
{
    Error e = {};

    if (epoch_clone(d->spec.agent_dir, d->head.cur.epoch, d->head.cand.epoch, &e) < 0)
        feed(d, EVENT_ABORT, e.text, NULL);
    else
        feed(d, EVENT_CLONED, NULL, NULL);
}

static void on_baked(uint32_t events, void *userdata)
{
    (void) events;
    feed(userdata, EVENT_BAKED, NULL, NULL);
}

static void bake(Drive *d)
{
    Error e = {};

    if (set_egress(d, &e) < 0) {
        feed(d, EVENT_ABORT, e.text, NULL);
        return;
    }
    if (d->pause_start && !d->pause_end)
        d->pause_end = clock_now();
    loop_cancel(&d->bake_timer);
    (void) loop_timer(d->spec.loop, clock_now() + d->spec.agent->gate.bake_seconds * USEC_PER_SEC, on_baked, d,
                      &d->bake_timer);
}

static json_t *make_record(const Drive *d)
{
    const Head *h = &d->head;
    bool committed = h->outcome == OUTCOME_COMMITTED;
    char when[21];

    clock_iso8601(when);
    return json_pack("{s:i,s:I,s:s,s:s,s:s,s:s,s:s?,s:s,s:o,s:b,s:I}", "version", 1, "txid", (json_int_t) h->txid,
                     "time", when, "outcome", swap_outcome_name(h->outcome), "from",
                     committed ? h->prev.generation : h->cur.generation, "to",
                     committed ? h->cur.generation : h->cand.generation, "consent", d->consent[0] ? d->consent : NULL,
                     "reason", h->reason, "pause_usec",
                     d->pause_end ? json_integer((json_int_t) (d->pause_end - d->pause_start)) : json_null(),
                     "rehearsed", (int) d->rehearse, "epoch", (json_int_t) h->cur.epoch);
}

static void record(Drive *d)
{
    _cleanup_json_ json_t *line = NULL;
    Error e = {};

    if (d->head.outcome == OUTCOME_NONE)
        return;
    if (d->pause_start && !d->pause_end && d->head.state == SWAP_STEADY)
        d->pause_end = clock_now();
    line = make_record(d);
    if (!line || record_append(d->spec.agent_dir, d->head.txid, line, &e) < 0)
        snprintf(d->trouble, sizeof(d->trouble), "the swap is not recorded: %.180s", e.text);
    if (line)
        d->spec.ended(line, d->spec.userdata);
    d->pause_start = d->pause_end = 0;
    if (d->head.outcome == OUTCOME_COMMITTED)
        hold_prune(d->hold);
}

static void collect(Drive *d)
{
    Error e = {};

    if (epoch_collect(d->spec.agent_dir, &d->head, &e) < 0)
        snprintf(d->trouble, sizeof(d->trouble), "%.200s", e.text);
}

static void act(Drive *d, SwapAction action)
{
    switch (action) {
    case ACT_WRITE:
        break; /* done before */
    case ACT_REHEARSE:
        rehearse(d);
        break;
    case ACT_END_REHEARSAL:
        d->rehearsal = rehearsal_free(d->rehearsal);
        break;
    case ACT_DRAIN:
        d->pause_start = clock_now();
        d->pause_end = 0;
        drain(d);
        break;
    case ACT_KILL:
        d->rehearsal = rehearsal_free(d->rehearsal);
        kill_agent(d);
        break;
    case ACT_CLONE:
        clone_epoch(d);
        break;
    case ACT_START:
        act_start(d);
        break;
    case ACT_BAKE:
        bake(d);
        break;
    case ACT_RECORD:
        record(d);
        break;
    case ACT_COLLECT:
        collect(d);
        break;
    }
}

/* ---- events ---- */

/* Is the next shim led to the same current side by the head on disk? Then the way back does not have to wait for a disk that takes no writes. */
static bool safe_unwritten(const Head *on_disk, const Head *next)
{
    return memcmp(&on_disk->cur, &next->cur, sizeof(next->cur)) == 0 && next->state != SWAP_TRYING;
}

static int write_head(Drive *d, const SwapStep *step, const SwapEvent *event)
{
    Error e = {};
    int r = head_save(d->spec.agent_dir, &step->head, &e);

    if (r >= 0)
        return 0;
    snprintf(d->trouble, sizeof(d->trouble), "%.200s", e.text);
    if (d->log)
        log_line(d->log, "%s", e.text);
    if (event->kind == EVENT_ABORT || event->kind == EVENT_DIED)
        return safe_unwritten(&d->head, &step->head) ? 0 : r;
    return r;
}

static void step(Drive *d, const Queued *q)
{
    SwapEvent event = {.kind = q->kind, .reason = q->reason, .generation = q->generation, .boot_id = d->boot_id};
    SwapState before = d->head.state;
    SwapStep s;

    if (d->head.state == SWAP_TRYING)
        event.keep_state = epoch_same_schema(d->spec.agent_dir, d->head.cur.epoch, d->head.cand.epoch);
    else if (d->head.state == SWAP_SERVING)
        event.keep_state = epoch_same_schema(d->spec.agent_dir, d->head.prev.epoch, d->head.cur.epoch);
    if (swap_step(&d->head, &d->policy, &event, &s) < 0)
        return;
    for (size_t i = 0; i < s.n; i++)
        if (s.actions[i] == ACT_WRITE && write_head(d, &s, &event) < 0) {
            if (event.kind != EVENT_ABORT)
                feed(d, EVENT_ABORT, d->trouble, NULL);
            return;
        }
    d->head = s.head;
    if (d->head.state != before) {
        if (d->log)
            log_line(d->log, "%s%s%s", swap_state_name(d->head.state), d->head.reason[0] ? ": " : "", d->head.reason);
        d->spec.progress(swap_state_name(d->head.state), d->spec.userdata);
    }
    for (size_t i = 0; i < s.n; i++)
        act(d, s.actions[i]);
    if (d->head.state == SWAP_HALTED && before != SWAP_HALTED)
        d->spec.settled(d->head.reason, d->spec.userdata);
}

/* Events that the actions of a step give wait until the step is over. The writing of the head comes first in every step that has one. */
static void feed(Drive *d, SwapEventKind kind, const char *reason, const char *generation)
{
    Queued q = {.kind = kind};

    snprintf(q.reason, sizeof(q.reason), "%s", reason ? reason : "");
    snprintf(q.generation, sizeof(q.generation), "%s", generation ? generation : "");
    if (d->feeding) {
        if (d->n_queue < ARRAY_SIZE(d->queue))
            d->queue[d->n_queue++] = q;
        return;
    }
    d->feeding = true;
    step(d, &q);
    while (d->n_queue > 0) {
        q = d->queue[0];
        memmove(d->queue, d->queue + 1, --d->n_queue * sizeof(q));
        step(d, &q);
    }
    d->feeding = false;
}

/* ---- the outside ---- */

static int first_head(Drive *d, Error *e)
{
    _cleanup_close_ int state = epoch_open(d->spec.agent_dir, d->head.cur.epoch, e);
    int r;

    if (state < 0)
        return state;
    r = epoch_own(state, d->spec.agent->run_uid, d->spec.agent->run_gid, e);
    return r < 0 ? r : head_save(d->spec.agent_dir, &d->head, e);
}

static int prepare(Drive *d, Error *e)
{
    const HoldHooks hooks = {on_handing, on_held, d};
    bool fresh;
    int r;

    if (d->spec.agent->sockets == SOCKETS_LISTEN_FDS)
        return error_setf(e, -EOPNOTSUPP,
                          "agent %s: sockets.mode \"listen-fds\" needs addresses to listen on, which "
                          "agent.json cannot name; use \"transparent\"",
                          d->spec.agent->name);
    if ((r = head_boot_id(d->boot_id, e)) < 0 || (r = head_load(d->spec.agent_dir, &d->head, &fresh, e)) < 0 ||
        (r = seccomp_profile("box", &d->filter, e)) < 0)
        return r;
    if (fresh && (r = first_head(d, e)) < 0)
        return r;
    if ((r = hold_new(&hooks, &d->hold)) < 0)
        return error_errnof(e, r, "hold");
    rehearsal_clean(d->spec.agent->name, d->spec.agent_dir);
    return get_container(d, e);
}

int drive_new(const DriveSpec *spec, Drive **ret, Error *e)
{
    Drive *d = calloc(1, sizeof(*d));
    int r;

    if (!d)
        return -ENOMEM;
    d->spec = *spec;
    d->policy = (SwapPolicy){spec->agent->gate.bake_max_restarts, RECOVERIES_MAX};
    r = prepare(d, e);
    if (r < 0) {
        drive_free(d);
        return r;
    }
    *ret = d;
    return 0;
}

Drive *drive_free(Drive *d)
{
    if (!d)
        return NULL;
    forget_incarnation(d);
    rehearsal_free(d->rehearsal);
    hold_free(d->hold);
    log_free(d->log);
    container_free(d->container);
    seccomp_filter_done(&d->filter);
    free(d);
    return NULL;
}

void drive_recover(Drive *d)
{
    feed(d, EVENT_RECOVER, NULL, NULL);
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

int drive_swap(Drive *d, const SwapRequest *request, Error *e)
{
    SwapEvent probe = {.kind = EVENT_REQUEST, .generation = request->generation};
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
    if (!d->incarnation || !incarnation_ready(d->incarnation))
        return error_setf(e, -EAGAIN,
                          "the agent is not ready: a swap could not tell the candidate's fault from its own");
    snprintf(d->consent, sizeof(d->consent), "%s", request->consent ? request->consent : "");
    d->rehearse = request->rehearse;
    d->pause_start = d->pause_end = 0;
    feed(d, EVENT_REQUEST, NULL, request->generation);
    if (d->head.state == SWAP_STEADY && d->head.outcome == OUTCOME_NONE)
        return error_setf(e, -EIO, "%s", d->trouble);
    return 0;
}

int drive_rollback(Drive *d, Error *e)
{
    SwapRequest back = {.generation = d->head.prev.generation, .rehearse = true};
    int r;

    switch (d->head.state) {
    case SWAP_PREPARED:
    case SWAP_DRAINING:
    case SWAP_TRYING:
    case SWAP_SERVING:
        feed(d, EVENT_ABORT, "rolled back by the operator", NULL);
        return 1;
    case SWAP_STEADY:
        if (!d->head.prev.generation[0])
            return error_setf(e, -ENOENT, "there is no generation to go back to");
        r = drive_swap(d, &back, e);
        return r < 0 ? r : 0;
    case SWAP_ROLLING_BACK:
    case SWAP_HALTED:
    case SWAP_STATES:
        break;
    }
    return error_setf(e, -EBUSY, "cannot roll back in state %s", swap_state_name(d->head.state));
}

int drive_resume(Drive *d, Error *e)
{
    if (d->head.state != SWAP_HALTED)
        return error_setf(e, -EINVAL, "the agent is not halted: %s", swap_state_name(d->head.state));
    d->failures = 0;
    feed(d, EVENT_RESUME, NULL, NULL);
    return 0;
}

void drive_stop(Drive *d)
{
    d->stopping = true;
    loop_cancel(&d->start_timer);
    if (d->incarnation && incarnation_pid(d->incarnation) > 0)
        drain(d);
    else
        d->spec.stopped(d->spec.userdata);
}

void drive_destroy(Drive *d)
{
    d->rehearsal = rehearsal_free(d->rehearsal);
    kill_agent(d);
    if (d->log)
        log_drain(d->log);
    if (d->container)
        (void) container_destroy(d->container, NULL);
}

const Head *drive_head(const Drive *d)
{
    return &d->head;
}

void drive_log(Drive *d, const char *text)
{
    if (d->log)
        log_line(d->log, "%s", text);
}

json_t *drive_status(const Drive *d)
{
    const Head *h = &d->head;
    const Side *side = swap_licensed(h);
    json_t *last = NULL, *listeners = hold_to_json(d->hold);
    uint64_t refused = 0;
    const char *trouble = d->trouble[0] ? d->trouble : hold_trouble(d->hold);

    if (record_last(d->spec.agent_dir, &last, NULL) < 0)
        last = json_null();
    if (d->spec.agent->network == NETWORK_VETH && d->container)
        (void) egress_refused(d->container->netns, &refused, NULL);
    return json_pack("{s:b,s:s,s:s,s:I,s:s?,s:i,s:i,s:I,s:b,s:o,s:o,s:s,s:s,s:b,s:I}", "ok", 1, "state",
                     swap_state_name(h->state), "generation", side->generation, "epoch", (json_int_t) side->epoch,
                     "previous", h->prev.generation[0] ? h->prev.generation : NULL, "pid",
                     d->incarnation ? (int) incarnation_pid(d->incarnation) : 0, "restarts", (int) d->restarts,
                     "uptime_usec", (json_int_t) (d->since ? clock_now() - d->since : 0), "ready",
                     (int) (d->incarnation && incarnation_pid(d->incarnation) && incarnation_ready(d->incarnation)),
                     "listeners", listeners, "last_swap", last, "reason", h->reason, "trouble", trouble,
                     "memory_limited", (int) cgroup_has(d->container ? d->container->cgroup_agent : -1, "memory"),
                     "egress_refused", (json_int_t) refused);
}
