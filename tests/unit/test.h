/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_TEST_H
#define MOSS_TEST_H

/* What every unit test starts with: cmocka and its prerequisites, and a directory of the test's own.
 *
 * TEST(name) defines a test; main() lists them with UNIT(name) and returns RUN_TESTS(list). The group is named after the source under test. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/error.h"
#include "runtime/base/fd.h"

#define TEST(name) static void name(_unused_ void **state)
#define UNIT(name) cmocka_unit_test(name)
#define RUN_TESTS(list) cmocka_run_group_tests_name(__FILE__, list, NULL, NULL)

/* A fresh directory below $TMPDIR, as an fd; test_directory_remove() takes it away again. */
typedef struct TestDirectory {
    int fd;
    char path[64];
} TestDirectory;

static inline _unused_ TestDirectory test_directory_make(void)
{
    TestDirectory d = {.path = "/tmp/moss-test-XXXXXX"};

    assert_non_null(mkdtemp(d.path));
    d.fd = open(d.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(d.fd >= 0);
    return d;
}

static inline _unused_ void test_directory_remove(TestDirectory *d)
{
    close(d->fd);
    assert_int_equal(rm_rf_at(AT_FDCWD, d->path), 0);
}

#define _cleanup_test_directory_ _cleanup_(test_directory_remove)

#endif
