/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/resources.h"

#include "runtime/base/file.h"
#include "tests/unit/test.h"

/* A directory in place of a cgroup: writing a control file leaves in it what was written last. */

static const char *const files[] = {
    "cpu.max",         "cpu.max.burst",        "cpu.idle", "cpu.weight", "cpuset.cpus", "cpuset.mems",
    "hugetlb.2MB.max", "hugetlb.2MB.rsvd.max", "io.max",   "io.weight",  "memory.low",  "memory.max",
    "memory.swap.max", "memory.current",       "misc.max", "pids.max",   "rdma.max",    "cgroup.max.depth",
};

typedef struct Fake {
    TestDirectory dir;
    ContainerCgroup group;
} Fake;

static void put(const Fake *f, const char *name, const char *text)
{
    assert_int_equal(file_write_at(f->dir.fd, name, text, strlen(text), 0644, 0), 0);
}

static Fake fake_make(const char *controllers)
{
    Fake f = {.dir = test_directory_make(), .group = CONTAINER_CGROUP_INIT};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        put(&f, files[i], "");
    put(&f, "cgroup.controllers", controllers);
    f.group.top = f.group.fd = f.dir.fd;
    f.group.path = strdup("x");
    return f;
}

static void fake_done(Fake *f)
{
    free(f->group.path);
    test_directory_remove(&f->dir);
}

static int apply(const Fake *f, const char *text, Error *e)
{
    json_t *o = json_loads(text, 0, NULL);
    int r;

    assert_non_null(o);
    r = resources_apply(&f->group, o, e);
    json_decref(o);
    return r;
}

/* …and empties it for what comes next. */
static void expect(const Fake *f, const char *name, const char *text)
{
    _cleanup_free_ char *have = NULL;

    assert_int_equal(file_read_at(f->dir.fd, name, 4096, &have, NULL), 0);
    assert_string_equal(have, text);
    put(f, name, "");
}

TEST(each_limit_gets_into_its_file)
{
    Fake f = fake_make("cpu cpuset io memory pids hugetlb rdma misc\n");
    Error e = {};
    int r = apply(&f,
                  "{\"memory\":{\"limit\":1000,\"swap\":1500,\"reservation\":600},"
                  "\"cpu\":{\"shares\":2,\"quota\":5000,\"period\":10000,\"burst\":300,\"idle\":1,\"cpus\":\"0-1\","
                  "\"mems\":\"0\"},"
                  "\"pids\":{\"limit\":7},\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":4194304}],"
                  "\"rdma\":{\"mlx\":{\"hcaHandles\":3,\"hcaObjects\":4}},\"unified\":{\"misc.max\":\"res 1\"}}",
                  &e);

    assert_string_equal(e.text, "");
    assert_int_equal(r, 0);
    expect(&f, "memory.max", "1000");
    expect(&f, "memory.swap.max", "500");
    expect(&f, "memory.low", "600");
    expect(&f, "cpu.weight", "1");
    expect(&f, "cpu.max", "5000 10000");
    expect(&f, "cpu.max.burst", "300");
    expect(&f, "cpu.idle", "1");
    expect(&f, "cpuset.cpus", "0-1");
    expect(&f, "cpuset.mems", "0");
    expect(&f, "pids.max", "7");
    expect(&f, "hugetlb.2MB.max", "4194304");
    expect(&f, "hugetlb.2MB.rsvd.max", "4194304");
    expect(&f, "rdma.max", "mlx hca_handle=3 hca_object=4");
    expect(&f, "misc.max", "res 1");
    fake_done(&f);
}

TEST(no_limit_is_written_where_one_may_be_and_needs_no_controller)
{
    static const char all[] = "{\"memory\":{\"limit\":-1,\"swap\":-1},\"pids\":{\"limit\":-1},\"cpu\":{\"quota\":-1}}";
    Fake f = fake_make("memory pids cpu"), none = fake_make("");

    assert_int_equal(apply(&f, all, NULL), 0);
    expect(&f, "memory.max", "max");
    expect(&f, "memory.swap.max", "max");
    expect(&f, "pids.max", "max");
    expect(&f, "cpu.max", "max");
    assert_int_equal(apply(&none, all, NULL), 0);
    expect(&none, "memory.max", "");
    fake_done(&f);
    fake_done(&none);
}

TEST(of_cpu_max_only_the_given_part_changes)
{
    Fake f = fake_make("cpu");

    assert_int_equal(apply(&f, "{\"cpu\":{\"quota\":20000,\"period\":50000}}", NULL), 0);
    expect(&f, "cpu.max", "20000 50000");
    assert_int_equal(apply(&f, "{\"cpu\":{\"quota\":20000}}", NULL), 0); /* the kernel keeps the period */
    expect(&f, "cpu.max", "20000");
    put(&f, "cpu.max", "30000 100000");
    assert_int_equal(apply(&f, "{\"cpu\":{\"period\":200000}}", NULL), 0);
    expect(&f, "cpu.max", "30000 200000");
    put(&f, "cpu.max", "max 10000");
    assert_int_equal(apply(&f, "{\"cpu\":{\"period\":20000}}", NULL), 0);
    expect(&f, "cpu.max", "max 20000");
    assert_int_equal(apply(&f, "{\"cpu\":{\"quota\":-1}}", NULL), 0);
    expect(&f, "cpu.max", "max");
    fake_done(&f);
}

TEST(no_limit_of_memory_lifts_that_of_swap_too)
{
    Fake f = fake_make("memory");

    assert_int_equal(apply(&f, "{\"memory\":{\"limit\":-1}}", NULL), 0);
    expect(&f, "memory.max", "max");
    expect(&f, "memory.swap.max", "max");
    fake_done(&f);
}

TEST(swap_alone_counts_from_the_limit_that_there_is)
{
    Fake f = fake_make("memory");

    put(&f, "memory.max", "1000000\n");
    assert_int_equal(apply(&f, "{\"memory\":{\"swap\":1500000}}", NULL), 0);
    expect(&f, "memory.swap.max", "500000");
    fake_done(&f);
}

TEST(weights_and_rates_of_devices)
{
    Fake f = fake_make("io");

    assert_int_equal(apply(&f, "{\"blockIO\":{\"weight\":1000}}", NULL), 0);
    expect(&f, "io.weight", "10000");
    assert_int_equal(apply(&f, "{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":16,\"weight\":10}]}}", NULL), 0);
    expect(&f, "io.weight", "8:16 1");
    put(&f, "io.bfq.weight", "");
    assert_int_equal(apply(&f, "{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":500}]}}", NULL), 0);
    expect(&f, "io.bfq.weight", "8:0 500");
    assert_int_equal(
        apply(&f, "{\"blockIO\":{\"throttleReadIOPSDevice\":[{\"major\":8,\"minor\":0,\"rate\":600}]}}", NULL), 0);
    expect(&f, "io.max", "8:0 riops=600");
    assert_int_equal(
        apply(&f, "{\"blockIO\":{\"throttleWriteBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":0}]}}", NULL), 0);
    expect(&f, "io.max", "8:0 wbps=max");
    fake_done(&f);
}

/* The kernel takes one line a write, so each is written by itself. */
TEST(unified_goes_line_by_line_and_last)
{
    Fake f = fake_make("io pids");

    assert_int_equal(apply(&f,
                           "{\"unified\":{\"io.max\":\"259:0 rbps=1\\n253:0 rbps=2\",\"cgroup.max.depth\":\"3\","
                           "\"pids.max\":\"9\"},\"pids\":{\"limit\":5}}",
                           NULL),
                     0);
    expect(&f, "io.max", "253:0 rbps=2");
    expect(&f, "cgroup.max.depth", "3");
    expect(&f, "pids.max", "9");
    fake_done(&f);
}

TEST(a_limit_below_what_is_in_use_is_refused_when_asked_for)
{
    Fake f = fake_make("memory");

    put(&f, "memory.current", "2000\n");
    assert_int_equal(apply(&f, "{\"memory\":{\"limit\":1999,\"checkBeforeUpdate\":true}}", NULL), -EBUSY);
    expect(&f, "memory.max", "");
    assert_int_equal(apply(&f, "{\"memory\":{\"limit\":1999,\"checkBeforeUpdate\":false}}", NULL), 0);
    expect(&f, "memory.max", "1999");
    assert_int_equal(apply(&f, "{\"memory\":{\"limit\":2000,\"checkBeforeUpdate\":true}}", NULL), 0);
    fake_done(&f);
}

TEST(swap_that_is_not_counted_needs_no_limit_lifted)
{
    Fake f = fake_make("memory");

    assert_int_equal(unlinkat(f.dir.fd, "memory.swap.max", 0), 0);
    assert_int_equal(apply(&f, "{\"memory\":{\"limit\":1000,\"swap\":1000}}", NULL), 0);
    assert_int_equal(apply(&f, "{\"memory\":{\"limit\":1000,\"swap\":-1}}", NULL), 0);
    assert_int_equal(apply(&f, "{\"memory\":{\"limit\":1000,\"swap\":1001}}", NULL), -ENOENT);
    fake_done(&f);
}

TEST(what_cgroup_v2_does_not_have_or_makes_no_sense_is_refused)
{
    static const struct {
        const char *text, *words;
    } table[] = {
        {"{\"memory\":{\"kernel\":1}}", "memory.kernel"},
        {"{\"memory\":{\"swappiness\":60}}", "memory.swappiness"},
        {"{\"memory\":{\"disableOOMKiller\":true}}", "memory.disableOOMKiller"},
        {"{\"memory\":{\"limit\":1000,\"swap\":999}}", "memory.swap"},
        {"{\"cpu\":{\"realtimeRuntime\":1}}", "cpu.realtimeRuntime"},
        {"{\"cpu\":{\"quota\":10,\"burst\":11}}", "cpu.burst"},
        {"{\"blockIO\":{\"leafWeight\":10}}", "blockIO.leafWeight"},
        {"{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"leafWeight\":10}]}}", "leafWeight"},
        {"{\"network\":{\"classID\":1}}", "network"},
        {"{\"network\":{\"priorities\":[{\"name\":\"x\",\"priority\":1}]}}", "network"},
        {"{\"rdma\":{\"mlx\":{}}}", "neither hcaHandles nor hcaObjects"},
        {"{\"hugepageLimits\":[{\"pageSize\":\"../x\",\"limit\":1}]}", "no page size"},
        {"{\"unified\":{\"cgroup.procs\":\"1\"}}", "no file of a controller"},
        {"{\"unified\":{\"../x.y\":\"1\"}}", "no file of a controller"},
        {"{\"unified\":{\"memory.max\":1}}", "no file of a controller"},
        {"{\"unified\":{\"perf_event.x\":\"1\"}}", "controller `perf_event` is not available"},
    };
    Fake f = fake_make("cpu io memory pids hugetlb rdma misc");

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        Error e = {};

        assert_true(apply(&f, table[i].text, &e) < 0);
        if (!strstr(e.text, table[i].words))
            fail_msg("\"%s\" lacks \"%s\"", e.text, table[i].words);
    }
    assert_int_equal(apply(&f,
                           "{\"network\":{\"classID\":0,\"priorities\":[]},\"memory\":{\"kernel\":-1,\"swappiness\":0,"
                           "\"useHierarchy\":true,\"disableOOMKiller\":false}}",
                           NULL),
                     0);
    fake_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(each_limit_gets_into_its_file),
        UNIT(no_limit_is_written_where_one_may_be_and_needs_no_controller),
        UNIT(of_cpu_max_only_the_given_part_changes),
        UNIT(no_limit_of_memory_lifts_that_of_swap_too),
        UNIT(swap_alone_counts_from_the_limit_that_there_is),
        UNIT(weights_and_rates_of_devices),
        UNIT(unified_goes_line_by_line_and_last),
        UNIT(a_limit_below_what_is_in_use_is_refused_when_asked_for),
        UNIT(swap_that_is_not_counted_needs_no_limit_lifted),
        UNIT(what_cgroup_v2_does_not_have_or_makes_no_sense_is_refused),
    };

    return RUN_TESTS(tests);
}
