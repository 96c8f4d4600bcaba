/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/process.h"

#include <signal.h>

#include "runtime/base/clock.h"
#include "tests/unit/test.h"

TEST(input_goes_in_and_output_comes_back)
{
    const char *const argv[] = {"cat", NULL};
    _cleanup_free_ char *out = NULL;

    assert_int_equal(
        process_run(
            &(ProcessSpec){
                .argv = argv, .input = "hello", .input_len = 5, .output_max = 100, .timeout_usec = UINT64_MAX},
            &out, NULL),
        0);
    assert_string_equal(out, "hello");
}

TEST(exit_status_and_signals_are_told_apart)
{
    const char *const three[] = {"sh", "-c", "exit 3", NULL}, *const killed[] = {"sh", "-c", "kill -9 $$", NULL};

    assert_int_equal(process_run(&(ProcessSpec){.argv = three, .timeout_usec = UINT64_MAX}, NULL, NULL), 3);
    assert_int_equal(process_run(&(ProcessSpec){.argv = killed, .timeout_usec = UINT64_MAX}, NULL, NULL),
                     128 + SIGKILL);
}

TEST(a_program_that_is_not_there_is_named)
{
    const char *const argv[] = {"no-such-program-here", NULL};
    Error e = {};

    assert_int_equal(process_run(&(ProcessSpec){.argv = argv, .timeout_usec = UINT64_MAX}, NULL, &e), -ENOENT);
    assert_string_equal(e.text, "cannot run no-such-program-here: No such file or directory");
}

TEST(a_hanging_program_is_ended_and_named)
{
    const char *const argv[] = {"sh", "-c", "sleep 1000 & echo $!; sleep 1000", NULL};
    _cleanup_free_ char *out = NULL;
    Error e = {};

    assert_int_equal(
        process_run(&(ProcessSpec){.argv = argv, .output_max = 100, .timeout_usec = 200 * USEC_PER_MSEC}, &out, &e),
        -ETIMEDOUT);
    assert_string_equal(e.text, "sh: not done after 200 ms");
}

TEST(too_much_output_is_an_error_not_a_cut)
{
    const char *const argv[] = {"sh", "-c", "head -c 1000 /dev/zero", NULL};
    char *out = NULL;

    assert_int_equal(
        process_run(&(ProcessSpec){.argv = argv, .output_max = 999, .timeout_usec = UINT64_MAX}, &out, NULL), -E2BIG);
    assert_null(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(input_goes_in_and_output_comes_back),   UNIT(exit_status_and_signals_are_told_apart),
        UNIT(a_program_that_is_not_there_is_named),  UNIT(a_hanging_program_is_ended_and_named),
        UNIT(too_much_output_is_an_error_not_a_cut),
    };

    return RUN_TESTS(tests);
}
