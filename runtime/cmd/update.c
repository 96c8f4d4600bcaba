/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <unistd.h>

#include "cmd.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/oci/scope.h"

typedef struct Limit {
    const char *option, *group, *key;
    bool text;
} Limit;

static const Limit limits[] = {
    {"memory", "memory", "limit", false},
    {"memory-swap", "memory", "swap", false},
    {"memory-reservation", "memory", "reservation", false},
    {"cpu-share", "cpu", "shares", false},
    {"cpu-shares", "cpu", "shares", false},
    {"cpu-quota", "cpu", "quota", false},
    {"cpu-period", "cpu", "period", false},
    {"cpu-burst", "cpu", "burst", false},
    {"cpu-idle", "cpu", "idle", false},
    {"cpuset-cpus", "cpu", "cpus", true},
    {"cpuset-mems", "cpu", "mems", true},
    {"blkio-weight", "blockIO", "weight", false},
    {"pids-limit", "pids", "limit", false},
};

static int set_limit(json_t *resources, const Limit *l, const char *value, Error *e)
{
    json_t *group = json_object_get(resources, l->group);
    int64_t n = 0;
    int r = l->text ? 0 : cmd_number(l->option, value, INT64_MIN, INT64_MAX, &n, e);

    if (r < 0)
        return r;
    if (!group)
        json_object_set_new(resources, l->group, group = json_object());
    return json_object_set_new(group, l->key, l->text ? json_string(value) : json_integer(n)) < 0
               ? error_setf(e, -EINVAL, "--%s \"%s\": is not valid", l->option, value)
               : 0;
}

static int read_resources(const char *path, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *o = NULL;
    _cleanup_free_ char *text = NULL;
    size_t len;
    int r;

    if (!streq(path, "-"))
        return json_read_at(AT_FDCWD, path, JSON_FILE_MAX, ret, e);
    r = file_read_fd(STDIN_FILENO, JSON_FILE_MAX, &text, &len);
    if (r < 0)
        return error_errnof(e, r, "--resources: standard input");
    r = json_parse(text, len, "--resources: standard input", &o, e);
    if (r < 0)
        return r;
    if (!json_is_object(o))
        return error_setf(e, -EINVAL, "--resources: standard input: must be an object");
    *ret = TAKE_PTR(o);
    return 0;
}

static int parse(int argc, char **argv, json_t **resources, Error *e)
{
    struct option options[ARRAY_SIZE(limits) + 2] = {};
    const char *file = NULL;
    int c, r;

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        options[i] = (struct option){limits[i].option, required_argument, NULL, 256 + (int) i};
    options[ARRAY_SIZE(limits)] = (struct option){"resources", required_argument, NULL, 'r'};
    *resources = json_object();
    while ((c = getopt_long(argc, argv, "+r:", options, NULL)) != -1) {
        if (c != 'r' && c < 256)
            return cmd_bad_option(argc, argv, e);
        if (c == 'r')
            file = optarg;
        else if ((r = set_limit(*resources, &limits[c - 256], optarg, e)) < 0)
            return r;
    }
    if (!file)
        return 0;
    json_decref(*resources);
    *resources = NULL;
    return read_resources(file, resources, e);
}

int verb_update(Cli *cli, int argc, char **argv, Error *e)
{
    _cleanup_(container_done) Container container = {.dir = -EBADF, .group = CONTAINER_CGROUP_INIT};
    _cleanup_json_ json_t *resources = NULL;
    const char *id;
    Runtime rt;
    int r;

    if ((r = parse(argc, argv, &resources, e)) < 0 || (r = cmd_id(argc, argv, &id, e)) < 0 ||
        (r = cmd_runtime(cli, &rt, e)) < 0)
        return r;
    r = container_open(&rt, id, true, &container, e);
    fd_closep(&rt.root);
    if (r < 0)
        return r;
    if (container.status == STATUS_STOPPED)
        return error_setf(e, -EINVAL, "container \"%s\": container not running", id);
    r = resources_apply(&container.group, resources, e);
    if (r < 0 || !container.group.unit)
        return r;
    /* systemd knows fewer limits, and those to whole percents: what it wrote is written over. */
    r = scope_update(&container.group, resources, e);
    return r < 0 ? r : resources_apply(&container.group, resources, e);
}
