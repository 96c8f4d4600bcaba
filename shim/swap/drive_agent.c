/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <signal.h>

#include "carry.h"
#include "drive_internal.h"
#include "engine.h"
#include "epoch.h"
#include "pivot.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/process.h"
#include "runtime/box/cgroup.h"
#include "runtime/box/egress.h"
#include "shim/init/protocol.h"

#define END_TIMEOUT (10 * USEC_PER_SEC)
#define BACKOFF_FIRST (200 * USEC_PER_MSEC)
#define BACKOFF_MAX (30 * USEC_PER_SEC)

/* ---- container ---- */

static ContainerSpec container_spec(const Drive *d, const char *name)
{
    const Agent *a = d->spec.agent;

    return (ContainerSpec){
        .name = name, .hostname = a->name, .network = a->network, .address = a->network_address, .engine = d->engine};
}

bool drive_exists(const Agent *agent, int agent_dir, int run_dir)
{
    _cleanup_free_ char *engine = NULL;
    char name[64];

    if (agent->network == NETWORK_ENGINE)
        return engine_recall(run_dir, &engine, NULL) >= 0;
    return container_name("kept", agent->name, agent_dir, name, NULL) >= 0 && container_exists(name);
}

/* What moss-init kept besides the sockets. */
typedef struct Taken {
    Drive *drive;
    IncarnationKept incarnation;
    int memory, log;
} Taken;

static void take_kept(unsigned tag, int fd, void *userdata)
{
    Taken *t = userdata;
    int *to = tag == INIT_TAG_AGENT    ? &t->incarnation.pidfd
              : tag == INIT_TAG_CALLS  ? &t->incarnation.calls
              : tag == INIT_TAG_NOTIFY ? &t->incarnation.notify
              : tag == INIT_TAG_MEMORY ? &t->memory
              : tag == INIT_TAG_LOG    ? &t->log
                                       : NULL;

    if (to) {
        fd_closep(to);
        *to = fd;
    } else
        hold_adopt(t->drive->hold, tag, fd);
}

static void taken_done(Taken *t)
{
    fd_closep(&t->incarnation.pidfd);
    fd_closep(&t->incarnation.calls);
    fd_closep(&t->incarnation.notify);
    fd_closep(&t->memory);
    fd_closep(&t->log);
}

static bool runs(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    return pidfd >= 0 && poll(&p, 1, 0) == 0;
}

/* The first process's end ends the others before it is told of itself: an agent's that was seen may be part of it. */
static bool container_runs(const Container *c)
{
    struct pollfd p = {.fd = c->pidfd, .events = POLLIN};
    char root[40];

    if (!runs(c->pidfd))
        return false;
    snprintf(root, sizeof(root), "/proc/%d/root", (int) c->pid);
    return access(root, F_OK) == 0 || poll(&p, 1, (int) (END_TIMEOUT / USEC_PER_MSEC)) == 0;
}

static IncarnationSpec incarnation_spec(Drive *d, const Side *side);

/* Only the very process that was started for what the head licenses now, which nobody told to end. A pidfd cannot come to mean another one; the leaf says that
 * it is one that a kill of the incarnation would reach. */
static bool may_run_on(const Drive *d, const Taken *t)
{
    const Side *side = swap_licensed(&d->head);
    const Memory *m = d->memory;
    pid_t pid;

    return swap_adopts(&d->head) && runs(t->incarnation.pidfd) && pidfd_pid(t->incarnation.pidfd, &pid) >= 0 &&
           container_is_agent(d->container, pid) && streq(m->generation, side->generation) && m->epoch == side->epoch &&
           !m->drained && m->network == d->spec.agent->network;
}

static int adopt_agent(Drive *d, Taken *t, Error *e)
{
    IncarnationSpec spec = incarnation_spec(d, swap_licensed(&d->head));
    int r, status;

    if (!may_run_on(d, t)) {
        if (t->incarnation.pidfd >= 0 && !runs(t->incarnation.pidfd) &&
            container_exit_status(d->container, &status) >= 0)
            log_line(d->log, "while no shim was there the agent ended with status %d", wait_status_code(status));
        return 0;
    }
    r = incarnation_adopt(&spec, &t->incarnation, &d->incarnation, e);
    if (r < 0)
        return r;
    d->adopted = true;
    log_line(d->log, "takes over the agent, process %d", (int) incarnation_pid(d->incarnation));
    return 0;
}

/* Of the container of an earlier shim, or none. What cannot be asked is left alone: the agent may well be in it. */
static int adopt_container(Drive *d, const ContainerSpec *spec, Taken *taken, Error *e)
{
    int r = container_adopt(spec, d->spec.run_dir, &d->container, e);

    if (r == -ENOENT)
        return 0;
    if (r >= 0 && (r = container_kept(d->container, take_kept, taken)) < 0)
        error_errnof(e, r, "container %s: moss-init", spec->name);
    return r;
}

static int open_log_and_memory(Drive *d, Taken *taken, Error *e)
{
    int r;

    if (!d->log && (r = log_new(d->spec.loop, d->spec.agent_dir, TAKE_FD(taken->log), &d->log)) < 0)
        return error_errnof(e, r, "log");
    if (!d->memory && (r = memory_open(TAKE_FD(taken->memory), &d->memory, &d->memory_fd)) < 0)
        return error_errnof(e, r, "memory");
    if ((r = container_keep(d->container, INIT_TAG_LOG, log_reader(d->log))) < 0 ||
        (r = container_keep(d->container, INIT_TAG_MEMORY, d->memory_fd)) < 0)
        return error_errnof(e, r, "moss-init");
    return 0;
}

/* ---- an engine's container ---- */

static void on_signal(int sig, void *userdata)
{
    Drive *d = userdata;

    if (sig == SIGTERM || sig == SIGINT || sig == SIGQUIT || sig == SIGPWR || sig == SIGRTMIN + 3) {
        log_line(d->log, "the container is to end: signal %d", sig);
        if (!d->stopping)
            drive_stop(d);
    } else if (d->incarnation)
        incarnation_signal(d->incarnation, sig);
}

static void on_container_end(void *userdata)
{
    Drive *d = userdata;

    d->stopping = true;
    d->spec.stopped(d->spec.userdata);
}

/* The first time that we see this one, the engine's mounts are all there is in it. */
static int check_mounts(const Drive *d, Error *e)
{
    _cleanup_close_ int fd = carry_open(d->container->pid, e);
    _cleanup_(carry_done) Carry carry = {};
    int r = fd < 0 ? fd : carry_list(fd, &carry, e);

    return r < 0 ? r : carry_check(&carry, d->spec.agent->state_path, e);
}

/* Which container: the one that was just started, or that of an earlier shim. */
int drive_find_engine(Drive *d, Error *e)
{
    const char *name = d->spec.agent->name;
    int r;

    if (d->spec.engine && d->spec.agent->network != NETWORK_ENGINE)
        return error_setf(
            e, -EPERM,
            "agent.json of \"%s\" does not let an engine's container have it: network.mode is not \"engine\"", name);
    if (d->spec.engine) {
        d->engine = strdup(d->spec.engine);
        return d->engine ? 0 : error_errnof(e, -ENOMEM, "agent %s", name);
    }
    r = engine_recall(d->spec.run_dir, &d->engine, e);
    return r == -ENOENT
               ? error_setf(
                     e, r,
                     "agent \"%s\" lives in an engine's container, as network.mode is \"engine\": it starts with that",
                     name)
               : r;
}

static int open_engine(Drive *d, Taken *taken, Error *e)
{
    const ContainerHooks hooks = {on_signal, on_container_end, d};
    ContainerSpec spec = container_spec(d, d->spec.agent->name);
    int r = container_adopt(&spec, d->spec.run_dir, &d->container, e);

    if (r == -ENOENT || r == -ESRCH)
        engine_forget(d->spec.run_dir);
    if (r < 0)
        return r;
    if (d->spec.engine && (r = check_mounts(d, e)) < 0)
        return r;
    r = container_watch(d->container, d->spec.loop, &hooks);
    if (r >= 0)
        r = container_kept(d->container, take_kept, taken);
    return r < 0 ? error_errnof(e, r, "moss-init") : engine_remember(d->spec.run_dir, d->engine, e);
}

static int open_own(Drive *d, Taken *taken, Error *e)
{
    char name[64];
    ContainerSpec spec = container_spec(d, name);
    int r = container_name("kept", d->spec.agent->name, d->spec.agent_dir, name, e);

    if (r < 0)
        return r;
    if (d->container) {
        d->container = container_free(d->container);
        fd_closep(&d->root); /* its ids are those of that one */
        if (d->spec.agent->network != NETWORK_HOST)
            hold_clear(d->hold);
    } else if ((r = adopt_container(d, &spec, taken, e)) < 0)
        return r;
    d->found = d->container != NULL;
    if (d->found)
        return 0;
    r = container_make(&spec, d->spec.run_dir, &d->container, e);
    if (r >= 0)
        hold_tell(d->hold);
    return r;
}

int drive_open_container(Drive *d, Error *e)
{
    _cleanup_(taken_done) Taken taken = {d, {-EBADF, -EBADF, -EBADF}, -EBADF, -EBADF};
    int r;

    if (d->container && container_runs(d->container))
        return 0;
    if (d->engine && d->container)
        return error_setf(e, -ESRCH, "the container has ended");
    r = d->engine ? open_engine(d, &taken, e) : open_own(d, &taken, e);
    if (r >= 0)
        r = open_log_and_memory(d, &taken, e);
    return r < 0 ? r : adopt_agent(d, &taken, e);
}

/* A candidate that is being tried reaches nobody: what it did out there no roll-back could undo. */
int drive_set_egress(const Drive *d, Error *e)
{
    static const char *const nobody[] = {NULL};
    const Agent *a = d->spec.agent;

    if (a->network != NETWORK_VETH)
        return 0;
    return egress_apply(d->container->netns,
                        d->head.state == SWAP_TRYING ? nobody : (const char *const *) a->network_allow, e);
}

/* ---- the end ---- */

void drive_forget_agent(Drive *d)
{
    loop_cancel(&d->bake_timer);
    loop_cancel(&d->start_timer);
    d->incarnation = incarnation_free(d->incarnation);
}

void drive_kill_agent(Drive *d)
{
    Error e = {};

    drive_forget_agent(d);
    if (d->container && container_clear(d->container, &d->container->cgroup_agent, &e) < 0)
        drive_set_trouble(d, e.text);
}

void drive_drain_agent(Drive *d)
{
    if (!d->incarnation || incarnation_pid(d->incarnation) == 0) {
        drive_feed(d, EVENT_DIED, "it was not running");
        return;
    }
    loop_cancel(&d->bake_timer);
    incarnation_drain(d->incarnation);
    hold_wait(d->hold);
}

/* ---- what happens to it ---- */

/* No swap has touched cur yet: it is kept running, with more and more patience. */
static bool untouched(const Drive *d)
{
    return d->head.state == SWAP_STEADY || d->head.state == SWAP_PREPARED;
}

/* For the record of the swap. */
static void note_probes(Drive *d, IncarnationEvent event)
{
    if (event == INCARNATION_NOT_READY || event == INCARNATION_FAILED)
        drive_set_blame(d, incarnation_blame(d->incarnation));
    if (event == INCARNATION_READY && d->head.state == SWAP_TRYING) {
        json_decref(d->unmet);
        d->unmet = incarnation_unmet(d->incarnation);
    }
}

/* What ends with its engine's container has not failed: on_container_end() is next, and the next start goes on from what the head says. */
static bool gone_with_container(const Drive *d)
{
    return d->engine && !container_runs(d->container);
}

static void on_event(IncarnationEvent event, const char *why, void *userdata)
{
    Drive *d = userdata;

    if (event == INCARNATION_DIED || event == INCARNATION_FAILED || event == INCARNATION_OVERDUE)
        log_line(d->log, "%s", why);
    if (event == INCARNATION_DIED && gone_with_container(d))
        return;
    if (d->stopping) {
        if (event == INCARNATION_DIED)
            d->spec.stopped(d->spec.userdata);
        return;
    }
    if (d->head.state == SWAP_DRAINING && event != INCARNATION_DIED)
        return; /* one that is told to end may well stop answering */
    note_probes(d, event);
    switch (event) {
    case INCARNATION_OVERDUE:
        break;
    case INCARNATION_READY:
        d->failures = 0;
        hold_ready(d->hold);
        container_settle(d->container);
        drive_feed(d, EVENT_GATE_PASSED, NULL);
        d->spec.settled(NULL, d->spec.userdata);
        break;
    case INCARNATION_NOT_READY:
        if (d->head.state == SWAP_SERVING)
            drive_feed(d, EVENT_ABORT, why);
        else
            d->spec.settled(NULL, d->spec.userdata); /* one that was taken over; it runs, ready or not */
        break;
    case INCARNATION_DIED:
    case INCARNATION_FAILED:
        if (untouched(d)) {
            d->failures++;
            d->memory->restarts++;
            if (!d->adopted)
                d->spec.settled(why, d->spec.userdata);
            d->adopted = false; /* what is started now is this shim's own */
        }
        if (!d->stopping)
            drive_feed(d, event == INCARNATION_DIED ? EVENT_DIED : EVENT_ABORT, why);
        break;
    }
}

/* ---- the start ---- */

static IncarnationSpec incarnation_spec(Drive *d, const Side *side)
{
    return (IncarnationSpec){.loop = d->spec.loop,
                             .container = d->container,
                             .store = d->spec.store,
                             .agent = d->spec.agent,
                             .filter = &d->filter,
                             .hold = d->spec.agent->sockets != SOCKETS_NONE ? d->hold : NULL,
                             .memory = d->memory,
                             .generation = side->generation,
                             .epoch = side->epoch,
                             .candidate = d->head.state == SWAP_TRYING,
                             .root = -EBADF,
                             .state = -EBADF,
                             .output = log_writer(d->log),
                             .event = on_event,
                             .userdata = d};
}

void drive_make_root(Drive *d)
{
    IncarnationSpec spec = incarnation_spec(d, &d->head.cand);

    fd_closep(&d->root);
    d->root = incarnation_root(&spec, NULL);
}

static int start_now(Drive *d, Error *e)
{
    const Side *side = swap_licensed(&d->head);
    _cleanup_close_ int state = epoch_open(d->spec.agent_dir, side->epoch, e), root = -EBADF;
    IncarnationSpec spec;
    int r;

    if (state < 0)
        return state;
    if ((r = drive_open_container(d, e)) < 0 || (r = drive_set_egress(d, e)) < 0)
        return r;
    spec = incarnation_spec(d, side);
    spec.state = state;
    root = TAKE_FD(d->root);
    if (d->head.state == SWAP_TRYING)
        spec.root = root;
    return incarnation_start(&spec, &d->incarnation, e);
}

static void start(Drive *d)
{
    Error e = {};

    if (start_now(d, &e) >= 0)
        return;
    log_line(d->log, "%s", e.text);
    if (gone_with_container(d))
        return;
    if (untouched(d)) {
        d->failures++;
        d->spec.settled(e.text, d->spec.userdata);
        if (d->stopping)
            return;
    }
    drive_feed(d, d->head.state == SWAP_PREPARED ? EVENT_DIED : EVENT_ABORT, e.text);
}

static void on_start_time(uint32_t events, void *userdata)
{
    (void) events;
    start(userdata);
}

void drive_start_agent(Drive *d)
{
    uint64_t delay;

    if (!untouched(d) || d->failures == 0) {
        start(d);
        return;
    }
    delay = MIN(BACKOFF_FIRST << MIN(d->failures - 1, 10U), BACKOFF_MAX);
    (void) loop_timer(d->spec.loop, clock_now() + delay, on_start_time, d, &d->start_timer);
}
