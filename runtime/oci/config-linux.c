/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "config.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define ID_MAPS_MAX 340 /* the kernel's own limit (user_namespaces(7)) */

const char *const namespace_names[NS_MAX] = {"user", "mount", "pid", "network", "ipc", "uts", "cgroup", "time"};
const char *const namespace_files[NS_MAX] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"};
const uint64_t namespace_flags[NS_MAX] = {CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,    CLONE_NEWNET,
                                          CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP, CLONE_NEWTIME};

static int one_hook(const json_t *o, const char *path, ConfigHook *h, Error *e)
{
    JsonAt at = {CONFIG_FILE, path};
    int64_t timeout = 0;
    int r;

    if ((r = json_need_string(o, at, "path", &h->path, e)) < 0 ||
        (r = json_want_strings(o, at, "args", &h->args, e)) < 0 ||
        (r = json_want_strings(o, at, "env", &h->env, e)) < 0 ||
        (r = json_want_integer(o, at, "timeout", 1, 1 << 30, &timeout, e)) < 0)
        return r;
    if (h->path[0] != '/')
        return error_setf(e, -EINVAL, CONFIG_FILE ": %s.path: \"%s\" is not an absolute path", path, h->path);
    h->timeout = (unsigned) timeout;
    return 0;
}

int config_hooks(const json_t *doc, Config *c, Error *e)
{
    json_t *hooks = NULL, *item;
    char path[48];
    size_t i;
    int r = json_want(doc, (JsonAt){CONFIG_FILE, ""}, "hooks", JSON_OBJECT, &hooks, e);

    if (r < 0 || !hooks)
        return r;
    for (unsigned k = 0; k < HOOK_MAX; k++) {
        json_t *list = NULL;

        r = json_want(hooks, (JsonAt){CONFIG_FILE, "hooks"}, hook_names[k], JSON_ARRAY, &list, e);
        if (r < 0)
            return r;
        if (!list)
            continue;
        c->hooks[k] = calloc(json_array_size(list) + 1, sizeof(**c->hooks));
        if (!c->hooks[k])
            return -ENOMEM;
        json_array_foreach (list, i, item) {
            c->n_hooks[k] = i + 1;
            snprintf(path, sizeof(path), "hooks.%s[%zu]", hook_names[k], i);
            r = one_hook(item, path, &c->hooks[k][i], e);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int parse_namespaces(const json_t *linux_, Config *c, Error *e)
{
    JsonAt at = {CONFIG_FILE, "linux.namespaces"};
    json_t *array = NULL, *item;
    const char *type, *path;
    size_t i;
    int r = json_want(linux_, (JsonAt){CONFIG_FILE, "linux"}, "namespaces", JSON_ARRAY, &array, e);

    if (r < 0)
        return r;
    json_array_foreach (array, i, item) {
        unsigned k = 0;

        type = path = NULL;
        if ((r = json_need_string(item, at, "type", &type, e)) < 0 ||
            (r = json_want_string(item, at, "path", &path, e)) < 0)
            return r;
        while (k < NS_MAX && !streq(type, namespace_names[k]))
            k++;
        if (k == NS_MAX)
            return error_setf(e, -EINVAL, CONFIG_FILE ": linux.namespaces: no such type: \"%s\"", type);
        if (c->namespaces[k].wanted)
            return error_setf(e, -EINVAL, CONFIG_FILE ": linux.namespaces: %s is given twice", type);
        if (path && *path && path[0] != '/')
            return error_setf(e, -EINVAL, CONFIG_FILE ": linux.namespaces: %s: \"%s\" is not an absolute path", type,
                              path);
        c->namespaces[k].wanted = true;
        c->namespaces[k].path = path && *path ? path : NULL;
    }
    return 0;
}

/* The kernel refuses them without a word. */
static int check_overlap(const IdMap *maps, size_t n, const char *path, Error *e)
{
    const IdMap *a = &maps[n - 1];

    for (const IdMap *b = maps; b < a; b++) {
        bool inside = a->inside < (uint64_t) b->inside + b->count && b->inside < (uint64_t) a->inside + a->count;

        if (inside || (a->outside < (uint64_t) b->outside + b->count && b->outside < (uint64_t) a->outside + a->count))
            return error_setf(e, -EINVAL, CONFIG_FILE ": %s: ranges %td and %zu overlap %s", path, b - maps, n - 1,
                              inside ? "in the container" : "on the host");
    }
    return 0;
}

int config_id_map(const json_t *o, const char *at, const char *key, IdMap **ret, size_t *ret_n, Error *e)
{
    char path[64];
    JsonAt place = {CONFIG_FILE, path};
    json_t *array = NULL, *item;
    size_t i;
    int r = json_want(o, (JsonAt){CONFIG_FILE, at}, key, JSON_ARRAY, &array, e);

    if (r < 0 || json_array_size(array) == 0)
        return r;
    snprintf(path, sizeof(path), "%s.%s", at, key);
    if (json_array_size(array) > ID_MAPS_MAX)
        return error_setf(e, -E2BIG, CONFIG_FILE ": %s: %zu ranges, at most %d are possible", path,
                          json_array_size(array), ID_MAPS_MAX);
    *ret = calloc(json_array_size(array) + 1, sizeof(**ret));
    if (!*ret)
        return -ENOMEM;
    json_array_foreach (array, i, item) {
        int64_t inside = 0, outside = 0, count = 0;

        if ((r = json_need_integer(item, place, "containerID", 0, CONFIG_ID_MAX, &inside, e)) < 0 ||
            (r = json_need_integer(item, place, "hostID", 0, CONFIG_ID_MAX, &outside, e)) < 0 ||
            (r = json_need_integer(item, place, "size", 1, UINT32_MAX, &count, e)) < 0)
            return r;
        (*ret)[(*ret_n)++] = (IdMap){(uint32_t) inside, (uint32_t) outside, (uint32_t) count};
        r = check_overlap(*ret, *ret_n, path, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_time_offsets(const json_t *linux_, Config *c, Error *e)
{
    static const char *const clocks[] = {"monotonic", "boottime"};
    _cleanup_(strbuf_done) StrBuf b = {};
    json_t *offsets = NULL;
    const char *key;
    json_t *v;
    int r = json_want(linux_, (JsonAt){CONFIG_FILE, "linux"}, "timeOffsets", JSON_OBJECT, &offsets, e);

    if (r < 0 || json_object_size(offsets) == 0)
        return r;
    json_object_foreach (offsets, key, v)
        if (!streq(key, clocks[0]) && !streq(key, clocks[1]))
            return error_setf(e, -EINVAL, CONFIG_FILE ": linux.timeOffsets: no such clock: \"%s\"", key);
    for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
        JsonAt at = {CONFIG_FILE, "linux.timeOffsets"};
        int64_t secs = 0, nsecs = 0;

        v = NULL;
        if ((r = json_want(offsets, at, clocks[i], JSON_OBJECT, &v, e)) < 0 ||
            (v && (r = json_want_integer(v, at, "secs", INT64_MIN, INT64_MAX, &secs, e)) < 0) ||
            (v && (r = json_want_integer(v, at, "nanosecs", 0, 999999999, &nsecs, e)) < 0))
            return r;
        if (v)
            (void) strbuf_addf(&b, "%s %lld %lld\n", clocks[i], (long long) secs, (long long) nsecs);
    }
    c->time_offsets = strbuf_take(&b);
    return c->time_offsets ? 0 : -ENOMEM;
}

static int device_type(const char *s, mode_t *ret)
{
    if (streq(s, "c") || streq(s, "u"))
        *ret = S_IFCHR;
    else if (streq(s, "b"))
        *ret = S_IFBLK;
    else if (streq(s, "p"))
        *ret = S_IFIFO;
    else
        return -EINVAL;
    return 0;
}

static int parse_device(const json_t *o, size_t i, ConfigDevice *d, Error *e)
{
    int64_t major = -1, minor = -1, mode = 0666, uid = 0, gid = 0;
    const char *type = NULL, *place;
    char path[40];
    JsonAt at = {CONFIG_FILE, path};
    size_t n;
    int r;

    snprintf(path, sizeof(path), "linux.devices[%zu]", i);
    if ((r = json_need_string(o, at, "path", &place, e)) < 0 || (r = json_need_string(o, at, "type", &type, e)) < 0 ||
        (r = json_want_integer(o, at, "major", 0, 4095, &major, e)) < 0 ||
        (r = json_want_integer(o, at, "minor", 0, 1048575, &minor, e)) < 0 ||
        (r = json_want_integer(o, at, "fileMode", 0, 0177777, &mode, e)) < 0 ||
        (r = json_want_integer(o, at, "uid", 0, CONFIG_ID_MAX, &uid, e)) < 0 ||
        (r = json_want_integer(o, at, "gid", 0, CONFIG_ID_MAX, &gid, e)) < 0)
        return r;
    if (device_type(type, &d->type) < 0)
        return error_setf(e, -EINVAL, CONFIG_FILE ": %s.type: \"%s\" is none of c, u, b, p", path, type);
    if (d->type != S_IFIFO && (major < 0 || minor < 0))
        return error_setf(e, -EINVAL, CONFIG_FILE ": %s: major and minor are missing", path);
    if (place[0] != '/')
        return error_setf(e, -EINVAL, CONFIG_FILE ": %s.path: \"%s\" is not an absolute path", path, place);
    for (n = strlen(place); n > 1 && place[n - 1] == '/'; n--)
        ;
    d->path = strndup(place, n);
    if (!d->path)
        return -ENOMEM;
    d->number = d->type == S_IFIFO ? 0 : makedev((unsigned) major, (unsigned) minor);
    d->mode = (mode_t) mode & 07777;
    d->uid = (uid_t) uid;
    d->gid = (gid_t) gid;
    return 0;
}

static int parse_devices(const json_t *linux_, Config *c, Error *e)
{
    json_t *array = NULL, *item;
    size_t i;
    int r = json_want(linux_, (JsonAt){CONFIG_FILE, "linux"}, "devices", JSON_ARRAY, &array, e);

    if (r < 0)
        return r;
    c->devices = calloc(json_array_size(array) + 1, sizeof(*c->devices));
    if (!c->devices)
        return -ENOMEM;
    json_array_foreach (array, i, item) {
        r = parse_device(item, i, &c->devices[i], e);
        if (r < 0)
            return r;
        c->n_devices = i + 1;
    }
    return 0;
}

static int parse_sysctls(const json_t *linux_, Config *c, Error *e)
{
    json_t *o = NULL, *v;
    const char *key;
    int r = json_want(linux_, (JsonAt){CONFIG_FILE, "linux"}, "sysctl", JSON_OBJECT, &o, e);

    if (r < 0)
        return r;
    c->sysctls = calloc(json_object_size(o) + 1, sizeof(*c->sysctls));
    if (!c->sysctls)
        return -ENOMEM;
    json_object_foreach (o, key, v) {
        if (!json_is_string(v))
            return error_setf(e, -EINVAL, CONFIG_FILE ": linux.sysctl.%s: must be a string", key);
        if (streq(key, "kernel.hostname") || streq(key, "kernel/hostname"))
            return error_setf(e, -EINVAL, CONFIG_FILE ": linux.sysctl.%s: is what `hostname` is for", key);
        c->sysctls[c->n_sysctls++] = (ConfigPair){key, json_string_value(v)};
    }
    return 0;
}

static int parse_personality(const json_t *linux_, Config *c, Error *e)
{
    const char *domain = NULL;
    json_t *v = NULL;
    int r = json_want(linux_, (JsonAt){CONFIG_FILE, "linux"}, "personality", JSON_OBJECT, &v, e);

    if (r < 0 || !v)
        return r;
    r = json_need_string(v, (JsonAt){CONFIG_FILE, "linux.personality"}, "domain", &domain, e);
    if (r < 0)
        return r;
    if (!streq(domain, "LINUX") && !streq(domain, "LINUX32"))
        return error_setf(e, -EINVAL, CONFIG_FILE ": linux.personality.domain: \"%s\" is neither LINUX nor LINUX32",
                          domain);
    if (json_array_size(json_object_get(v, "flags")) > 0)
        return error_setf(e, -EINVAL, CONFIG_FILE ": linux.personality.flags: none is defined");
    c->has_personality = true;
    c->personality = streq(domain, "LINUX32") ? PER_LINUX32 : PER_LINUX;
    return 0;
}

static int parse_propagation(const json_t *linux_, Config *c, Error *e)
{
    const char *s = NULL;
    int r = json_want_string(linux_, (JsonAt){CONFIG_FILE, "linux"}, "rootfsPropagation", &s, e);

    if (r < 0 || !s || !*s)
        return r;
    c->root_propagation = mount_propagation(s);
    if (!c->root_propagation)
        return error_setf(e, -EINVAL, CONFIG_FILE ": linux.rootfsPropagation: no such propagation: \"%s\"", s);
    return 0;
}

int config_linux(const json_t *doc, Config *c, Error *e)
{
    JsonAt at = {CONFIG_FILE, "linux"};
    json_t *o = NULL;
    int r = json_want(doc, (JsonAt){CONFIG_FILE, ""}, "linux", JSON_OBJECT, &o, e);

    if (r < 0 || !o)
        return r;
    if ((r = parse_namespaces(o, c, e)) < 0 ||
        (r = config_id_map(o, "linux", "uidMappings", &c->uid_map, &c->n_uid_map, e)) < 0 ||
        (r = config_id_map(o, "linux", "gidMappings", &c->gid_map, &c->n_gid_map, e)) < 0 ||
        (r = parse_time_offsets(o, c, e)) < 0 || (r = parse_devices(o, c, e)) < 0 ||
        (r = json_want_string(o, at, "cgroupsPath", &c->cgroups_path, e)) < 0 ||
        (r = json_want(o, at, "resources", JSON_OBJECT, &c->resources, e)) < 0 ||
        (r = json_want(o, at, "seccomp", JSON_OBJECT, &c->seccomp, e)) < 0 || (r = parse_sysctls(o, c, e)) < 0 ||
        (r = json_want_strings(o, at, "maskedPaths", &c->masked_paths, e)) < 0 ||
        (r = json_want_strings(o, at, "readonlyPaths", &c->readonly_paths, e)) < 0 ||
        (r = json_want_string(o, at, "mountLabel", &c->mount_label, e)) < 0 || (r = parse_personality(o, c, e)) < 0 ||
        (r = parse_propagation(o, c, e)) < 0 || (r = config_host(o, c, e)) < 0)
        return r;
    if (c->mount_label && !*c->mount_label)
        c->mount_label = NULL;
    return 0;
}
