/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/apart.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>

#include "runtime/base/fd.h"
#include "tests/unit/test.h"

static void look(void *userdata)
{
    int *dumpable = userdata;

    *dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
}

static void open_null(void *userdata)
{
    int *fd = userdata;

    *fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void go_elsewhere(void *userdata)
{
    pid_t *pid = userdata;

    *pid = chdir("/") < 0 ? -1 : getpid();
}

static void die(void *userdata)
{
    (void) userdata;
    raise(SIGKILL);
}

static void nest(void *userdata)
{
    int dumpable;

    if (run_apart(look, &dumpable, false) == 0)
        look(userdata);
}

TEST(it_cannot_be_traced_and_we_can_again_afterwards)
{
    int dumpable = -1;

    assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
    assert_int_equal(run_apart(look, &dumpable, false), 0);
    assert_int_equal(dumpable, 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
}

TEST(one_within_another_gives_back_what_it_found)
{
    int dumpable = -1;

    assert_int_equal(run_apart(nest, &dumpable, false), 0);
    assert_int_equal(dumpable, 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
}

TEST(what_it_opens_is_ours_where_the_table_is_shared)
{
    int fd = -EBADF;

    assert_int_equal(run_apart(open_null, &fd, true), 0);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    fd_closep(&fd);
    assert_int_equal(run_apart(open_null, &fd, false), 0);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

TEST(its_directory_is_its_own)
{
    char before[PATH_MAX], after[PATH_MAX];
    pid_t pid = 0;

    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(run_apart(go_elsewhere, &pid, false), 0);
    assert_true(pid > 0 && pid != getpid());
    assert_non_null(getcwd(after, sizeof(after)));
    assert_string_equal(before, after);
}

TEST(its_death_is_told)
{
    assert_int_equal(run_apart(die, NULL, false), -EOWNERDEAD);
    assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(it_cannot_be_traced_and_we_can_again_afterwards),
        UNIT(one_within_another_gives_back_what_it_found),
        UNIT(what_it_opens_is_ours_where_the_table_is_shared),
        UNIT(its_directory_is_its_own),
        UNIT(its_death_is_told),
    };

    return RUN_TESTS(tests);
}
