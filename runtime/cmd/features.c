/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <sys/capability.h>

#include "cmd.h"
#include "runtime/oci/mount-options.h"

/* A list of strings, NULL-terminated. */
static json_t *strings(const char *const *list)
{
    json_t *array = json_array();

    for (; *list; list++)
        json_array_append_new(array, json_string(*list));
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
            json_array_append_new(array, json_string(upper));
        cap_free(name);
    }
    return array;
}

static json_t *names(const char *const *list, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, json_string(list[i]));
    return array;
}

static json_t *linux_features(void)
{
    static const char *const actions[] = {"SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO",       "SCMP_ACT_KILL",
                                          "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
                                          "SCMP_ACT_TRACE",        "SCMP_ACT_TRAP",        NULL};
    static const char *const operators[] = {"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",        "SCMP_CMP_LE",
                                            "SCMP_CMP_LT", "SCMP_CMP_NE", "SCMP_CMP_MASKED_EQ", NULL};

    return json_pack(
        "{s:o, s:o, s:{s:b, s:b, s:b, s:b, s:b}, s:{s:b, s:o, s:o}, s:{s:b}, s:{s:b}, s:{s:b}, s:{s:{s:b}}}",
        "namespaces", names(namespace_names, NS_MAX), "capabilities", capabilities(), "cgroup", "v1", 0, "v2", 1,
        "systemd", 0, "systemdUser", 0, "rdma", 1, "seccomp", "enabled", 1, "actions", strings(actions), "operators",
        strings(operators), "apparmor", "enabled", 1, "selinux", "enabled", 1, "intelRdt", "enabled", 0,
        "mountExtensions", "idmap", "enabled", 0);
}

int verb_features(Cli *cli _unused_, int argc, char **argv, Error *e)
{
    static const struct option options[] = {{}};
    static const char *const mount_options[] = {
        "async",     "atime",        "bind",        "defaults",    "dev",
        "diratime",  "dirsync",      "exec",        "lazytime",    "noatime",
        "nodev",     "nodiratime",   "noexec",      "norelatime",  "nostrictatime",
        "nosuid",    "nosymfollow",  "private",     "ratime",      "rbind",
        "rdev",      "rdiratime",    "relatime",    "rexec",       "rnoatime",
        "rnodev",    "rnodiratime",  "rnoexec",     "rnorelatime", "rnostrictatime",
        "rnosuid",   "rnosymfollow", "ro",          "rprivate",    "rrelatime",
        "rro",       "rrw",          "rshared",     "rslave",      "rstrictatime",
        "rsuid",     "rsymfollow",   "runbindable", "rw",          "shared",
        "slave",     "strictatime",  "suid",        "symfollow",   "sync",
        "tmpcopyup", "unbindable",   NULL,
    };

    if (getopt_long(argc, argv, "+", options, NULL) != -1 || argc != optind)
        return cmd_bad_option(argc, argv, e);
    return cmd_print(json_pack("{s:s, s:s, s:o, s:o, s:o, s:{s:s}}", "ociVersionMin", "1.0.0", "ociVersionMax", "1.3.0",
                               "hooks", names(hook_names, HOOK_MAX), "mountOptions", strings(mount_options), "linux",
                               linux_features(), "annotations", "org.moss.runtime.version", MOSS_VERSION),
                     e);
}
