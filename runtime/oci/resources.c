/* SPDX-License-Identifier: Apache-2.0 */
#include "resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "device-filter.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/process.h"
#include "runtime/base/strbuf.h"
#include "runtime/box/cgroup.h"
#include "scope.h"

#define AT "linux.resources"
#define REMAINS_TIMEOUT (2 * USEC_PER_SEC)

void container_cgroup_done(ContainerCgroup *g)
{
    fd_closep(&g->fd);
    fd_closep(&g->top);
    free(g->path);
    free(g->unit);
    *g = CONTAINER_CGROUP_INIT;
}

/* Root of a user namespace that somebody made (an engine without privilege) may less than its id says. */
static bool privileged(void)
{
    return geteuid() == 0 && process_in_initial_userns();
}

static bool wants_limits(const json_t *o)
{
    const char *key;
    json_t *v;

    json_object_foreach ((json_t *) o, key, v)
        if (!streq(key, "devices") && (json_object_size(v) > 0 || json_array_size(v) > 0))
            return true;
    return false;
}

/* Where relative cgroupsPaths start, below the top. Root's is made with the rest of the path. */
static int base_path(char **ret, Error *e)
{
    _cleanup_close_ int base = -EBADF;
    _cleanup_free_ char *own = NULL;
    int r;

    if (process_is_system()) {
        *ret = strdup("moss");
        return *ret ? 0 : -ENOMEM;
    }
    base = cgroup_open_base(e); /* makes it */
    if (base < 0)
        return base;
    r = cgroup_path_of(0, &own, e);
    if (r < 0)
        return r;
    *ret = *own ? xasprintf("%s/moss", own) : strdup("moss");
    return *ret ? 0 : -ENOMEM;
}

static int choose_path(const Config *c, const char *id, char **ret, Error *e)
{
    const char *path = c->cgroups_path && *c->cgroups_path ? c->cgroups_path : id;
    _cleanup_free_ char *base = NULL;
    int r;

    if (path[0] == '/') {
        *ret = strdup(path + strspn(path, "/"));
        return *ret ? 0 : -ENOMEM;
    }
    if (strchr(path, ':'))
        return error_setf(e, -EINVAL, "linux.cgroupsPath \"%s\": this form is for --systemd-cgroup", path);
    r = base_path(&base, e);
    if (r < 0)
        return r;
    *ret = xasprintf("%s/%s", base, path);
    return *ret ? 0 : -ENOMEM;
}

/* Somebody else's, for the container to be put into. In a frozen one its process would never get to be one. */
static int check_found(ContainerCgroup *g, Error *e)
{
    uint64_t asked = 0, frozen = 0, populated = 0;

    (void) cgroup_get(g->fd, "cgroup.freeze", NULL, &asked);
    (void) cgroup_get(g->fd, "cgroup.events", "frozen", &frozen); /* by what is above, too */
    (void) cgroup_get(g->fd, "cgroup.events", "populated", &populated);
    g->shared = populated;
    return asked || frozen ? error_setf(e, -EBUSY, "container's cgroup unexpectedly frozen: /%s", g->path) : 0;
}

static int make(const Config *c, const char *id, ContainerCgroup *g, Error *e)
{
    bool given, found = false;
    int r;

    g->top = cgroup_open_top(e);
    if (g->top < 0)
        return g->top;
    r = choose_path(c, id, &g->path, e);
    if (r < 0)
        return r;
    g->fd = cgroup_make_or_find(g->top, g->path, &found, e);
    if (g->fd >= 0)
        return found ? check_found(g, e) : 0;
    /* one of our choice may be missing */
    given = c->cgroups_path && c->cgroups_path[0] == '/';
    r = !given && geteuid() == 0 && (g->fd == -EROFS || g->fd == -EACCES || g->fd == -EPERM) ? -EOPNOTSUPP : g->fd;
    return error_wrapf(e, r, "linux.cgroupsPath");
}

int container_cgroup_make(const Config *c, const char *id, ContainerCgroup *ret, Error *e)
{
    _cleanup_(container_cgroup_done) ContainerCgroup g = CONTAINER_CGROUP_INIT;
    Error why = {};
    int r = make(c, id, &g, &why);

    if (r == -EOPNOTSUPP || ((r == -EACCES || r == -EPERM) && !privileged())) {
        if (wants_limits(c->resources))
            return error_setf(e, r, AT ": limits need a cgroup: %s", why.text);
        container_cgroup_done(&g);
        r = 0;
    }
    if (r < 0)
        return error_setf(e, r, "%s", why.text);
    *ret = g;
    g = CONTAINER_CGROUP_INIT;
    return 0;
}

int container_cgroup_open(const char *path, const char *unit, ContainerCgroup *ret, Error *e)
{
    _cleanup_(container_cgroup_done) ContainerCgroup g = CONTAINER_CGROUP_INIT;

    if (path) {
        g.top = cgroup_open_top(e);
        if (g.top < 0)
            return g.top;
        g.path = strdup(path);
        g.unit = unit ? strdup(unit) : NULL;
        if (!g.path || (unit && !g.unit))
            return error_errnof(e, -ENOMEM, "cgroup");
        g.fd = openat_beneath(g.top, path, O_PATH | O_DIRECTORY, 0);
        if (g.fd < 0 && g.fd != -ENOENT)
            return error_errnof(e, g.fd, "cgroup %s", path);
    }
    *ret = g;
    g = CONTAINER_CGROUP_INIT;
    return 0;
}

int container_cgroup_remove(const ContainerCgroup *g, Error *e)
{
    Error why = {};
    int r = g->unit ? scope_remove(g, &why) : g->path ? cgroup_remove(g->top, g->path, &why) : 0;

    /* somebody else has removed it meanwhile */
    return r == -ENOENT || r == -ENODEV || r >= 0 ? 0 : error_setf(e, r, "%s", why.text);
}

int container_cgroup_remove_remains(const Config *c, const char *id, Error *e)
{
    _cleanup_(container_cgroup_done) ContainerCgroup g = CONTAINER_CGROUP_INIT;
    uint64_t deadline = clock_now() + REMAINS_TIMEOUT, populated = 0;

    g.top = cgroup_open_top(NULL);
    if (g.top < 0 || choose_path(c, id, &g.path, NULL) < 0)
        return 0; /* so there was none */
    g.fd = openat_beneath(g.top, g.path, O_PATH | O_DIRECTORY, 0);
    if (g.fd < 0)
        return 0;
    while (cgroup_get(g.fd, "cgroup.events", "populated", &populated) >= 0 && populated) {
        struct timespec tick = {.tv_nsec = 2000000};

        if (clock_now() > deadline)
            return 0;
        nanosleep(&tick, NULL);
    }
    return container_cgroup_remove(&g, e);
}

/* ---- limits ---- */

/* Makes sure of the controller, which may have to be passed down from the top. */
static int need(const ContainerCgroup *g, const char *controller, const char *limit, Error *e)
{
    int r = 0;

    if (g->fd < 0)
        return error_setf(e, -EOPNOTSUPP, AT ".%s: this container has no cgroup", limit);
    if (cgroup_has(g->fd, controller))
        return 0;
    for (size_t i = 0; r >= 0 && (i == 0 || g->path[i - 1]); i++) {
        _cleanup_close_ int at = -EBADF;
        char prefix[4096];

        if (i > 0 && g->path[i] != '/')
            continue; /* every ancestor, none that is the cgroup itself */
        snprintf(prefix, sizeof(prefix), "%.*s", (int) i, g->path);
        at = openat_beneath(g->top, i ? prefix : ".", O_PATH | O_DIRECTORY, 0);
        r = at < 0 ? at : cgroup_pass_on(at, controller);
    }
    if (!cgroup_has(g->fd, controller))
        return error_setf(e, -EOPNOTSUPP,
                          AT ".%s: the requested cgroup controller `%s` is not available for cgroup /%s", limit,
                          controller, g->path);
    return 0;
}

int resources_set(const ContainerCgroup *g, const char *limit, const char *file, const char *value, Error *e)
{
    char controller[32];
    int r;

    snprintf(controller, sizeof(controller), "%.*s", (int) strcspn(file, "."), file);
    r = need(g, controller, limit, e);
    if (r < 0)
        return r;
    r = cgroup_set(g->fd, file, value, e);
    return r < 0 ? error_wrapf(e, r, AT ".%s", limit) : 0;
}

int resources_set_number(const ContainerCgroup *g, const char *limit, const char *file, int64_t n, Error *e)
{
    char value[32];

    snprintf(value, sizeof(value), "%" PRIi64, n);
    return resources_set(g, limit, file, n < 0 || n == INT64_MAX ? "max" : value, e);
}

/* "No limit" is written only where there is one to be lifted. */
static bool wanted(const ContainerCgroup *g, const char *controller, int64_t n)
{
    return n > 0 || (n < 0 && g->fd >= 0 && cgroup_has(g->fd, controller));
}

static int refuse(const json_t *o, const char *group, const char *const *keys, Error *e)
{
    for (; *keys; keys++) {
        json_t *v = json_object_get(o, *keys);

        if (json_is_true(v) || (json_is_integer(v) && json_integer_value(v) > 0))
            return error_setf(e, -EOPNOTSUPP, AT ".%s.%s: cgroup v2 has no such limit", group, *keys);
    }
    return 0;
}

/* cgroup v1 refused a limit below what is used; v2 kills for it, unless it is asked not to (checkBeforeUpdate). */
static int check_usage(const ContainerCgroup *g, const json_t *o, int64_t limit, Error *e)
{
    bool check = false;
    uint64_t now;
    int r = json_want_bool(o, (JsonAt){"config.json", AT ".memory"}, "checkBeforeUpdate", &check, e);

    if (r < 0 || !check || limit <= 0 || g->fd < 0 || cgroup_get(g->fd, "memory.current", NULL, &now) < 0)
        return r;
    return now > (uint64_t) limit
               ? error_setf(e, -EBUSY, AT ".memory.limit: %" PRIi64 " bytes, but %" PRIu64 " are in use", limit, now)
               : 0;
}

/* Where the kernel does not count swap there is no file, and nothing to be lifted or forbidden. */
static int apply_swap(const ContainerCgroup *g, int64_t swap, int64_t limit, Error *e)
{
    int64_t n = swap < 0 || swap == INT64_MAX ? -1 : swap - limit;

    if (!wanted(g, "memory", swap))
        return 0;
    if (n <= 0 && g->fd >= 0 && faccessat(g->fd, "memory.swap.max", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        return 0;
    return resources_set_number(g, "memory.swap", "memory.swap.max", n, e);
}

static int apply_memory(const ContainerCgroup *g, const json_t *o, Error *e)
{
    static const char *const gone[] = {"kernel", "kernelTCP", "swappiness", "disableOOMKiller", NULL};
    JsonAt at = {"config.json", AT ".memory"};
    int64_t limit = 0, swap = 0, reservation = 0;
    uint64_t now;
    int r;

    if ((r = json_want_integer(o, at, "limit", -1, INT64_MAX, &limit, e)) < 0 ||
        (r = json_want_integer(o, at, "swap", -1, INT64_MAX, &swap, e)) < 0 ||
        (r = json_want_integer(o, at, "reservation", -1, INT64_MAX, &reservation, e)) < 0 ||
        (r = refuse(o, "memory", gone, e)) < 0)
        return r;
    if (limit < 0 && swap == 0)
        swap = -1;
    if (swap > 0 && limit == 0 && g->fd >= 0 && cgroup_get(g->fd, "memory.max", NULL, &now) >= 0 && now < INT64_MAX)
        limit = (int64_t) now;
    /* `swap` is memory and swap together, as cgroup v1 counted it */
    if (swap > 0 && (limit <= 0 || swap < limit))
        return error_setf(e, -EINVAL,
                          AT ".memory.swap: counts memory and swap together: it must be at least memory.limit");
    if ((r = check_usage(g, o, limit, e)) < 0)
        return r;
    if (wanted(g, "memory", limit) && (r = resources_set_number(g, "memory.limit", "memory.max", limit, e)) < 0)
        return r;
    if ((r = apply_swap(g, swap, limit, e)) < 0)
        return r;
    if (wanted(g, "memory", reservation) &&
        (r = resources_set_number(g, "memory.reservation", "memory.low", reservation, e)) < 0)
        return r;
    return 0;
}

int64_t resources_cpu_weight(int64_t shares)
{
    return 1 + (MIN(MAX(shares, 2), 262144) - 2) * 9999 / 262142;
}

/* The part of cpu.max that is not given stays as it is. */
static int apply_bandwidth(const ContainerCgroup *g, int64_t quota, int64_t period, Error *e)
{
    char value[64] = "max";
    uint64_t now;

    if (period <= 0 && !wanted(g, "cpu", quota))
        return 0;
    if (quota == 0 && g->fd >= 0 && cgroup_get(g->fd, "cpu.max", NULL, &now) >= 0 && now < INT64_MAX)
        quota = (int64_t) now;
    if (quota > 0)
        snprintf(value, sizeof(value), "%" PRIi64, quota);
    if (period > 0)
        snprintf(value + strlen(value), sizeof(value) - strlen(value), " %" PRIi64, period);
    return resources_set(g, "cpu.quota", "cpu.max", value, e);
}

/* A burst is never above the quota, so an old one may be in the way of a new quota. */
static int apply_quota(const ContainerCgroup *g, int64_t quota, int64_t period, int64_t burst, Error *e)
{
    int first = apply_bandwidth(g, quota, period, burst < 0 ? e : NULL), r;

    if (burst < 0)
        return first;
    r = resources_set_number(g, "cpu.burst", "cpu.max.burst", burst, e);
    return r < 0 || first >= 0 ? r : apply_bandwidth(g, quota, period, e);
}

static int apply_cpu(const ContainerCgroup *g, const json_t *o, Error *e)
{
    static const char *const gone[] = {"realtimeRuntime", "realtimePeriod", NULL};
    JsonAt at = {"config.json", AT ".cpu"};
    int64_t shares = 0, quota = 0, period = 0, burst = -1, idle = -1;
    const char *cpus = NULL, *mems = NULL;
    int r;

    if ((r = json_want_integer(o, at, "shares", 0, INT64_MAX, &shares, e)) < 0 ||
        (r = json_want_integer(o, at, "quota", INT64_MIN, INT64_MAX, &quota, e)) < 0 ||
        (r = json_want_integer(o, at, "period", 0, INT64_MAX, &period, e)) < 0 ||
        (r = json_want_integer(o, at, "burst", 0, INT64_MAX, &burst, e)) < 0 ||
        (r = json_want_integer(o, at, "idle", 0, 1, &idle, e)) < 0 ||
        (r = json_want_string(o, at, "cpus", &cpus, e)) < 0 || (r = json_want_string(o, at, "mems", &mems, e)) < 0 ||
        (r = refuse(o, "cpu", gone, e)) < 0)
        return r;
    if (quota > 0 && burst > quota)
        return error_setf(e, -EINVAL, AT ".cpu.burst: %" PRIi64 " is above cpu.quota, %" PRIi64, burst, quota);
    /* An idle cgroup has no weight to be set, so it ceases to be one first and becomes one last. */
    if (idle == 0 && (r = resources_set_number(g, "cpu.idle", "cpu.idle", idle, e)) < 0)
        return r;
    if (shares > 0 && (r = resources_set_number(g, "cpu.shares", "cpu.weight", resources_cpu_weight(shares), e)) < 0)
        return r;
    if ((r = apply_quota(g, quota, period, burst, e)) < 0)
        return r;
    if (idle > 0 && (r = resources_set_number(g, "cpu.idle", "cpu.idle", idle, e)) < 0)
        return r;
    if (cpus && *cpus && (r = resources_set(g, "cpu.cpus", "cpuset.cpus", cpus, e)) < 0)
        return r;
    if (mems && *mems && (r = resources_set(g, "cpu.mems", "cpuset.mems", mems, e)) < 0)
        return r;
    return 0;
}

/* A file of the cgroup itself that does not touch what is in it, or one of a controller. */
static bool is_limit_file(const char *key)
{
    static const char *const own[] = {"cgroup.max.depth", "cgroup.max.descendants", "cgroup.pressure"};

    if (strchr(key, '/') || !strchr(key, '.') || key[0] == '.')
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        if (streq(key, own[i]))
            return true;
    return !startswith(key, "cgroup.");
}

/* The kernel takes one line at a time. */
static int set_lines(const ContainerCgroup *g, const char *limit, const char *file, const char *value, Error *e)
{
    do {
        _cleanup_free_ char *line = xasprintf("%.*s", (int) strcspn(value, "\n"), value);
        int r;

        if (!line)
            return error_errnof(e, -ENOMEM, AT ".%s", limit);
        if (startswith(file, "cgroup.") && g->fd >= 0)
            r = cgroup_set(g->fd, file, line, e);
        else
            r = resources_set(g, limit, file, line, e);
        if (r < 0)
            return r;
        value += strcspn(value, "\n");
    } while (*value++ && *value);
    return 0;
}

static int apply_unified(const ContainerCgroup *g, const json_t *o, Error *e)
{
    const char *key;
    json_t *v;

    json_object_foreach ((json_t *) o, key, v) {
        char limit[300];
        int r;

        if (!strchr(key, '.'))
            return error_setf(e, -EINVAL, AT ".unified: the specified key has not the form CONTROLLER.VALUE `%.256s`",
                              key);
        snprintf(limit, sizeof(limit), "unified.%.256s", key);
        if (!json_is_string(v) || !is_limit_file(key))
            return error_setf(e, -EINVAL, AT ".%s: is no file of a controller with a string for its value", limit);
        r = set_lines(g, limit, key, json_string_value(v), e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int apply_pids(const ContainerCgroup *g, const json_t *o, Error *e)
{
    int64_t limit = 0;
    int r = json_want_integer(o, (JsonAt){"config.json", AT ".pids"}, "limit", -1, INT64_MAX, &limit, e);

    return r < 0 || !wanted(g, "pids", limit) ? r : resources_set_number(g, "pids.limit", "pids.max", limit, e);
}

static int apply_devices(const ContainerCgroup *g, const json_t *rules, Error *e)
{
    if (json_array_size(rules) == 0)
        return 0;
    /* In a user namespace nobody can make a device node, and the kernel lets no one attach a filter. */
    if (!privileged())
        return 0;
    if (g->fd < 0)
        return error_setf(e, -EOPNOTSUPP, AT ".devices: this container has no cgroup");
    return device_filter_apply(g->fd, rules, e);
}

int resources_apply(const ContainerCgroup *g, const json_t *o, Error *e)
{
    static const struct {
        const char *key;
        json_type type;
        int (*apply)(const ContainerCgroup *g, const json_t *o, Error *e);
    } table[] = {
        {"memory", JSON_OBJECT, apply_memory},   {"cpu", JSON_OBJECT, apply_cpu},
        {"pids", JSON_OBJECT, apply_pids},       {"blockIO", JSON_OBJECT, resources_io},
        {"rdma", JSON_OBJECT, resources_rdma},   {"hugepageLimits", JSON_ARRAY, resources_hugepages},
        {"unified", JSON_OBJECT, apply_unified}, /* the last word on any file */
        {"devices", JSON_ARRAY, apply_devices},
    };

    if (!o)
        return 0;
    if (json_integer_value(json_object_get(json_object_get(o, "network"), "classID")) > 0 ||
        json_array_size(json_object_get(json_object_get(o, "network"), "priorities")) > 0)
        return error_setf(e, -EOPNOTSUPP, AT ".network: cgroup v2 has no such limit");
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        json_t *v = NULL;
        int r = json_want(o, (JsonAt){"config.json", AT}, table[i].key, table[i].type, &v, e);

        if (r >= 0 && v)
            r = table[i].apply(g, v, e);
        if (r < 0)
            return r;
    }
    return 0;
}
