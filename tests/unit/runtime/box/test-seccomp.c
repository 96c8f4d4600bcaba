/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/box/seccomp.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "runtime/base/json.h"
#include "tests/unit/test.h"

/* Compiles `text`; the error is in *e. */
static int compile(const char *text, SeccompFilter *ret, Error *e)
{
    _cleanup_json_ json_t *o = NULL;

    assert_int_equal(json_parse(text, strlen(text), "test", &o, e), 0);
    return seccomp_compile(o, ret, e);
}

/* The errno of a system call under the filter, 0 if it succeeds, -signal if it ends the process. */
static int errno_under(const SeccompFilter *f, long nr, long a, long b, long c)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_install(f) < 0)
            _exit(255);
        _exit(syscall(nr, a, b, c) < 0 ? errno : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_not_equal(status, 255 << 8);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(actions_and_their_errno_take_effect)
{
    _cleanup_(seccomp_filter_done) SeccompFilter f = {};
    Error e = {};

    assert_int_equal(compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
                             "{\"names\":[\"getppid\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":77},"
                             "{\"names\":[\"getpgrp\",\"no_such_call\"],\"action\":\"SCMP_ACT_ERRNO\"},"
                             "{\"names\":[\"getuid\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"}]}",
                             &f, &e),
                     0);
    assert_int_equal(errno_under(&f, SYS_getppid, 0, 0, 0), 77);
    assert_int_equal(errno_under(&f, SYS_getpgrp, 0, 0, 0), EPERM);
    assert_int_equal(errno_under(&f, SYS_getuid, 0, 0, 0), -SIGSYS);
    assert_int_equal(errno_under(&f, SYS_getgid, 0, 0, 0), 0);
}

TEST(conditions_on_arguments_take_effect)
{
    _cleanup_(seccomp_filter_done) SeccompFilter f = {};
    Error e = {};

    assert_int_equal(
        compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"dup2\"],\"action\":"
                "\"SCMP_ACT_ERRNO\",\"errnoRet\":5,\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},"
                "{\"index\":1,\"value\":240,\"valueTwo\":16,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]}",
                &f, &e),
        0);
    assert_int_equal(errno_under(&f, SYS_dup2, 1, 17, 0), EIO);
    assert_int_equal(errno_under(&f, SYS_dup2, 2, 17, 0), 0);
    assert_int_equal(errno_under(&f, SYS_dup2, 1, 33, 0), 0);
}

TEST(calls_younger_than_the_profile_are_missing_not_forbidden)
{
    _cleanup_(seccomp_filter_done) SeccompFilter f = {}, kills = {};
    Error e = {};

    assert_int_equal(
        compile("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"exit_group\",\"getrandom\"],"
                "\"action\":\"SCMP_ACT_ALLOW\"}]}",
                &f, &e),
        0);
    assert_int_equal(errno_under(&f, SYS_getppid, 0, 0, 0), EPERM);
    assert_int_equal(errno_under(&f, SYS_getrandom, 0, 0, 0), 0);
    assert_int_equal(errno_under(&f, SYS_getrandom + 1, 0, 0, 0), ENOSYS);
    assert_int_equal(errno_under(&f, 100000, 0, 0, 0), ENOSYS);
    assert_int_equal(compile("{\"defaultAction\":\"SCMP_ACT_KILL_PROCESS\",\"syscalls\":[{\"names\":[\"exit_group\"],"
                             "\"action\":\"SCMP_ACT_ALLOW\"}]}",
                             &kills, &e),
                     0);
    assert_int_equal(errno_under(&kills, 100000, 0, 0, 0), -SIGSYS);
}

TEST(of_two_conditions_on_one_argument_one_suffices)
{
    _cleanup_(seccomp_filter_done) SeccompFilter f = {};
    Error e = {};

    assert_int_equal(compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"dup\"],\"action\":"
                             "\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},"
                             "{\"index\":0,\"value\":2,\"op\":\"SCMP_CMP_EQ\"}]}]}",
                             &f, &e),
                     0);
    assert_int_equal(errno_under(&f, SYS_dup, 1, 0, 0), EPERM);
    assert_int_equal(errno_under(&f, SYS_dup, 2, 0, 0), EPERM);
    assert_int_equal(errno_under(&f, SYS_dup, 0, 0, 0), 0);
}

TEST(an_empty_profile_is_a_filter_too)
{
    _cleanup_(seccomp_filter_done) SeccompFilter f = {};
    Error e = {};

    assert_int_equal(compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", &f, &e), 0);
    assert_int_equal(errno_under(&f, SYS_getppid, 0, 0, 0), 0);
}

TEST(what_is_not_understood_is_refused_by_name)
{
    static const char *const bad[][2] = {
        {"{}", "defaultAction"},
        {"{\"defaultAction\":\"SCMP_ACT_MAYBE\"}", "SCMP_ACT_MAYBE"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_PDP11\"]}", "SCMP_ARCH_PDP11"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FLAG\"]}", "SECCOMP_FLAG"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}", "defaultErrnoRet"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"action\":\"SCMP_ACT_ERRNO\"}]}", "names"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_ERRNO\","
         "\"args\":[{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}",
         "index"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_ERRNO\","
         "\"args\":[{\"index\":0,\"value\":1,\"op\":\"=\"}]}]}",
         "="},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_ERRNO\","
         "\"errnoRet\":5000}]}",
         "errnoRet"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        SeccompFilter f = {};
        Error e = {};

        assert_true(compile(bad[i][0], &f, &e) < 0);
        assert_non_null(strstr(e.text, bad[i][1]));
        assert_null(f.code);
    }
}

TEST(the_profile_of_boxes_forbids_what_boxes_must_not_do)
{
    _cleanup_(seccomp_filter_done) SeccompFilter f = {};
    Error e = {};

    assert_int_equal(seccomp_profile("box", &f, &e), 0);
    assert_int_equal(errno_under(&f, SYS_getppid, 0, 0, 0), 0);
    assert_int_equal(errno_under(&f, SYS_unshare, 0, 0, 0), EPERM);
    assert_int_equal(errno_under(&f, SYS_keyctl, 0, -3, 0), EPERM);
    assert_int_equal(errno_under(&f, SYS_clone, 0x10000000 /* CLONE_NEWUSER */, 0, 0), ENOSYS);
    assert_int_equal(errno_under(&f, SYS_clone3, 0, 0, 0), ENOSYS);
    assert_int_equal(errno_under(&f, SYS_socket, AF_INET, SOCK_STREAM, 0), 0);
    assert_int_equal(errno_under(&f, SYS_socket, 40 /* AF_VSOCK */, SOCK_STREAM, 0), ENOSYS);
    assert_int_equal(errno_under(&f, 9999, 0, 0, 0), ENOSYS);
}

TEST(a_cached_filter_is_the_compiled_one_and_a_damaged_cache_does_no_harm)
{
    TestDirectory d = test_directory_make();
    _cleanup_closedir_ DIR *cache = NULL;
    SeccompFilter one = {}, two = {}, three = {};
    struct dirent *de;
    Error e = {};
    int fd;

    assert_int_equal(setenv("MOSS_RUN", d.path, 1), 0);
    assert_int_equal(seccomp_profile("box", &one, &e), 0);
    assert_int_equal(seccomp_profile("box", &two, &e), 0);
    assert_int_equal(one.n, two.n);
    assert_memory_equal(one.code, two.code, one.n * sizeof(*one.code));
    fd = openat(d.fd, ".seccomp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    cache = fdopendir(fd);
    while ((de = readdir(cache)))
        if (de->d_name[0] != '.') {
            _cleanup_close_ int file = openat(fd, de->d_name, O_WRONLY | O_TRUNC | O_CLOEXEC);

            assert_true(file >= 0);
            assert_int_equal(fd_write_all(file, "x", 1), 0);
        }
    assert_int_equal(seccomp_profile("box", &three, &e), 0);
    assert_int_equal(one.n, three.n);
    seccomp_filter_done(&one);
    seccomp_filter_done(&two);
    seccomp_filter_done(&three);
    assert_int_equal(unsetenv("MOSS_RUN"), 0);
    test_directory_remove(&d);
}

TEST(the_cache_of_objects_tells_them_apart_and_does_not_grow_without_end)
{
    TestDirectory d = test_directory_make();
    _cleanup_closedir_ DIR *cache = NULL;
    Error e = {};
    int fd, n = 0;

    assert_int_equal(setenv("MOSS_RUN", d.path, 1), 0);
    for (int round = 0; round < 2; round++)
        for (int number = 1; number <= 100; number++) {
            _cleanup_(seccomp_filter_done) SeccompFilter f = {};
            _cleanup_json_ json_t *o =
                json_pack("{s:s,s:[{s:[s],s:s,s:i}]}", "defaultAction", "SCMP_ACT_ALLOW", "syscalls", "names",
                          "getppid", "action", "SCMP_ACT_ERRNO", "errnoRet", number);
            _cleanup_free_ char *text = json_canonical(o);
            SeccompFilter kept = {};

            assert_int_equal(seccomp_compile(o, &f, &e), 0);
            seccomp_keep(text, strlen(text), &f);
            assert_int_equal(seccomp_kept(text, strlen(text), &kept), 0);
            assert_int_equal(kept.n, f.n);
            assert_memory_equal(kept.code, f.code, f.n * sizeof(*f.code));
            seccomp_filter_done(&kept);
            text[0] = ' ';
            assert_true(seccomp_kept(text, strlen(text), &kept) < 0);
            assert_int_equal(errno_under(&f, SYS_getppid, 0, 0, 0), number);
        }
    fd = openat(d.fd, ".seccomp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    cache = fdopendir(fd);
    while (readdir(cache))
        n++;
    assert_in_range(n, 3, 70);
    assert_int_equal(unsetenv("MOSS_RUN"), 0);
    test_directory_remove(&d);
}

TEST(profiles_are_names_and_not_paths)
{
    SeccompFilter f = {};
    Error e = {};

    assert_int_equal(seccomp_profile("../box", &f, &e), -EINVAL);
    assert_int_equal(seccomp_profile("none", &f, &e), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(actions_and_their_errno_take_effect),
        UNIT(conditions_on_arguments_take_effect),
        UNIT(calls_younger_than_the_profile_are_missing_not_forbidden),
        UNIT(of_two_conditions_on_one_argument_one_suffices),
        UNIT(an_empty_profile_is_a_filter_too),
        UNIT(what_is_not_understood_is_refused_by_name),
        UNIT(the_profile_of_boxes_forbids_what_boxes_must_not_do),
        UNIT(a_cached_filter_is_the_compiled_one_and_a_damaged_cache_does_no_harm),
        UNIT(the_cache_of_objects_tells_them_apart_and_does_not_grow_without_end),
        UNIT(profiles_are_names_and_not_paths),
    };

    return RUN_TESTS(tests);
}
