/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/box/cgroup.h"

#include <linux/sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <setjmp.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"

typedef struct Place {
    int base;
    char name[40];
} Place;

static int setup(void **state)
{
    static Place place;
    Error e = {};

    place.base = cgroup_open_base(&e);
    if (place.base == -EOPNOTSUPP) {
        print_message("no cgroup2 that we may write: skipped\n");
        *state = NULL;
        return 0;
    }
    snprintf(place.name, sizeof(place.name), "test-cgroup-%d", (int) getpid());
    *state = &place;
    return place.base < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    Place *p = *state;
    int r = p ? cgroup_remove(p->base, p->name, NULL) : 0;

    if (p)
        fd_closep(&p->base);
    return r;
}

static Place *place_of(void **state)
{
    if (!*state)
        skip();
    return *state;
}

/* A child that is born in `cgroup` and sleeps until it is killed. */
static pid_t sleeper(int cgroup)
{
    struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t) cgroup};
    pid_t pid = (pid_t) syscall(SYS_clone3, &args, sizeof(args));

    if (pid == 0)
        for (;;)
            pause();
    assert_true(pid > 0);
    return pid;
}

static void several_levels_are_made_and_removed_at_once(void **state)
{
    Place *p = place_of(state);
    _cleanup_close_ int leaf = -EBADF;
    char path[64];
    Error e = {};

    snprintf(path, sizeof(path), "%s/a/b", p->name);
    leaf = cgroup_make(p->base, path, &e);
    assert_true(leaf >= 0);
    assert_int_equal(cgroup_remove(p->base, p->name, &e), 0);
    assert_int_equal(openat(p->base, p->name, O_PATH), -1);
}

static void making_it_twice_opens_it(void **state)
{
    Place *p = place_of(state);
    _cleanup_close_ int one = cgroup_make(p->base, p->name, NULL), two = cgroup_make(p->base, p->name, NULL);

    assert_true(one >= 0 && two >= 0);
}

static void paths_that_leave_the_parent_are_refused(void **state)
{
    Place *p = place_of(state);
    static const char *const bad[] = {"..", ".", "test-escape/../../b", "", "/"};
    Error e = {};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(cgroup_make(p->base, bad[i], &e), -EINVAL);
    assert_int_equal(openat(p->base, "test-escape", O_PATH), -1);
}

static void kill_ends_everything_below_and_proves_it(void **state)
{
    Place *p = place_of(state);
    _cleanup_close_ int top = -EBADF, leaf = -EBADF;
    uint64_t populated = 7;
    pid_t pids[3];

    top = cgroup_make(p->base, p->name, NULL);
    assert_true(top >= 0);
    leaf = cgroup_make(top, "leaf", NULL);
    assert_true(leaf >= 0);
    for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
        pids[i] = sleeper(leaf);
    assert_int_equal(cgroup_get(top, "cgroup.events", "populated", &populated), 0);
    assert_int_equal(populated, 1);
    assert_int_equal(cgroup_kill(top, 10 * USEC_PER_SEC), 0);
    assert_int_equal(cgroup_get(top, "cgroup.events", "populated", &populated), 0);
    assert_int_equal(populated, 0);
    for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
        int status;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
}

static void removing_kills_first(void **state)
{
    Place *p = place_of(state);
    _cleanup_close_ int top = cgroup_make(p->base, p->name, NULL);
    pid_t pid = sleeper(top);
    int status;

    assert_int_equal(cgroup_remove(p->base, p->name, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

/* Makes cgroups below it, until it is gone or 300 are made. */
static pid_t late_maker(int cgroup)
{
    pid_t pid = fork();

    if (pid == 0) {
        for (unsigned i = 0; i < 300; i++) {
            char name[16];

            snprintf(name, sizeof(name), "late-%u", i);
            if (mkdirat(cgroup, name, 0755) < 0)
                break;
        }
        _exit(0);
    }
    assert_true(pid > 0);
    return pid;
}

static void removing_outlasts_who_still_adds_to_it(void **state)
{
    Place *p = place_of(state);
    _cleanup_close_ int top = cgroup_make(p->base, p->name, NULL);
    pid_t maker = late_maker(top);
    Error e = {};

    while (faccessat(top, "late-3", F_OK, 0) < 0)
        usleep(100);
    if (cgroup_remove(p->base, p->name, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(waitpid(maker, NULL, 0), maker);
    assert_int_equal(openat(p->base, p->name, O_PATH), -1);
}

static void removing_what_is_missing_succeeds(void **state)
{
    Place *p = place_of(state);

    assert_int_equal(cgroup_remove(p->base, "never-there", NULL), 0);
}

static void a_refused_value_is_named(void **state)
{
    Place *p = place_of(state);
    _cleanup_close_ int top = cgroup_make(p->base, p->name, NULL);
    Error e = {};

    assert_true(cgroup_set(top, "cgroup.freeze", "perhaps", &e) < 0);
    assert_non_null(strstr(e.text, "perhaps"));
    assert_non_null(strstr(e.text, "cgroup.freeze"));
    assert_int_equal(cgroup_set(top, "no.such.file", "1", &e), -ENOENT);
    assert_non_null(strstr(e.text, "no.such.file"));
}

static void numbers_are_read_single_and_by_key(void **state)
{
    Place *p = place_of(state);
    _cleanup_close_ int top = cgroup_make(p->base, p->name, NULL);
    uint64_t v = 0;

    assert_int_equal(cgroup_get(top, "cgroup.max.depth", NULL, &v), 0);
    assert_true(v == UINT64_MAX);
    assert_int_equal(cgroup_get(top, "cgroup.freeze", NULL, &v), 0);
    assert_int_equal(v, 0);
    assert_int_equal(cgroup_get(top, "cgroup.events", "frozen", &v), 0);
    assert_int_equal(cgroup_get(top, "cgroup.events", "froz", &v), -ENODATA);
    assert_int_equal(cgroup_get(top, "no.such.file", NULL, &v), -ENOENT);
}

static void a_controller_that_is_not_there_is_not_claimed(void **state)
{
    Place *p = place_of(state);
    _cleanup_close_ int top = cgroup_make(p->base, p->name, NULL);

    assert_false(cgroup_has(top, "no-such-controller"));
    assert_false(cgroup_has(top, "me"));
    assert_int_equal(cgroup_has(top, "memory"), faccessat(top, "memory.max", F_OK, 0) == 0);
}

/* Plain files in place of the kernel's, as there need be no controller here that could be passed on. */
static bool passes_on(const char *type, const char *processes)
{
    char path[] = "/tmp/test-cgroup-XXXXXX", given[16] = "";
    const struct {
        const char *name, *content;
    } files[] = {{"cgroup.controllers", "cpu"},
                 {"cgroup.subtree_control", ""},
                 {"cgroup.procs", processes},
                 {"cgroup.type", type}};
    _cleanup_close_ int parent = mkdtemp(path) ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1, child = -EBADF;

    assert_true(parent >= 0);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (files[i].content)
            assert_int_equal(file_write_at(parent, files[i].name, files[i].content, strlen(files[i].content), 0600, 0),
                             0);
    child = cgroup_make(parent, "child", NULL);
    assert_true(child >= 0);
    {
        _cleanup_close_ int fd = openat(parent, "cgroup.subtree_control", O_RDONLY | O_CLOEXEC);

        assert_true(read(fd, given, sizeof(given) - 1) >= 0);
    }
    assert_int_equal(rm_rf_at(AT_FDCWD, path), 0);
    return streq(given, "+cpu");
}

static void a_cgroup_with_processes_passes_nothing_on_unless_it_is_the_root(void **state)
{
    (void) state;
    assert_true(passes_on("domain", ""));
    assert_false(passes_on("domain", "7"));
    assert_true(passes_on(NULL, "7"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(several_levels_are_made_and_removed_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(making_it_twice_opens_it, setup, teardown),
        cmocka_unit_test_setup_teardown(paths_that_leave_the_parent_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(kill_ends_everything_below_and_proves_it, setup, teardown),
        cmocka_unit_test_setup_teardown(removing_kills_first, setup, teardown),
        cmocka_unit_test_setup_teardown(removing_outlasts_who_still_adds_to_it, setup, teardown),
        cmocka_unit_test_setup_teardown(removing_what_is_missing_succeeds, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_value_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_are_read_single_and_by_key, setup, teardown),
        cmocka_unit_test_setup_teardown(a_controller_that_is_not_there_is_not_claimed, setup, teardown),
        cmocka_unit_test(a_cgroup_with_processes_passes_nothing_on_unless_it_is_the_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
