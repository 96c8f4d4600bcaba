/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/resources.h"

#include "tests/unit/test.h"

/* A directory in place of a cgroup: what the kernel would be told stands in its files. */
static void put(int dir, const char *name, const char *text)
{
    _cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
}

static void apply(int dir, const char *resources)
{
    ContainerCgroup g = {.top = dir, .fd = dir, .path = (char *) "x"};
    json_t *o = json_loads(resources, 0, NULL);
    Error e = {};

    assert_non_null(o);
    if (resources_apply(&g, o, &e) < 0)
        fail_msg("%s", e.text);
    json_decref(o);
}

static void expect(int dir, const char *file, const char *text)
{
    char buf[256] = "";
    _cleanup_close_ int fd = openat(dir, file, O_RDONLY);

    assert_true(fd >= 0);
    assert_true(read(fd, buf, sizeof(buf) - 1) >= 0);
    assert_string_equal(buf, text);
    put(dir, file, "");
}

TEST(of_cpu_max_only_the_given_part_changes)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();

    put(d.fd, "cgroup.controllers", "cpu memory pids\n");
    put(d.fd, "cpu.max", "");
    apply(d.fd, "{\"cpu\":{\"quota\":20000,\"period\":50000}}");
    expect(d.fd, "cpu.max", "20000 50000");
    apply(d.fd, "{\"cpu\":{\"quota\":20000}}"); /* the kernel keeps the period */
    expect(d.fd, "cpu.max", "20000");
    put(d.fd, "cpu.max", "30000 100000");
    apply(d.fd, "{\"cpu\":{\"period\":200000}}");
    expect(d.fd, "cpu.max", "30000 200000");
    put(d.fd, "cpu.max", "max 10000");
    apply(d.fd, "{\"cpu\":{\"period\":20000}}");
    expect(d.fd, "cpu.max", "max 20000");
    apply(d.fd, "{\"cpu\":{\"quota\":-1}}");
    expect(d.fd, "cpu.max", "max");
}

TEST(no_limit_lifts_what_can_be_limited)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();

    put(d.fd, "cgroup.controllers", "\n");
    put(d.fd, "memory.max", "");
    put(d.fd, "memory.swap.max", "");
    put(d.fd, "pids.max", "");
    apply(d.fd,
          "{\"memory\":{\"limit\":-1,\"swap\":-1,\"reservation\":-1},\"pids\":{\"limit\":-1},\"cpu\":{\"quota\":-1}}");
    expect(d.fd, "memory.max", "");
    put(d.fd, "cgroup.controllers", "cpu memory pids\n");
    apply(d.fd, "{\"memory\":{\"limit\":-1},\"pids\":{\"limit\":-1}}");
    expect(d.fd, "memory.max", "max");
    expect(d.fd, "memory.swap.max", "max");
    expect(d.fd, "pids.max", "max");
}

TEST(swap_alone_counts_from_the_limit_that_there_is)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();

    put(d.fd, "cgroup.controllers", "memory\n");
    put(d.fd, "memory.max", "1000000\n");
    put(d.fd, "memory.swap.max", "");
    apply(d.fd, "{\"memory\":{\"swap\":1500000}}");
    expect(d.fd, "memory.swap.max", "500000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(of_cpu_max_only_the_given_part_changes),
        UNIT(no_limit_lifts_what_can_be_limited),
        UNIT(swap_alone_counts_from_the_limit_that_there_is),
    };

    return RUN_TESTS(tests);
}
