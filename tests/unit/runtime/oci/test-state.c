/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/state.h"

#include <signal.h>
#include <sys/wait.h>

#include "runtime/base/fd.h"
#include "tests/unit/test.h"

TEST(ids_are_names_and_nothing_else)
{
    static const char *const good[] = {"a", "A-1_2+3.4", "..a", "-"}, *const bad[] = {"",     ".",   "..",  "a/b",
                                                                                      "../a", "a b", "a\n", "\xc3\xa4"};
    char longest[258];

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_int_equal(container_id_check(good[i], NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(container_id_check(bad[i], NULL), -EINVAL);
    memset(longest, 'x', sizeof(longest));
    longest[255] = '\0';
    assert_int_equal(container_id_check(longest, NULL), 0);
    longest[255] = 'x';
    longest[256] = '\0';
    assert_int_equal(container_id_check(longest, NULL), -EINVAL);
}

static pid_t sleeper(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        pause();
        _exit(0);
    }
    return pid;
}

TEST(a_process_is_known_by_pid_and_start_time)
{
    State s = {.pid = sleeper()};
    int fd, status;

    assert_int_equal(process_start_time(s.pid, &s.start_time, NULL), 0);
    fd = state_pidfd(&s);
    assert_true(fd >= 0);
    close(fd);
    s.start_time++; /* another process that has got the same pid */
    assert_int_equal(state_pidfd(&s), -ESRCH);
    s.start_time--;
    kill(s.pid, SIGKILL);
    waitid(P_PID, (id_t) s.pid, &(siginfo_t){}, WEXITED | WNOWAIT);
    assert_int_equal(state_pidfd(&s), -ESRCH); /* a zombie is nobody */
    waitpid(s.pid, &status, 0);
}

TEST(what_is_saved_is_loaded)
{
    State s = {.id = "x",
               .bundle = "/b",
               .rootfs = "/b/r",
               .cgroup = "moss/x",
               .created = "now",
               .version = "1.3.0",
               .pid = 5,
               .start_time = 77,
               .owner = 3};
    char dir[] = "/tmp/moss-test-XXXXXX";
    State loaded = {};
    Error e = {};
    int root, fd;

    assert_non_null(mkdtemp(dir));
    root = state_root_open(dir, &e);
    fd = state_create(root, "x", &e);
    assert_true(fd >= 0);
    assert_int_equal(state_create(root, "x", &e), -EEXIST);
    assert_int_equal(state_load(fd, &loaded, NULL), -ENOENT);
    assert_int_equal(state_save(fd, &s, &e), 0);
    assert_int_equal(state_load(fd, &loaded, &e), 0);
    assert_string_equal(loaded.cgroup, "moss/x");
    assert_int_equal(loaded.start_time, 77);
    assert_int_equal(state_status(fd, &loaded), STATUS_STOPPED);
    state_done(&loaded);
    close(fd);
    assert_int_equal(state_remove(root, "x", &e), 0);
    assert_int_equal(state_open(root, "x", false, &e), -ENOENT);
    assert_non_null(strstr(e.text, "container does not exist"));
    close(root);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(ids_are_names_and_nothing_else),
        UNIT(a_process_is_known_by_pid_and_start_time),
        UNIT(what_is_saved_is_loaded),
    };

    return RUN_TESTS(tests);
}
