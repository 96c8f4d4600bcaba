/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/config.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "runtime/base/file.h"
#include "tests/unit/test.h"

#define CONFIG                                                                                                         \
    "{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"rootfs\"},\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"%s}%s}"

static int parse(const char *process, const char *rest, Config **ret, Error *e)
{
    char text[8192];
    json_t *doc;

    snprintf(text, sizeof(text), CONFIG, process, rest);
    doc = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(doc);
    return config_parse(doc, ret, e);
}

TEST(the_least_configuration_is_accepted)
{
    _cleanup_(config_freep) Config *c = NULL;

    assert_int_equal(parse("", "", &c, NULL), 0);
    assert_string_equal(c->root, "rootfs");
    assert_string_equal(c->process.args[0], "sh");
    assert_null(c->process.env);
    assert_null(c->process.capabilities);
    assert_int_equal(c->root_propagation, MS_SLAVE | MS_REC);
}

TEST(what_the_specification_does_not_know_is_ignored)
{
    _cleanup_(config_freep) Config *c = NULL;

    assert_int_equal(parse(",\"new\":1", ",\"newer\":{\"x\":[]}", &c, NULL), 0);
}

/* What is wrong, and the words that say so. */
TEST(wrong_values_are_refused_with_their_place)
{
    static const struct {
        const char *process, *rest, *words;
    } table[] = {
        {",\"user\":{\"uid\":-1}", "", "process.user.uid"},
        {",\"user\":{\"uid\":4294967295}", "", "process.user"},
        {",\"user\":{\"additionalGids\":[1,\"x\"]}", "", "additionalGids: element 1"},
        {",\"user\":{\"umask\":512}", "", "umask"},
        {",\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]", "", "no such limit"},
        {",\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":2,\"hard\":1}]", "", "soft is above hard"},
        {",\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":1,\"hard\":1},{\"type\":\"RLIMIT_CORE\",\"soft\":1,\"hard\":"
         "1}]",
         "", "given twice"},
        {",\"oomScoreAdj\":1001", "", "oomScoreAdj"},
        {",\"ioPriority\":{\"class\":\"X\"}", "", "no such class"},
        {",\"scheduler\":{\"policy\":\"X\"}", "", "no such policy"},
        {",\"execCPUAffinity\":{\"initial\":\"0-\"}", "", "execCPUAffinity: \"0-\" is no list of CPUs"},
        {"", ",\"annotations\":{\"a\":1}", "annotations: \"a\": must be a string"},
        {"", ",\"annotations\":{\"\":\"x\"}", "must not be empty"},
        {"", ",\"hostname\":\"x\"", "needs a uts namespace"},
        {"", ",\"mounts\":[{\"type\":\"tmpfs\"}]", "mounts[0]"},
        {"", ",\"mounts\":[{\"destination\":\"/x\"}]", "a bind mount needs one"},
        {"", ",\"mounts\":[{\"destination\":\"/x\",\"source\":\"/\",\"uidMappings\":[{}]}]", "mounts[0].uidMappings"},
        {"",
         ",\"mounts\":[{\"destination\":\"/x\",\"source\":\"/"
         "\",\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1}]}]",
         "one without the other"},
        {"",
         ",\"linux\":{\"namespaces\":[{\"type\":\"mount\"}]},\"mounts\":[{\"destination\":\"/"
         "x\",\"source\":\"/\",\"options\":[\"ridmap\"]}]",
         "\"ridmap\" needs uidMappings"},
        {"", ",\"linux\":{\"namespaces\":[{\"type\":\"x\"}]}", "no such type"},
        {"", ",\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]}", "given twice"},
        {"", ",\"linux\":{\"namespaces\":[{\"type\":\"pid\",\"path\":\"x\"}]}", "not an absolute path"},
        {"", ",\"linux\":{\"namespaces\":[{\"type\":\"user\"}]}", "needs both"},
        {"", ",\"linux\":{\"uidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":1}]}", "need a user namespace"},
        {"", ",\"linux\":{\"uidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":0}]}", "size"},
        {"", ",\"linux\":{\"timeOffsets\":{\"realtime\":{}}}", "no such clock"},
        {"", ",\"linux\":{\"devices\":[{\"path\":\"/dev/x\",\"type\":\"q\"}]}", "none of c, u, b, p"},
        {"", ",\"linux\":{\"devices\":[{\"path\":\"/dev/x\",\"type\":\"c\"}]}", "major and minor"},
        {"", ",\"linux\":{\"rootfsPropagation\":\"x\"}", "no such propagation"},
        {"", ",\"linux\":{\"personality\":{\"domain\":\"x\"}}", "neither LINUX nor LINUX32"},
        {"", ",\"linux\":{\"personality\":{\"domain\":\"LINUX\",\"flags\":[\"x\"]}}", "none is defined"},
        {"", ",\"linux\":{\"intelRdt\":{\"closID\":\"x/y\"}}", "closID: \"x/y\" is no name"},
        {"", ",\"linux\":{\"intelRdt\":{\"closID\":\"mon_groups\"}}", "is no name of a class"},
        {"", ",\"linux\":{\"intelRdt\":{\"memBwSchema\":\"L3:0=1\"}}", "memBwSchema"},
        {"", ",\"linux\":{\"intelRdt\":{\"schemata\":[\"a\\nb\"]}}", "must be one line"},
        {"", ",\"linux\":{\"memoryPolicy\":{}}", "memoryPolicy.mode"},
        {"", ",\"linux\":{\"memoryPolicy\":{\"mode\":\"MPOL_X\"}}", "no such mode"},
        {"", ",\"linux\":{\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"flags\":[\"x\"]}}", "no such flag"},
        {"", ",\"linux\":{\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"3-1\"}}", "no list of nodes"},
        {"", ",\"linux\":{\"netDevices\":{\"eth0\":{}}}", "need a network namespace"},
        {"", ",\"linux\":{\"netDevices\":{\"e/h\":{}}}", "no name of a network device"},
        {"", ",\"linux\":{\"netDevices\":{\"eth0\":{\"name\":\"%s\"}}}", "\"%s\" is no name of a network device"},
        {"", ",\"linux\":{\"netDevices\":{\"a\":{\"name\":\"x\"},\"b\":{\"name\":\"x\"}}}", "two devices"},
        {"",
         ",\"linux\":{\"namespaces\":[{\"type\":\"time\",\"path\":\"/"
         "x\"}],\"timeOffsets\":{\"boottime\":{\"secs\":1}}}",
         "need a new time namespace"},
        {"", ",\"linux\":{\"sysctl\":{\"a\":1}}", "must be a string"},
        {"", ",\"hooks\":{\"poststart\":[{\"path\":\"x\"}]}", "hooks.poststart[0]"},
        {"", ",\"hooks\":{\"poststart\":{}}", "poststart"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        Config *c = NULL;
        Error e = {};

        assert_true(parse(table[i].process, table[i].rest, &c, &e) < 0);
        assert_null(c);
        if (!strstr(e.text, table[i].words))
            fail_msg("\"%s\" lacks \"%s\"", e.text, table[i].words);
    }
}

TEST(what_is_given_is_taken_over)
{
    _cleanup_(config_freep) Config *c = NULL;
    Error e = {};
    int r = parse(",\"user\":{\"uid\":1,\"gid\":2,\"additionalGids\":[3]},\"oomScoreAdj\":-5,\"terminal\":true,"
                  "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":3,\"hard\":-1}]",
                  ",\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"network\",\"path\":\"/run/n\"}],"
                  "\"devices\":[{\"path\":\"/dev/x\",\"type\":\"b\",\"major\":8,\"minor\":1,\"fileMode\":416}],"
                  "\"rootfsPropagation\":\"rshared\"}",
                  &c, &e);

    assert_int_equal(r, 0);
    assert_int_equal(c->process.uid, 1);
    assert_int_equal(c->process.groups[0], 3);
    assert_int_equal(c->process.oom_score_adj, -5);
    assert_true(c->process.rlimits[0].limit.rlim_max == RLIM_INFINITY);
    assert_true(config_new(c, NS_MOUNT));
    assert_false(config_new(c, NS_NETWORK));
    assert_string_equal(c->namespaces[NS_NETWORK].path, "/run/n");
    assert_true(c->devices[0].number == makedev(8, 1) && c->devices[0].type == S_IFBLK && c->devices[0].mode == 0640);
    assert_int_equal(c->root_propagation, MS_SHARED | MS_REC);
}

/* What another platform or a later version defines, and what engines give though it changes nothing. */
TEST(what_is_not_for_this_container_is_passed_over)
{
    _cleanup_(config_freep) Config *c = NULL;
    Error e = {};
    int r = parse(",\"commandLine\":\"a b\",\"later\":{\"x\":1}",
                  ",\"windows\":{\"layerFolders\":[]},\"solaris\":{},\"vm\":{},\"zos\":{},\"freebsd\":{},"
                  "\"linux\":{\"namespaces\":[{\"type\":\"user\",\"path\":\"/run/u\"}],"
                  "\"uidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":1}]}",
                  &c, &e);

    assert_int_equal(r, 0);
    assert_false(config_new(c, NS_USER));
}

TEST(what_the_host_gives_up_is_taken_over)
{
    _cleanup_(config_freep) Config *c = NULL;
    Error e = {};
    int r = parse(
        ",\"execCPUAffinity\":{\"initial\":\"0\",\"final\":\"0-3,7\"}",
        ",\"linux\":{\"namespaces\":[{\"type\":\"network\"}],"
        "\"memoryPolicy\":{\"mode\":\"MPOL_PREFERRED_MANY\",\"nodes\":\"0,2-3\",\"flags\":[\"MPOL_F_STATIC_NODES\"]},"
        "\"netDevices\":{\"dev0\":{\"name\":\"eth%d\"},\"dev1\":{}},"
        "\"intelRdt\":{\"closID\":\"gold\",\"schemata\":[\"L3:0=f\",\"MB:0=20\"],\"enableMonitoring\":true}}",
        &c, &e);

    assert_int_equal(r, 0);
    assert_string_equal(c->process.final_cpus, "0-3,7");
    assert_true(c->memory_policy.wanted);
    assert_int_equal(c->memory_policy.mode, 5 | 1 << 15);
    assert_int_equal(c->n_net_devices, 2);
    assert_string_equal(c->net_devices[0].target, "eth%d");
    assert_string_equal(c->net_devices[1].target, "dev1");
    assert_true(c->rdt.wanted && c->rdt.monitoring);
    assert_string_equal(c->rdt.schemata[1], "MB:0=20");
}

TEST(mapped_owners_default_to_those_of_the_container)
{
    _cleanup_(config_freep) Config *c = NULL;
    Error e = {};
    int r =
        parse("",
              ",\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"user\"}],"
              "\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}],"
              "\"gidMappings\":[{\"containerID\":0,\"hostID\":200000,\"size\":65536}]},"
              "\"mounts\":[{\"destination\":\"/a\",\"source\":\"/a\",\"options\":[\"rbind\",\"ridmap\"]},"
              "{\"destination\":\"/b\",\"source\":\"/b\",\"uidMappings\":[{\"containerID\":1,\"hostID\":2,\"size\":3}],"
              "\"gidMappings\":[{\"containerID\":4,\"hostID\":5,\"size\":6}]}]",
              &c, &e);

    assert_int_equal(r, 0);
    assert_int_equal(c->mounts[0].n_gid_map, 1);
    assert_int_equal(c->mounts[0].gid_map[0].outside, 200000);
    assert_true(c->mounts[1].options.idmap && !c->mounts[1].options.idmap_recursive);
    assert_int_equal(c->mounts[1].uid_map[0].outside, 2);
}

TEST(numbers_beyond_64_signed_bits_become_the_largest)
{
    _cleanup_(config_freep) Config *c = NULL;
    char dir[] = "/tmp/moss-test-XXXXXX";
    const char *text =
        "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"annotations\":{\"a\":\"18446744073709551615 \\\" x\"},"
        "\"process\":{\"args\":[\"x\"],\"cwd\":\"/"
        "\",\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":9223372036854775807,"
        "\"hard\":18446744073709551615}]}}";
    int fd, r;

    assert_non_null(mkdtemp(dir));
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(file_write_at(fd, "config.json", text, strlen(text), 0600, 0), 0);
    r = config_load(fd, "config.json", &c, NULL);
    unlinkat(fd, "config.json", 0);
    close(fd);
    rmdir(dir);
    assert_int_equal(r, 0);
    assert_true(c->process.rlimits[0].limit.rlim_max == RLIM_INFINITY);
    assert_string_equal(json_string_value(json_object_get(c->annotations, "a")), "18446744073709551615 \" x");
}

/* An argument of a system call is 64 bits, not a quantity. */
TEST(large_values_of_seccomp_rules_keep_their_bits)
{
    static const struct {
        const char *in, *out;
    } table[] = {
        {"{\"value\":18446744073709551615}", "{\"value\":-1                  }"},
        {"{\"valueTwo\":9223372036854775808,\"x\":1}", "{\"valueTwo\":-9223372036854775808,\"x\":1}"},
        {"{\"value\":9223372036854775807}", "{\"value\":9223372036854775807}"},
        {"{\"value\" : 18446744073709551616}", "{\"value\" : 9223372036854775807 }"},
        {"{\"limit\":9999999999999999999}", "{\"limit\":9223372036854775807}"},
        {"{\"limit\":18446744073709551615,\"value\":1}", "{\"limit\":9223372036854775807 ,\"value\":1}"},
        {"{\"v\":\"a\\\" 18446744073709551615\",\"w\":18446744073709551615.0}",
         "{\"v\":\"a\\\" 18446744073709551615\",\"w\":18446744073709551615.0}"},
        {"\"18446744073709551615\\", "\"18446744073709551615\\"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        char *text = strdup(table[i].in);
        size_t len = strlen(table[i].in);

        assert_non_null(text);
        assert_int_equal(config_narrow_numbers(&text, &len), 0);
        assert_string_equal(text, table[i].out);
        assert_int_equal(len, strlen(table[i].out));
        free(text);
    }
}

static int load_text(const char *text, Config **ret, Error *e)
{
    return config_read_text(strdup(text), strlen(text), ret, e);
}

#define AROUND(linux_)                                                                                                 \
    "{\"ociVersion\":\"1.0.0\",\"x\":[{\"linux\":{\"seccomp\":{}}},\"}\\\"{\"],\"root\":{\"path\":\"r\"}," linux_ "}"

/* It is found wherever the document has it, and means what it means when all is parsed at once. */
TEST(seccomp_is_left_as_text_until_it_is_asked_for)
{
    static const char *const texts[] = {
        AROUND("\"linux\":{\"seccomp\":{\"defaultAction\":\"}{\\\"\",\"a\":[{}]}}"),
        AROUND(" \"linux\" :\n{ \"a\" : -1.5e3 , \"b\":[ [ \"]\" ] ],\"seccomp\" : "
               "{\"defaultAction\":\"}{\\\"\",\"a\":[{}]} , \"c\":null }"),
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_(config_freep) Config *c = NULL;
        Error e = {};

        assert_int_equal(load_text(texts[i], &c, &e), 0);
        assert_true(c->seccomp_unread);
        assert_int_equal(json_object_size(c->seccomp), 0);
        assert_int_equal(c->seccomp_len, strlen("{\"defaultAction\":\"}{\\\"\",\"a\":[{}]}"));
        assert_int_equal(config_seccomp(c, &e), 0);
        assert_int_equal(config_seccomp(c, &e), 0);
        assert_string_equal(json_string_value(json_object_get(c->seccomp, "defaultAction")), "}{\"");
    }
}

TEST(seccomp_that_is_not_found_as_text_is_parsed_with_the_rest)
{
    static const char *const texts[] = {
        AROUND("\"li\\u006eux\":{\"seccomp\":{\"defaultAction\":\"x\"}}"),
        AROUND("\"linux\":{\"s\\u0065ccomp\":{\"defaultAction\":\"x\"}}"),
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_(config_freep) Config *c = NULL;
        Error e = {};

        assert_int_equal(load_text(texts[i], &c, &e), 0);
        assert_false(c->seccomp_unread);
        assert_string_equal(json_string_value(json_object_get(c->seccomp, "defaultAction")), "x");
    }
}

TEST(malformed_documents_are_refused_where_they_are_malformed)
{
    static const struct {
        const char *text, *error;
    } table[] = {
        {AROUND("\"linux\":{\"seccomp\":{},\n\"seccomp\":{}}"), "line 2"},
        {AROUND("\"linux\":{\"seccomp\":{}},\n\"linux\":{}"), "line 2"},
        {AROUND("\"linux\":{\"seccomp\":{\n}},\n\"y\":"), "line 3"},
        {AROUND("\"linux\":{\"seccomp\":{\"\n"), "line 1"},
        {AROUND("\"linux\":{\"seccomp\":[]}"), "linux.seccomp"},
        {AROUND("\"linux\":{\"seccomp\":{}"), "line 1"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        _cleanup_(config_freep) Config *c = NULL;
        Error e = {};

        assert_true(load_text(table[i].text, &c, &e) < 0);
        if (!strstr(e.text, table[i].error))
            fail_msg("%zu: %s", i, e.text);
    }
    {
        _cleanup_(config_freep) Config *c = NULL;
        Error e = {};

        assert_int_equal(load_text(AROUND("\"linux\":{\"seccomp\":{\n\"a\":}}"), &c, &e), 0);
        assert_true(config_seccomp(c, &e) < 0);
        assert_non_null(strstr(e.text, "line 2"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(the_least_configuration_is_accepted),
        UNIT(what_the_specification_does_not_know_is_ignored),
        UNIT(wrong_values_are_refused_with_their_place),
        UNIT(what_is_given_is_taken_over),
        UNIT(what_is_not_for_this_container_is_passed_over),
        UNIT(what_the_host_gives_up_is_taken_over),
        UNIT(mapped_owners_default_to_those_of_the_container),
        UNIT(large_values_of_seccomp_rules_keep_their_bits),
        UNIT(numbers_beyond_64_signed_bits_become_the_largest),
        UNIT(seccomp_is_left_as_text_until_it_is_asked_for),
        UNIT(seccomp_that_is_not_found_as_text_is_parsed_with_the_rest),
        UNIT(malformed_documents_are_refused_where_they_are_malformed),
    };

    return RUN_TESTS(tests);
}
