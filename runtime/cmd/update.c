/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <unistd.h>

#include "cmd.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/oci/resctrl.h"
#include "runtime/oci/scope.h"

typedef enum Kind {
    KIND_NUMBER,
    KIND_SIZE,
    KIND_TEXT,
} Kind;

typedef struct Limit {
    const char *option, *group, *key;
    Kind kind;
} Limit;

static const Limit limits[] = {
    {"memory", "memory", "limit", KIND_SIZE},
    {"memory-swap", "memory", "swap", KIND_SIZE},
    {"memory-reservation", "memory", "reservation", KIND_SIZE},
    {"cpu-share", "cpu", "shares", KIND_NUMBER},
    {"cpu-shares", "cpu", "shares", KIND_NUMBER},
    {"cpu-quota", "cpu", "quota", KIND_NUMBER},
    {"cpu-period", "cpu", "period", KIND_NUMBER},
    {"cpu-burst", "cpu", "burst", KIND_NUMBER},
    {"cpu-idle", "cpu", "idle", KIND_NUMBER},
    {"cpu-rt-period", "cpu", "realtimePeriod", KIND_NUMBER},
    {"cpu-rt-runtime", "cpu", "realtimeRuntime", KIND_NUMBER},
    {"cpuset-cpus", "cpu", "cpus", KIND_TEXT},
    {"cpuset-mems", "cpu", "mems", KIND_TEXT},
    {"blkio-weight", "blockIO", "weight", KIND_NUMBER},
    {"pids-limit", "pids", "limit", KIND_NUMBER},
};

/* "64M", "1.5g", "300KiB", "4096", "-1": powers of 1024. */
static int read_size(const char *option, const char *text, int64_t *ret, Error *e)
{
    static const char units[] = "bkmgtp";
    const char *digits = text + (*text == '-'), *unit = digits + strspn(digits, "0123456789."), *rest;
    double n = strtod(text, NULL);
    const char *at = *unit ? strchr(units, *unit | 0x20) : units;

    rest = *unit && at ? unit + 1 : unit;
    if (at && at > units && (*rest == 'i' || *rest == 'I'))
        rest++;
    if (at && at > units && (*rest == 'b' || *rest == 'B'))
        rest++;
    for (const char *u = units; at && u < at; u++)
        n *= 1024;
    if (!at || *rest || unit == digits || n > 9e18 || (n < 0 && !streq(text, "-1")) ||
        strchr(digits, '.') != strrchr(digits, '.'))
        return error_setf(e, -EINVAL, "--%s \"%s\": is no size like 4096, 64M, 1.5G, -1", option, text);
    *ret = (int64_t) n;
    return 0;
}

static int set_limit(json_t *resources, const Limit *l, const char *value, Error *e)
{
    json_t *group = json_object_get(resources, l->group);
    char option[32];
    int64_t n = 0;
    int r = 0;

    snprintf(option, sizeof(option), "--%s", l->option);
    if (l->kind == KIND_SIZE)
        r = read_size(l->option, value, &n, e);
    else if (l->kind == KIND_NUMBER)
        r = cmd_number(option, value, INT64_MIN, INT64_MAX, &n, e);
    if (r < 0)
        return r;
    if (!group)
        json_object_set_new(resources, l->group, group = json_object());
    return json_object_set_new(group, l->key, l->kind == KIND_TEXT ? json_string(value) : json_integer(n)) < 0
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

/* What the options ask for. */
typedef struct Changes {
    json_t *resources;
    const char *l3, *mem; /* lines of resctrl; NULL: none */
} Changes;

static void changes_done(Changes *c)
{
    json_decref(c->resources);
}

static int parse(int argc, char **argv, Changes *ret, Error *e)
{
    struct option options[ARRAY_SIZE(limits) + 4] = {};
    const char *file = NULL;
    int c, r;

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        options[i] = (struct option){limits[i].option, required_argument, NULL, 256 + (int) i};
    options[ARRAY_SIZE(limits)] = (struct option){"resources", required_argument, NULL, 'r'};
    options[ARRAY_SIZE(limits) + 1] = (struct option){"l3-cache-schema", required_argument, NULL, 'l'};
    options[ARRAY_SIZE(limits) + 2] = (struct option){"mem-bw-schema", required_argument, NULL, 'm'};
    ret->resources = json_object();
    while ((c = getopt_long(argc, argv, "r:", options, NULL)) != -1) {
        if (c == 'r')
            file = optarg;
        else if (c == 'l')
            ret->l3 = optarg;
        else if (c == 'm')
            ret->mem = optarg;
        else if (c < 256)
            return cmd_bad_option(argc, argv, e);
        else if ((r = set_limit(ret->resources, &limits[c - 256], optarg, e)) < 0)
            return r;
    }
    if (!file)
        return 0;
    json_decref(ret->resources);
    ret->resources = NULL;
    return read_resources(file, &ret->resources, e);
}

static int apply(const Container *c, const Changes *changes, Error *e)
{
    _cleanup_(config_freep) Config *config = NULL;
    int r = resources_apply(&c->group, changes->resources, e);

    /* systemd knows fewer limits, and those to whole percents: what it wrote is written over. */
    if (r >= 0 && c->group.unit && (r = scope_update(&c->group, changes->resources, e)) >= 0)
        r = resources_apply(&c->group, changes->resources, e);
    if (r < 0 || (!changes->l3 && !changes->mem))
        return r;
    r = container_config(c, &config, e);
    return r < 0 ? r : resctrl_update(&config->rdt, c->state.id, changes->l3, changes->mem, e);
}

int verb_update(Cli *cli, int argc, char **argv, Error *e)
{
    _cleanup_(container_done) Container container = {.dir = -EBADF, .group = CONTAINER_CGROUP_INIT};
    _cleanup_(changes_done) Changes changes = {};
    const char *id;
    Runtime rt;
    int r;

    if ((r = parse(argc, argv, &changes, e)) < 0 || (r = cmd_id(argc, argv, &id, e)) < 0 ||
        (r = cmd_runtime(cli, &rt, e)) < 0)
        return r;
    r = container_open(&rt, id, true, &container, e);
    fd_closep(&rt.root);
    if (r < 0)
        return r;
    if (container.status == STATUS_STOPPED)
        return error_setf(e, -EINVAL, "container \"%s\": container not running", id);
    return apply(&container, &changes, e);
}
