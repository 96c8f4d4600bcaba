/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/loop.h"

#include <unistd.h>

#include "runtime/base/clock.h"
#include "tests/unit/test.h"

typedef struct Fixture {
    Loop *loop;
    LoopSource *timer, *other;
    char order[8];
} Fixture;

static void note(Fixture *f, char c)
{
    f->order[strlen(f->order)] = c;
}

static void on_first(uint32_t events, void *userdata)
{
    Fixture *f = userdata;

    assert_int_equal(events, 0);
    assert_null(f->timer);
    note(f, 'a');
    loop_cancel(&f->other);
}

static void on_never(uint32_t events, void *userdata)
{
    (void) events;
    note(userdata, 'x');
}

static void on_last(uint32_t events, void *userdata)
{
    Fixture *f = userdata;

    (void) events;
    note(f, 'z');
    loop_quit(f->loop, 7);
}

TEST(timers_fire_in_order_and_a_cancelled_one_never)
{
    _cleanup_(loop_freep) Loop *loop = NULL;
    Fixture f = {};

    assert_int_equal(loop_new(&loop), 0);
    f.loop = loop;
    assert_int_equal(loop_timer(loop, clock_now() + 3000, on_last, &f, NULL), 0);
    assert_int_equal(loop_timer(loop, clock_now() + 2000, on_never, &f, &f.other), 0);
    assert_int_equal(loop_timer(loop, 0, on_first, &f, &f.timer), 0);
    assert_int_equal(loop_run(loop), 7);
    assert_string_equal(f.order, "az");
    assert_null(f.other);
}

static void on_readable(uint32_t events, void *userdata)
{
    Fixture *f = userdata;

    assert_true(events & EPOLLIN);
    note(f, 'r');
    loop_cancel(&f->other);
    loop_quit(f->loop, 0);
}

TEST(a_watched_fd_calls_until_it_is_cancelled)
{
    _cleanup_(loop_freep) Loop *loop = NULL;
    Fixture f = {};
    int p[2];

    assert_int_equal(pipe(p), 0);
    assert_int_equal(loop_new(&loop), 0);
    f.loop = loop;
    assert_int_equal(loop_watch(loop, p[0], EPOLLIN, on_readable, &f, &f.other), 0);
    assert_int_equal(write(p[1], "x", 1), 1);
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(loop_timer(loop, clock_now() + 1000, on_last, &f, NULL), 0);
    assert_int_equal(loop_run(loop), 7); /* still readable, no longer watched */
    assert_string_equal(f.order, "rz");
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(timers_fire_in_order_and_a_cancelled_one_never),
        UNIT(a_watched_fd_calls_until_it_is_cancelled),
    };

    return RUN_TESTS(tests);
}
