/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "evolve/evidence/lines.h"
#include "runtime/base/fd.h"
#include "runtime/base/strbuf.h"

static int collect(const char *line, size_t len, uint64_t offset, void *userdata)
{
    StrBuf *b = userdata;

    assert_int_equal(line[len], '\0');
    return strbuf_addf(b, "%llu:%zu:", (unsigned long long) offset, len) < 0 || strbuf_add(b, line, len) < 0 ||
                   strbuf_adds(b, "|") < 0
               ? -ENOMEM
               : 0;
}

static int file_with(const void *data, size_t len)
{
    int fd = memfd_create("lines", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, data, len), 0);
    return fd;
}

static void what_has_no_newline_is_left_for_the_next_time(void **state _unused_)
{
    _cleanup_close_ int fd = file_with("one\n\ntwo\nthr", 12);
    _cleanup_(strbuf_done) StrBuf b = {};
    LinesEnd end;

    assert_int_equal(lines_read(fd, 0, UINT64_MAX, false, collect, &b, &end), 0);
    assert_string_equal(b.data, "0:3:one|4:0:|5:3:two|");
    assert_int_equal(end.offset, 9);
    assert_true(end.cut_off);
    assert_int_equal(fd_write_all(fd, "ee\n", 3), 0);
    assert_int_equal(lines_read(fd, end.offset, UINT64_MAX, end.skipping, collect, &b, &end), 0);
    assert_string_equal(b.data, "0:3:one|4:0:|5:3:two|9:5:three|");
    assert_int_equal(end.offset, 15);
    assert_false(end.cut_off);
}

/* However the file grew between two readings, the lines are the same. */
static void every_way_to_cut_it_gives_the_same_lines(void **state _unused_)
{
    static const char text[] = "a\nbb\n\n\0x\nccc\nd";
    _cleanup_close_ int fd = file_with(text, sizeof(text) - 1);
    _cleanup_(strbuf_done) StrBuf whole = {};
    LinesEnd end;

    assert_int_equal(lines_read(fd, 0, UINT64_MAX, false, collect, &whole, &end), 0);
    assert_int_equal(end.lines, 5);
    for (uint64_t cut = 0; cut < sizeof(text); cut++) {
        _cleanup_(strbuf_done) StrBuf b = {};

        assert_int_equal(lines_read(fd, 0, cut, false, collect, &b, &end), 0);
        assert_int_equal(lines_read(fd, end.offset, UINT64_MAX, end.skipping, collect, &b, &end), 0);
        assert_int_equal(b.len, whole.len);
        assert_memory_equal(b.data, whole.data, b.len);
    }
}

static void a_line_of_a_gibibyte_is_skipped_in_little_memory(void **state _unused_)
{
    const off_t size = (off_t) 1 << 30;
    _cleanup_close_ int fd = file_with("first\n", 6);
    _cleanup_(strbuf_done) StrBuf b = {};
    struct rusage before, after;
    LinesEnd end;

    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    assert_int_equal(lines_read(fd, 0, UINT64_MAX, false, collect, &b, &end), 0);
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_true(after.ru_maxrss - before.ru_maxrss < 8 * 1024);
    assert_int_equal(end.too_long, 1);
    assert_true(end.skipping);
    assert_int_equal(end.offset, size); /* it is not read again */
    assert_int_equal(pwrite(fd, "\nlast\n", 6, size), 6);
    assert_int_equal(lines_read(fd, end.offset, UINT64_MAX, end.skipping, collect, &b, &end), 0);
    assert_string_equal(b.data, "0:5:first|1073741825:4:last|");
    assert_int_equal(end.too_long, 0); /* it was counted before */
}

static void the_longest_line_is_read_and_one_more_byte_is_not(void **state _unused_)
{
    for (size_t more = 0; more < 2; more++) {
        size_t len = LINE_MAX_BYTES + more;
        _cleanup_free_ char *data = malloc(len + 3);
        _cleanup_(strbuf_done) StrBuf b = {};
        _cleanup_close_ int fd = -EBADF;
        LinesEnd end;

        assert_non_null(data);
        memset(data, 'x', len);
        memcpy(data + len, "\ny\n", 3);
        fd = file_with(data, len + 3);
        assert_int_equal(lines_read(fd, 0, UINT64_MAX, false, collect, &b, &end), 0);
        assert_int_equal(end.lines, 2 - more);
        assert_int_equal(end.too_long, more);
        assert_int_equal(end.offset, len + 3);
    }
}

static int refuse(const char *line _unused_, size_t len _unused_, uint64_t offset _unused_, void *userdata _unused_)
{
    return -ENOSPC;
}

static void the_handler_can_end_it(void **state _unused_)
{
    _cleanup_close_ int fd = file_with("a\nb\n", 4);
    LinesEnd end = {.lines = 77};

    assert_int_equal(lines_read(fd, 0, UINT64_MAX, false, refuse, NULL, &end), -ENOSPC);
    assert_int_equal(end.lines, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_no_newline_is_left_for_the_next_time),
        cmocka_unit_test(every_way_to_cut_it_gives_the_same_lines),
        cmocka_unit_test(a_line_of_a_gibibyte_is_skipped_in_little_memory),
        cmocka_unit_test(the_longest_line_is_read_and_one_more_byte_is_not),
        cmocka_unit_test(the_handler_can_end_it),
    };

    return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
