/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <sys/capability.h>

#include "cmd.h"
#include "runtime/box/seccomp.h"
#include "runtime/oci/mount-options.h"

static void add(void *array, const char *name)
{
    json_array_append_new(array, json_string(name));
}

static json_t *names(const char *const *list, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        add(array, list[i]);
    return array;
}

static json_t *capabilities(void)
{
    json_t *array = json_array();

    for (int i = 0; i <= cap_max_bits() - 1; i++) {
        char *name = cap_to_name(i), upper[64];
        size_t n = 0;

        for (; name && name[n] && n + 1 < sizeof(upper); n++)
            upper[n] = name[n] >= 'a' && name[n] <= 'z' ? (char) (name[n] - 32) : name[n];
        upper[n] = '\0';
        if (n > 0)
            add(array, upper);
        cap_free(name);
    }
    return array;
}

static json_t *mount_options(void)
{
    json_t *array = json_array();

    mount_options_each(add, array);
    return array;
}

static json_t *words(SeccompWords which)
{
    json_t *array = json_array();

    seccomp_each_word(which, add, array);
    return array;
}

static json_t *linux_features(void)
{
    json_t *cgroup =
        json_pack("{s:b, s:b, s:b, s:b, s:b}", "v1", 0, "v2", 1, "systemd", 1, "systemdUser", 1, "rdma", 1);
    json_t *seccomp = json_pack("{s:b, s:o, s:o, s:o, s:o, s:o}", "enabled", 1, "actions", words(SECCOMP_ACTIONS),
                                "operators", words(SECCOMP_OPERATORS), "archs", words(SECCOMP_ARCHITECTURES),
                                "knownFlags", words(SECCOMP_FLAGS), "supportedFlags", words(SECCOMP_KERNEL_FLAGS));
    json_t *policy = json_pack("{s:o, s:o}", "modes", names(memory_policy_modes, MEMORY_POLICY_MODES), "flags",
                               names(memory_policy_flags, MEMORY_POLICY_FLAGS));

    return json_pack("{s:o, s:o, s:o, s:o, s:{s:b}, s:{s:b}, s:o, s:{s:b, s:b, s:b}, s:{s:{s:b}}, s:{s:b}}",
                     "namespaces", names(namespace_names, NS_MAX), "capabilities", capabilities(), "cgroup", cgroup,
                     "seccomp", seccomp, "apparmor", "enabled", 1, "selinux", "enabled", 1, "memoryPolicy", policy,
                     "intelRdt", "enabled", 1, "schemata", 1, "monitoring", 1, "mountExtensions", "idmap", "enabled", 1,
                     "netDevices", "enabled", 1);
}

/* Engines look for "checkpoint.enabled" under the name that the first runtime to tell of it has given it. */
static json_t *annotations(void)
{
    return json_pack("{s:s, s:s}", "org.moss.runtime.version", MOSS_VERSION,
                     "org.opencontainers.runc.checkpoint.enabled", "true");
}

int verb_features(Cli *cli _unused_, int argc, char **argv, Error *e)
{
    static const struct option options[] = {{}};
    static const char *const unsafe[] = {"org.systemd.property.", "run.oci.systemd.subgroup", CONFIG_KEEP_GROUPS};

    if (getopt_long(argc, argv, "", options, NULL) != -1 || argc != optind)
        return cmd_bad_option(argc, argv, e);
    return cmd_print(json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "ociVersionMin", "1.0.0", "ociVersionMax",
                               "1.3.0", "hooks", names(hook_names, HOOK_MAX), "mountOptions", mount_options(), "linux",
                               linux_features(), "annotations", annotations(), "potentiallyUnsafeConfigAnnotations",
                               names(unsafe, ARRAY_SIZE(unsafe))),
                     JSON_INDENT(2), e);
}
