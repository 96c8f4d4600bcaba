/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/device-filter.h"

#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

#include "runtime/box/cgroup.h"
#include "tests/unit/test.h"

static void ignore(int sig)
{
    (void) sig;
}

/* As many as a machine can stand, so that some come while the kernel looks at the program. */
TEST(signals_that_come_meanwhile_do_not_matter)
{
    _cleanup_close_ int base = geteuid() == 0 ? cgroup_open_base(NULL) : -EPERM, cgroup = -EBADF;
    const struct sigaction handler = {.sa_handler = ignore, .sa_flags = SA_RESTART};
    const struct itimerval often = {{0, 20}, {0, 20}}, never = {};
    json_t *rules = json_array();
    char name[40];
    Error e = {};

    if (base < 0) {
        json_decref(rules);
        skip();
    }
    snprintf(name, sizeof(name), "test-device-filter-%d", (int) getpid());
    cgroup = cgroup_make(base, name, &e);
    assert_true(cgroup >= 0);
    for (int i = 0; i < 300; i++)
        json_array_append_new(rules, json_pack("{s:b,s:s,s:i,s:i,s:s}", "allow", i % 2, "type", "c", "major", i,
                                               "minor", i, "access", "rwm"));
    assert_int_equal(sigaction(SIGALRM, &handler, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    for (int i = 0; i < 200 && e.code == 0; i++)
        (void) device_filter_apply(cgroup, rules, &e);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(cgroup_remove(base, name, NULL), 0);
    json_decref(rules);
    assert_string_equal(e.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(signals_that_come_meanwhile_do_not_matter),
    };

    return RUN_TESTS(tests);
}
