/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>

#include "kept.h"
#include "placement.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"

const char *const hook_names[HOOK_MAX] = {
    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
};

static int has_version(const char *v, Error *e)
{
    if (!startswith(v, "1."))
        return error_setf(e, -EINVAL, CONFIG_FILE ": ociVersion: is \"%s\", 1.x is understood", v);
    return 0;
}

static int parse_root(const json_t *doc, Config *c, Error *e)
{
    JsonAt top = {CONFIG_FILE, ""}, at = {CONFIG_FILE, "root"};
    json_t *root = NULL;
    int r = json_need(doc, top, "root", JSON_OBJECT, &root, e);

    if (r < 0)
        return r;
    r = json_need_string(root, at, "path", &c->root, e);
    if (r < 0)
        return r;
    if (!*c->root)
        return error_setf(e, -EINVAL, CONFIG_FILE ": root.path: is empty");
    return json_want_bool(root, at, "readonly", &c->root_readonly, e);
}

static int parse_user(const json_t *o, JsonAt at, ConfigProcess *p, Error *e)
{
    json_t *user = NULL, *groups = NULL, *g;
    int64_t uid = 0, gid = 0, mask = -1;
    size_t i;
    int r = json_want(o, at, "user", JSON_OBJECT, &user, e);

    if (r < 0 || !user)
        return r;
    at.path = "process.user";
    r = json_want_integer(user, at, "uid", 0, CONFIG_ID_MAX, &uid, e);
    if (r >= 0)
        r = json_want_integer(user, at, "gid", 0, CONFIG_ID_MAX, &gid, e);
    if (r >= 0)
        r = json_want_integer(user, at, "umask", 0, 0777, &mask, e);
    if (r >= 0)
        r = json_want(user, at, "additionalGids", JSON_ARRAY, &groups, e);
    if (r < 0)
        return r;
    p->uid = (uid_t) uid;
    p->gid = (gid_t) gid;
    p->has_umask = mask >= 0;
    p->umask = (mode_t) (mask & 0777);
    p->groups = calloc(json_array_size(groups) + 1, sizeof(*p->groups));
    if (!p->groups)
        return -ENOMEM;
    json_array_foreach (groups, i, g) {
        json_int_t v = json_is_integer(g) ? json_integer_value(g) : -1;

        if (v < 0 || v > CONFIG_ID_MAX || i >= CONFIG_LIST_MAX)
            return error_setf(e, -EINVAL, "%s: process.user.additionalGids: element %zu is no group id", at.file, i);
        p->groups[p->n_groups++] = (gid_t) v;
    }
    return 0;
}

static int rlimit_resource(const char *name)
{
    static const struct {
        const char *name;
        int resource;
    } table[] = {
        {"RLIMIT_AS", RLIMIT_AS},
        {"RLIMIT_CORE", RLIMIT_CORE},
        {"RLIMIT_CPU", RLIMIT_CPU},
        {"RLIMIT_DATA", RLIMIT_DATA},
        {"RLIMIT_FSIZE", RLIMIT_FSIZE},
        {"RLIMIT_LOCKS", RLIMIT_LOCKS},
        {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
        {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
        {"RLIMIT_NICE", RLIMIT_NICE},
        {"RLIMIT_NOFILE", RLIMIT_NOFILE},
        {"RLIMIT_NPROC", RLIMIT_NPROC},
        {"RLIMIT_RSS", RLIMIT_RSS},
        {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
        {"RLIMIT_RTTIME", RLIMIT_RTTIME},
        {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
        {"RLIMIT_STACK", RLIMIT_STACK},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (streq(name, table[i].name))
            return table[i].resource;
    return -EINVAL;
}

/* "Unlimited" is written as -1 or as 2^64 - 1; see saturate(). */
static int rlimit_value(const json_t *v, rlim_t *ret)
{
    json_int_t n = json_is_integer(v) ? json_integer_value(v) : -2;

    if (n < -1)
        return -EINVAL;
    *ret = n == -1 || n == INT64_MAX ? RLIM_INFINITY : (rlim_t) n;
    return 0;
}

static int parse_rlimits(const json_t *o, JsonAt at, ConfigProcess *p, Error *e)
{
    json_t *array = NULL, *item;
    size_t i;
    int r = json_want(o, at, "rlimits", JSON_ARRAY, &array, e);

    if (r < 0)
        return r;
    p->rlimits = calloc(json_array_size(array) + 1, sizeof(*p->rlimits));
    if (!p->rlimits)
        return -ENOMEM;
    at.path = "process.rlimits";
    json_array_foreach (array, i, item) {
        ConfigRlimit *l = &p->rlimits[i];

        r = json_need_string(item, at, "type", &l->name, e);
        if (r < 0)
            return r;
        l->resource = rlimit_resource(l->name);
        if (l->resource < 0)
            return error_setf(e, -EINVAL, "%s: process.rlimits: no such limit: \"%s\"", at.file, l->name);
        for (size_t k = 0; k < i; k++)
            if (p->rlimits[k].resource == l->resource)
                return error_setf(e, -EINVAL, "%s: process.rlimits: %s is given twice", at.file, l->name);
        if (rlimit_value(json_object_get(item, "soft"), &l->limit.rlim_cur) < 0 ||
            rlimit_value(json_object_get(item, "hard"), &l->limit.rlim_max) < 0)
            return error_setf(e, -EINVAL, "%s: process.rlimits: %s: soft and hard must be whole numbers", at.file,
                              l->name);
        if (l->limit.rlim_cur > l->limit.rlim_max)
            return error_setf(e, -EINVAL, "%s: process.rlimits: %s: soft is above hard", at.file, l->name);
        p->n_rlimits = i + 1;
    }
    return 0;
}

static int parse_io_priority(const json_t *o, JsonAt at, ConfigProcess *p, Error *e)
{
    static const char *const classes[] = {[IOPRIO_CLASS_RT] = "IOPRIO_CLASS_RT",
                                          [IOPRIO_CLASS_BE] = "IOPRIO_CLASS_BE",
                                          [IOPRIO_CLASS_IDLE] = "IOPRIO_CLASS_IDLE"};
    const char *name = NULL;
    int64_t level = 0;
    json_t *v = NULL;
    int r = json_want(o, at, "ioPriority", JSON_OBJECT, &v, e);

    if (r < 0 || !v)
        return r;
    at.path = "process.ioPriority";
    r = json_need_string(v, at, "class", &name, e);
    if (r >= 0)
        r = json_want_integer(v, at, "priority", 0, 7, &level, e);
    if (r < 0)
        return r;
    for (unsigned i = 1; i < ARRAY_SIZE(classes); i++)
        if (streq(name, classes[i])) {
            p->has_io_priority = true;
            p->io_priority = (int) (i << IOPRIO_CLASS_SHIFT) | (int) level;
            return 0;
        }
    return error_setf(e, -EINVAL, "%s: process.ioPriority.class: no such class: \"%s\"", at.file, name);
}

static int lookup(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (names[i] && streq(names[i], name))
            return (int) i;
    return -EINVAL;
}

static int scheduler_flags(const json_t *v, JsonAt at, ConfigProcess *p, Error *e)
{
    /* by bit, as sched_setattr(2) numbers them */
    static const char *const names[] = {
        "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM",        "SCHED_FLAG_DL_OVERRUN",    "SCHED_FLAG_KEEP_POLICY",
        "SCHED_FLAG_KEEP_PARAMS",   "SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX"};
    _cleanup_free_ const char **flags = NULL;
    int r = json_want_strings(v, at, "flags", &flags, e);

    for (size_t i = 0; r >= 0 && flags && flags[i]; i++) {
        int bit = lookup(names, ARRAY_SIZE(names), flags[i]);

        if (bit < 0)
            return error_setf(e, bit, "%s: process.scheduler.flags: no such flag: \"%s\"", at.file, flags[i]);
        p->sched_flags |= UINT64_C(1) << bit;
    }
    return r;
}

static int parse_scheduler(const json_t *o, JsonAt at, ConfigProcess *p, Error *e)
{
    static const char *const policies[] = {
        [SCHED_OTHER] = "SCHED_OTHER",      [SCHED_FIFO] = "SCHED_FIFO", [SCHED_RR] = "SCHED_RR",
        [SCHED_BATCH] = "SCHED_BATCH",      [4] = "SCHED_ISO",           [SCHED_IDLE] = "SCHED_IDLE",
        [SCHED_DEADLINE] = "SCHED_DEADLINE"};
    int64_t nice = 0, priority = 0, runtime = 0, deadline = 0, period = 0;
    const char *name = NULL;
    json_t *v = NULL;
    int r = json_want(o, at, "scheduler", JSON_OBJECT, &v, e), policy;

    if (r < 0 || !v)
        return r;
    at.path = "process.scheduler";
    if ((r = json_need_string(v, at, "policy", &name, e)) < 0 ||
        (r = json_want_integer(v, at, "nice", -20, 19, &nice, e)) < 0 ||
        (r = json_want_integer(v, at, "priority", 0, 99, &priority, e)) < 0 ||
        (r = json_want_integer(v, at, "runtime", 0, INT64_MAX, &runtime, e)) < 0 ||
        (r = json_want_integer(v, at, "deadline", 0, INT64_MAX, &deadline, e)) < 0 ||
        (r = json_want_integer(v, at, "period", 0, INT64_MAX, &period, e)) < 0 ||
        (r = scheduler_flags(v, at, p, e)) < 0)
        return r;
    policy = lookup(policies, ARRAY_SIZE(policies), name);
    if (policy < 0)
        return error_setf(e, policy, "%s: process.scheduler.policy: no such policy: \"%s\"", at.file, name);
    p->has_scheduler = true;
    p->sched_policy = (uint32_t) policy;
    p->sched_nice = (int32_t) nice;
    p->sched_priority = (uint32_t) priority;
    p->sched_runtime = (uint64_t) runtime;
    p->sched_deadline = (uint64_t) deadline;
    p->sched_period = (uint64_t) period;
    return 0;
}

static int parse_affinity(const json_t *o, JsonAt at, ConfigProcess *p, Error *e)
{
    const char *const *lists[] = {&p->initial_cpus, &p->final_cpus};
    json_t *v = NULL;
    int r = json_want(o, at, "execCPUAffinity", JSON_OBJECT, &v, e);

    if (r < 0 || !v)
        return r;
    at.path = "process.execCPUAffinity";
    if ((r = json_want_string(v, at, "initial", &p->initial_cpus, e)) < 0 ||
        (r = json_want_string(v, at, "final", &p->final_cpus, e)) < 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        IdSet set;

        if (*lists[i] && **lists[i] && id_set_parse(*lists[i], &set) < 0)
            return error_setf(e, -EINVAL, "%s: %s: \"%s\" is no list of CPUs", at.file, at.path, *lists[i]);
    }
    return 0;
}

static int parse_console_size(const json_t *o, JsonAt at, ConfigProcess *p, Error *e)
{
    int64_t height = 0, width = 0;
    json_t *v = NULL;
    int r = json_want(o, at, "consoleSize", JSON_OBJECT, &v, e);

    if (r < 0 || !v)
        return r;
    at.path = "process.consoleSize";
    r = json_want_integer(v, at, "height", 0, UINT16_MAX, &height, e);
    if (r >= 0)
        r = json_want_integer(v, at, "width", 0, UINT16_MAX, &width, e);
    if (r < 0)
        return r;
    p->console_height = (unsigned short) height;
    p->console_width = (unsigned short) width;
    return 0;
}

/* The last value of a name counts, as if they were set one after the other. */
static void drop_repeated(const char **env)
{
    size_t n = 0;

    for (size_t i = 0; env && env[i]; i++) {
        size_t len = strcspn(env[i], "="), k = 0;

        while (k < n && (strncmp(env[k], env[i], len) != 0 || env[k][len] != env[i][len]))
            k++;
        env[k] = env[i];
        n += k == n;
    }
    if (env)
        env[n] = NULL;
}

static int parse_strings(const json_t *o, JsonAt at, ConfigProcess *p, Error *e)
{
    int r = json_want_strings(o, at, "args", &p->args, e);

    if (r >= 0)
        r = json_want_strings(o, at, "env", &p->env, e);
    if (r >= 0)
        r = json_need_string(o, at, "cwd", &p->cwd, e);
    if (r >= 0)
        r = json_want_string(o, at, "apparmorProfile", &p->apparmor, e);
    if (r >= 0)
        r = json_want_string(o, at, "selinuxLabel", &p->selinux, e);
    if (r < 0)
        return r;
    drop_repeated(p->env);
    if (p->cwd[0] != '/')
        return error_setf(e, -EINVAL, "%s: process.cwd: \"%s\" is not an absolute path", at.file, p->cwd);
    if (p->apparmor && !*p->apparmor)
        p->apparmor = NULL;
    if (p->selinux && !*p->selinux)
        p->selinux = NULL;
    return 0;
}

static int process_members(const json_t *o, JsonAt at, ConfigProcess *p, Error *e)
{
    int64_t oom = INT64_MIN;
    int r;

    if ((r = parse_strings(o, at, p, e)) < 0 || (r = json_want_bool(o, at, "terminal", &p->terminal, e)) < 0 ||
        (r = parse_console_size(o, at, p, e)) < 0 || (r = parse_user(o, at, p, e)) < 0 ||
        (r = json_want(o, at, "capabilities", JSON_OBJECT, &p->capabilities, e)) < 0 ||
        (r = parse_rlimits(o, at, p, e)) < 0 ||
        (r = json_want_bool(o, at, "noNewPrivileges", &p->no_new_privileges, e)) < 0 ||
        (r = json_want_integer(o, at, "oomScoreAdj", -1000, 1000, &oom, e)) < 0 ||
        (r = parse_io_priority(o, at, p, e)) < 0 || (r = parse_scheduler(o, at, p, e)) < 0 ||
        (r = parse_affinity(o, at, p, e)) < 0)
        return r;
    p->has_oom_score_adj = oom != INT64_MIN;
    p->oom_score_adj = p->has_oom_score_adj ? (int) oom : 0;
    return 0;
}

static int check_args(const ConfigProcess *p, const char *file, Error *e)
{
    if (!p->args || !p->args[0] || !*p->args[0])
        return error_setf(e, -EINVAL, "%s: process.args: must name a program", file);
    return 0;
}

int config_process_parse(const json_t *o, const char *file, ConfigProcess *ret, Error *e)
{
    _cleanup_(config_process_done) ConfigProcess p = {};
    int r;

    if ((r = process_members(o, (JsonAt){file, "process"}, &p, e)) < 0 || (r = check_args(&p, file, e)) < 0)
        return r;
    *ret = p;
    p = (ConfigProcess){};
    return 0;
}

void config_process_done(ConfigProcess *p)
{
    free(p->args);
    free(p->env);
    free(p->groups);
    free(p->rlimits);
    *p = (ConfigProcess){};
}

/* Keys are not empty and values are strings: config.md, "Annotations". */
static int parse_annotations(const json_t *doc, Config *c, Error *e)
{
    const char *key;
    json_t *v;
    int r = json_want(doc, (JsonAt){CONFIG_FILE, ""}, "annotations", JSON_OBJECT, &c->annotations, e);

    if (r < 0)
        return r;
    json_object_foreach (c->annotations, key, v)
        if (!*key || !json_is_string(v))
            return error_setf(e, -EINVAL, CONFIG_FILE ": annotations: \"%s\": %s", key,
                              *key ? "must be a string" : "a key must not be empty");
    return 0;
}

static int parse_top(const json_t *doc, Config *c, Error *e)
{
    JsonAt at = {CONFIG_FILE, ""};
    json_t *process = NULL;
    int r;

    if ((r = json_need_string(doc, at, "ociVersion", &c->version, e)) < 0 || (r = has_version(c->version, e)) < 0 ||
        (r = parse_root(doc, c, e)) < 0 || (r = json_want_string(doc, at, "hostname", &c->hostname, e)) < 0 ||
        (r = json_want_string(doc, at, "domainname", &c->domainname, e)) < 0 ||
        (r = parse_annotations(doc, c, e)) < 0 || (r = json_want(doc, at, "process", JSON_OBJECT, &process, e)) < 0)
        return r;
    c->has_process = process != NULL;
    c->process.cwd = "/";
    if (process && ((r = process_members(process, (JsonAt){CONFIG_FILE, "process"}, &c->process, e)) < 0 ||
                    (!kept_agent(c) && (r = check_args(&c->process, CONFIG_FILE, e)) < 0)))
        return r;
    c->process.keep_groups = streq_ptr(json_string_value(json_object_get(c->annotations, CONFIG_KEEP_GROUPS)), "1");
    if (c->hostname && !*c->hostname)
        c->hostname = NULL;
    if (c->domainname && !*c->domainname)
        c->domainname = NULL;
    if ((r = config_mounts(doc, c, e)) < 0 || (r = config_hooks(doc, c, e)) < 0)
        return r;
    return config_linux(doc, c, e);
}

/* What one member demands of another. */
static int check_together(const Config *c, Error *e)
{
    if (c->hostname && !c->namespaces[NS_UTS].wanted)
        return error_setf(e, -EINVAL, CONFIG_FILE ": hostname: needs a uts namespace in linux.namespaces");
    if (c->domainname && !c->namespaces[NS_UTS].wanted)
        return error_setf(e, -EINVAL, CONFIG_FILE ": domainname: needs a uts namespace in linux.namespaces");
    if (config_new(c, NS_USER) && (c->n_uid_map == 0 || c->n_gid_map == 0))
        return error_setf(e, -EINVAL,
                          CONFIG_FILE ": linux.uidMappings and gidMappings: a new user namespace needs both");
    /* Engines give maps with a namespace that has its own, too: they change nothing then. */
    if (!c->namespaces[NS_USER].wanted && (c->n_uid_map || c->n_gid_map))
        return error_setf(e, -EINVAL, CONFIG_FILE ": linux.uidMappings and gidMappings: need a user namespace");
    if (c->time_offsets && !config_new(c, NS_TIME))
        return error_setf(e, -EINVAL, CONFIG_FILE ": linux.timeOffsets: need a new time namespace");
    if (c->n_net_devices && !c->namespaces[NS_NETWORK].wanted)
        return error_setf(e, -EINVAL, CONFIG_FILE ": linux.netDevices: need a network namespace of the container's");
    return config_mounts_check(c, e);
}

int config_parse(json_t *doc, Config **ret, Error *e)
{
    _cleanup_(config_freep) Config *c = calloc(1, sizeof(*c));
    int r;

    if (!c) {
        json_decref(doc);
        return -ENOMEM;
    }
    c->doc = doc;
    c->root_propagation = MS_SLAVE | MS_REC;
    r = parse_top(doc, c, e);
    if (r >= 0)
        r = check_together(c, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}

int config_load(int dirfd, const char *file, Config **ret, Error *e)
{
    _cleanup_close_ int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    _cleanup_free_ char *text = NULL;
    size_t len;
    int r;

    r = fd < 0 ? -errno : file_read_fd(fd, JSON_FILE_MAX, &text, &len);
    if (r < 0)
        return error_errnof(e, r, "cannot read " CONFIG_FILE);
    if (strlen(text) != len)
        return error_setf(e, -EBADMSG, CONFIG_FILE ": holds a NUL byte");
    r = config_narrow_numbers(&text, &len);
    if (r < 0)
        return error_errnof(e, r, CONFIG_FILE);
    return config_read_text(TAKE_PTR(text), len, ret, e);
}

Config *config_free(Config *c)
{
    if (!c)
        return NULL;
    config_process_done(&c->process);
    config_mounts_done(c);
    for (unsigned k = 0; k < HOOK_MAX; k++) {
        for (size_t i = 0; i < c->n_hooks[k]; i++) {
            free(c->hooks[k][i].args);
            free(c->hooks[k][i].env);
        }
        free(c->hooks[k]);
    }
    free(c->uid_map);
    free(c->gid_map);
    free(c->time_offsets);
    for (size_t i = 0; i < c->n_devices; i++)
        free((char *) c->devices[i].path);
    free(c->devices);
    free(c->sysctls);
    free(c->masked_paths);
    free(c->readonly_paths);
    free(c->net_devices);
    free(c->rdt.schemata);
    json_decref(c->doc);
    free(c->text);
    free(c);
    return NULL;
}
