/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/stats.h"

#include <jansson.h>

#include "tests/unit/test.h"

static void put(int dir, const char *name, const char *text)
{
    _cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
}

static json_t *written(int dir)
{
    _cleanup_(strbuf_done) StrBuf b = {};
    json_t *o, *data;

    assert_int_equal(stats_write(dir, "an-id", &b, NULL), 0);
    assert_int_equal(b.data[b.len - 1], '\n');
    assert_ptr_equal(strchr(b.data, '\n'), b.data + b.len - 1);
    /* jansson has no number above 2^63 - 1 */
    for (char *p = strstr(b.data, "18446744073709551615"); p; p = strstr(p, "18446744073709551615"))
        memcpy(p, "18446744073709551615" + 1, 19), memmove(p + 19, p + 20, strlen(p + 20) + 1);
    o = json_loads(b.data, 0, NULL);
    assert_non_null(o);
    assert_string_equal(json_string_value(json_object_get(o, "type")), "stats");
    assert_string_equal(json_string_value(json_object_get(o, "id")), "an-id");
    data = json_incref(json_object_get(o, "data"));
    json_decref(o);
    return data;
}

static json_int_t at(const json_t *o, const char *a, const char *b, const char *c)
{
    json_t *v = json_object_get(json_object_get(o, a), b);

    v = c ? json_object_get(v, c) : v;
    assert_non_null(v);
    return json_integer_value(v);
}

TEST(every_file_of_the_cgroup_is_where_engines_look_for_it)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    json_t *o, *io;

    put(d.fd, "cpu.stat",
        "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 4\nnr_throttled 3\nthrottled_usec 2\n");
    put(d.fd, "cpu.pressure", "some avg10=0.10 avg60=0.20 avg300=0.30 total=77\n");
    put(d.fd, "cpuset.cpus.effective", "0-2,5\n");
    put(d.fd, "memory.current", "1000\n");
    put(d.fd, "memory.max", "5000\n");
    put(d.fd, "memory.peak", "2000\n");
    put(d.fd, "memory.swap.current", "10\n");
    put(d.fd, "memory.swap.max", "max\n");
    put(d.fd, "memory.events", "low 0\nhigh 0\nmax 6\noom 1\noom_kill 1\n");
    put(d.fd, "memory.stat", "anon 1\nfile 2\nkernel 3\nsock 4\n");
    put(d.fd, "pids.current", "8\n");
    put(d.fd, "pids.max", "9\n");
    put(d.fd, "io.stat", "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n8:0 \n253:1 rbytes=7 wbytes=0\n");
    put(d.fd, "hugetlb.2MB.current", "11\n");
    put(d.fd, "hugetlb.2MB.events", "max 12\n");
    put(d.fd, "hugetlb.2MB.events.local", "max 0\n");
    o = written(d.fd);
    assert_int_equal(at(o, "cpu", "usage", "total"), 30000);
    assert_int_equal(at(o, "cpu", "usage", "kernel"), 10000);
    assert_int_equal(at(o, "cpu", "throttling", "throttledTime"), 2000);
    assert_int_equal(at(json_object_get(o, "cpu"), "psi", "some", "total"), 77);
    assert_int_equal(json_array_size(json_object_get(json_object_get(o, "cpuset"), "cpus")), 4);
    assert_int_equal(at(o, "memory", "cache", NULL), 2);
    assert_int_equal(at(o, "memory", "usage", "limit"), 5000);
    assert_int_equal(at(o, "memory", "usage", "max"), 2000);
    assert_int_equal(at(o, "memory", "usage", "failcnt"), 6);
    assert_int_equal(at(o, "memory", "swap", "usage"), 1010);
    assert_int_equal(at(o, "memory", "swap", "limit"), 8446744073709551615); /* all of 2^64 - 1, see above */
    assert_int_equal(at(o, "memory", "raw", "anon"), 1);
    assert_int_equal(at(o, "pids", "current", NULL), 8);
    assert_int_equal(at(o, "pids", "limit", NULL), 9);
    io = json_object_get(json_object_get(o, "blkio"), "ioServiceBytesRecursive");
    assert_int_equal(json_array_size(io), 4);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(io, 1), "value")), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(io, 2), "op")), "Read");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(io, 2), "major")), 253);
    io = json_object_get(json_object_get(o, "blkio"), "ioServicedRecursive");
    assert_int_equal(json_array_size(io), 2);
    assert_int_equal(at(o, "hugetlb", "2MB", "usage"), 11);
    assert_int_equal(at(o, "hugetlb", "2MB", "failcnt"), 12);
    assert_int_equal(json_object_size(json_object_get(o, "hugetlb")), 1);
    json_decref(o);
}

TEST(without_controllers_there_are_zeros)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    json_t *o = written(d.fd);

    assert_int_equal(at(o, "memory", "usage", "limit"), 0);
    assert_int_equal(at(o, "pids", "current", NULL), 0);
    assert_true(json_is_null(json_object_get(o, "network_interfaces")));
    json_decref(o);
}

TEST(intervals_are_durations)
{
    static const char *const bad[] = {"", "5", "s", "-1s", "0s", "5x", "1s ", "0x10s", "1e3s", "infs", "999h", "1..5s"};
    static const struct {
        const char *text;
        uint64_t usec;
    } good[] = {{"5s", 5000000},   {"1m30s", 90000000}, {"1.5s", 1500000},
                {"200ms", 200000}, {"50us", 50},        {"1h", 3600000000}};
    uint64_t usec = 7;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(stats_interval(good[i].text, &usec, NULL), 0);
        assert_int_equal(usec, good[i].usec);
    }
    usec = 7;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(stats_interval(bad[i], &usec, NULL), -EINVAL);
    assert_int_equal(usec, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(every_file_of_the_cgroup_is_where_engines_look_for_it),
        UNIT(without_controllers_there_are_zeros),
        UNIT(intervals_are_durations),
    };

    return RUN_TESTS(tests);
}
