/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include "clock.h"
#include "fd.h"

struct LoopSource {
    Loop *loop;
    LoopSource *next;
    LoopSource **owner; /* where its maker keeps it: cleared when it is over; may be NULL */
    int fd;             /* < 0: a timer */
    uint64_t deadline;  /* of a timer */
    LoopHandler handler;
    void *userdata;
    bool dead;
};

/* Cancelled sources stay in the list, marked dead, until no handler can refer to them any more: between two rounds. */
struct Loop {
    int epoll;
    LoopSource *sources;
    bool quit;
    int result;
};

int loop_new(Loop **ret)
{
    Loop *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return -ENOMEM;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0) {
        int r = -errno;

        free(loop);
        return r;
    }
    *ret = loop;
    return 0;
}

static void sweep(Loop *loop, bool all)
{
    LoopSource **p = &loop->sources;

    while (*p) {
        LoopSource *s = *p;

        if (s->dead || all) {
            *p = s->next;
            free(s);
        } else
            p = &s->next;
    }
}

Loop *loop_free(Loop *loop)
{
    if (loop) {
        sweep(loop, true);
        close(loop->epoll);
        free(loop);
    }
    return NULL;
}

static int source_new(Loop *loop, LoopHandler handler, void *userdata, LoopSource **owner, LoopSource **ret)
{
    LoopSource *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    *s = (LoopSource){loop, loop->sources, owner, -EBADF, UINT64_MAX, handler, userdata};
    loop->sources = s;
    *ret = s;
    return 0;
}

int loop_watch(Loop *loop, int fd, uint32_t events, LoopHandler handler, void *userdata, LoopSource **ret)
{
    struct epoll_event ev = {.events = events};
    LoopSource *s;
    int r = source_new(loop, handler, userdata, ret, &s);

    if (r < 0)
        return r;
    ev.data.ptr = s;
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
        r = -errno;
        s->dead = true;
        return r;
    }
    s->fd = fd;
    if (ret)
        *ret = s;
    return 0;
}

int loop_timer(Loop *loop, uint64_t deadline, LoopHandler handler, void *userdata, LoopSource **ret)
{
    LoopSource *s;
    int r = source_new(loop, handler, userdata, ret, &s);

    if (r < 0)
        return r;
    s->deadline = deadline;
    if (ret)
        *ret = s;
    return 0;
}

void loop_cancel(LoopSource **source)
{
    LoopSource *s = *source;

    *source = NULL;
    if (!s || s->dead)
        return;
    if (s->fd >= 0)
        epoll_ctl(s->loop->epoll, EPOLL_CTL_DEL, s->fd, NULL);
    s->dead = true;
}

static uint64_t next_deadline(const Loop *loop)
{
    uint64_t first = UINT64_MAX;

    for (const LoopSource *s = loop->sources; s; s = s->next)
        if (!s->dead)
            first = MIN(first, s->deadline);
    return first;
}

static void fire_timers(Loop *loop)
{
    uint64_t now = clock_now();

    /* New sources go to the front of the list: what a handler adds fires in the next round. */
    for (LoopSource *s = loop->sources; s && !loop->quit; s = s->next)
        if (!s->dead && s->fd < 0 && s->deadline <= now) {
            s->dead = true;
            if (s->owner)
                *s->owner = NULL;
            s->handler(0, s->userdata);
        }
}

int loop_run(Loop *loop)
{
    loop->quit = false;
    while (!loop->quit) {
        struct epoll_event events[16];
        int n;

        sweep(loop, false);
        n = epoll_wait(loop->epoll, events, ARRAY_SIZE(events), clock_poll_timeout(next_deadline(loop)));
        if (n < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < n && !loop->quit; i++) {
            LoopSource *s = events[i].data.ptr;

            if (!s->dead)
                s->handler(events[i].events, s->userdata);
        }
        if (!loop->quit)
            fire_timers(loop);
    }
    return loop->result;
}

void loop_quit(Loop *loop, int result)
{
    loop->quit = true;
    loop->result = result;
}
