/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <unistd.h>

#include "cmd.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"

/* No inheritable capabilities: a program with file capabilities would get them. */
static const char template[] =
    "{\"ociVersion\":\"1.3.0\","
    "\"process\":{\"terminal\":true,\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"sh\"],"
    "\"env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"TERM=xterm\"],\"cwd\":\"/\","
    "\"capabilities\":{\"bounding\":[\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"],"
    "\"effective\":[\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"],"
    "\"permitted\":[\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"]},"
    "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":1024,\"soft\":1024}],\"noNewPrivileges\":true},"
    "\"root\":{\"path\":\"rootfs\",\"readonly\":true},\"hostname\":\"moss\","
    "\"mounts\":["
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
    "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
    "\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
    "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
    "\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},"
    "{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"shm\","
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\"]},"
    "{\"destination\":\"/dev/"
    "mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
    "{\"destination\":\"/"
    "sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]},"
    "{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\","
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"relatime\",\"ro\"]}],"
    "\"linux\":{\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]},"
    "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":"
    "\"mount\"},"
    "{\"type\":\"cgroup\"}],"
    "\"maskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/kcore\",\"/proc/keys\",\"/proc/latency_stats\","
    "\"/proc/timer_list\",\"/proc/timer_stats\",\"/proc/sched_debug\",\"/proc/scsi\",\"/proc/interrupts\","
    "\"/sys/firmware\",\"/sys/devices/virtual/powercap\"],"
    "\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"]}}";

/* One id is all that an unprivileged user can map without help, and it may limit nothing. */
static int make_rootless(json_t *o)
{
    json_t *linux_ = json_object_get(o, "linux"), *mounts = json_object_get(o, "mounts"), *m;
    size_t i;

    json_object_del(linux_, "resources");
    json_array_foreach (mounts, i, m) {
        json_t *options = json_object_get(m, "options");

        if (streq(json_string_value(json_object_get(m, "type")), "devpts"))
            json_array_remove(options, json_array_size(options) - 1); /* gid=5 is not mapped */
    }
    json_array_append_new(json_object_get(linux_, "namespaces"), json_pack("{s:s}", "type", "user"));
    json_object_set_new(linux_, "uidMappings",
                        json_pack("[{s:i, s:i, s:i}]", "containerID", 0, "hostID", (int) geteuid(), "size", 1));
    return json_object_set_new(linux_, "gidMappings",
                               json_pack("[{s:i, s:i, s:i}]", "containerID", 0, "hostID", (int) getegid(), "size", 1));
}

int verb_spec(Cli *cli _unused_, int argc, char **argv, Error *e)
{
    static const struct option options[] = {
        {"bundle", required_argument, NULL, 'b'}, {"rootless", no_argument, NULL, 'r'}, {}};
    _cleanup_json_ json_t *o = NULL;
    _cleanup_close_ int dir = -EBADF;
    const char *bundle = ".";
    bool rootless = false;
    int c, r;

    while ((c = getopt_long(argc, argv, "b:", options, NULL)) != -1) {
        if (c != 'b' && c != 'r')
            return cmd_bad_option(argc, argv, e);
        rootless = rootless || c == 'r';
        bundle = c == 'b' ? optarg : bundle;
    }
    r = json_parse(template, sizeof(template) - 1, "spec", &o, e);
    if (r < 0)
        return r;
    if (rootless && make_rootless(o) < 0)
        return error_errnof(e, -ENOMEM, "spec");
    dir = open(bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return error_errnof(e, -errno, "--bundle %s", bundle);
    return json_write_at(dir, "config.json", o, 0644, FILE_EXCLUSIVE, e);
}
