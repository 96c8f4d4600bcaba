/* SPDX-License-Identifier: Apache-2.0 */
#include "scope.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/process.h"
#include "runtime/box/cgroup.h"

#define SUBGROUP "run.oci.systemd.subgroup"
#define SUBGROUP_DEFAULT "container"
#define KILL_TIMEOUT (10 * USEC_PER_SEC)
#define REMAINS_TIMEOUT USEC_PER_SEC
#define UNIT_LINK "unit"
#define UNIT_MAX 255

#define MANAGER_NAME "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"

static BusCall to_manager(const char *member, const char *signature)
{
    return (BusCall){MANAGER_NAME, MANAGER_PATH, MANAGER_INTERFACE, member, signature};
}

/* ---- names ---- */

/* What no name of a unit may have becomes \xNN, as systemd-escape(1) writes it. */
static int add_escaped(StrBuf *b, const char *s, size_t n)
{
    static const char allowed[] = ":-_.\\@";
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = isalnum((unsigned char) s[i]) || strchr(allowed, s[i]) ? strbuf_add(b, s + i, 1)
                                                                   : strbuf_addf(b, "\\x%02x", (unsigned char) s[i]);
    return r;
}

int scope_names(const char *cgroups_path, const char *id, bool system, char **ret_unit, char **ret_slice, Error *e)
{
    const char *slice = cgroups_path ? cgroups_path : "", *prefix, *name;
    _cleanup_(strbuf_done) StrBuf unit = {};
    size_t n_slice = strcspn(slice, ":"), n_prefix;

    if (!*slice) {
        prefix = "moss";
        n_prefix = strlen(prefix);
        name = id;
    } else {
        prefix = slice[n_slice] ? slice + n_slice + 1 : "";
        n_prefix = strcspn(prefix, ":");
        name = prefix[n_prefix] ? prefix + n_prefix + 1 : "";
        if (!prefix[n_prefix] || strchr(name, ':') || slice[0] == '/')
            return error_setf(
                e, -EINVAL, "linux.cgroupsPath \"%s\": with the systemd driver it is of the form \"slice:prefix:name\"",
                slice);
        name = *name ? name : id;
    }
    if (n_slice > 0 && (n_slice < 7 || memcmp(slice + n_slice - 6, ".slice", 6) != 0 || memchr(slice, '/', n_slice)))
        return error_setf(e, -EINVAL, "linux.cgroupsPath \"%s\": its first part is no name of a slice", slice);
    (void) add_escaped(&unit, prefix, n_prefix);
    (void) strbuf_adds(&unit, n_prefix > 0 ? "-" : "");
    (void) add_escaped(&unit, name, strlen(name));
    (void) strbuf_adds(&unit, endswith(name, ".scope") ? "" : ".scope");
    *ret_slice = n_slice > 0 ? strndup(slice, n_slice) : strdup(system ? "system.slice" : "user.slice");
    *ret_unit = strbuf_take(&unit);
    if (*ret_unit && *ret_slice)
        return 0;
    free(*ret_unit);
    free(*ret_slice);
    return error_errnof(e, -ENOMEM, "linux.cgroupsPath");
}

/* ---- the manager ---- */

/* The manager's own socket does without the bus and what else is said on it; where that is not to be had, the bus. */
static int connect_manager(bool system, Bus *ret, Error *e)
{
    const char *bus = getenv(system ? "DBUS_SYSTEM_BUS_ADDRESS" : "DBUS_SESSION_BUS_ADDRESS");
    const char *run = system ? "/run" : getenv("XDG_RUNTIME_DIR");
    _cleanup_free_ char *own = run ? xasprintf("unix:path=%s/systemd/private", run) : NULL;
    _cleanup_free_ char *usual =
        run ? xasprintf("unix:path=%s/%s", run, system ? "dbus/system_bus_socket" : "bus") : NULL;
    uint64_t deadline = clock_now() + SCOPE_TIMEOUT;
    Error first = {};
    int r;

    if (!run && !bus)
        return error_setf(
            e, -ENOENT, "systemd of this user: neither XDG_RUNTIME_DIR nor DBUS_SESSION_BUS_ADDRESS says where it is");
    if (run && (!own || !usual))
        return error_errnof(e, -ENOMEM, "systemd");
    if (own && bus_connect(own, true, deadline, ret, &first) >= 0)
        return 0;
    r = bus_connect(bus && *bus ? bus : usual, false, deadline, ret, e);
    return r < 0 ? error_wrapf(e, r, "systemd cannot be reached: %s%s", first.text, *first.text ? "; " : "") : 0;
}

/* A bus passes on only the signals that somebody asked for. */
static int watch_jobs(Bus *bus, const char *unit, Error *e)
{
    static const BusCall call = {"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch",
                                 "s"};
    _cleanup_free_ char *rule = xasprintf("type='signal',sender='" MANAGER_NAME "',path='" MANAGER_PATH
                                          "',interface='" MANAGER_INTERFACE "',member='JobRemoved',arg2='%s'",
                                          unit);
    _cleanup_(bus_message_done) BusMessage reply = {};
    _cleanup_(strbuf_done) StrBuf body = {};

    if (bus->direct)
        return 0;
    if (!rule)
        return error_errnof(e, -ENOMEM, "%s", unit);
    bus_put_string(&body, rule);
    return bus_call(bus, &call, &body, &reply, e);
}

/* JobRemoved(u id, o job, s unit, s result) */
static int wait_job(Bus *bus, const char *job, const char *sender, Error *e)
{
    for (;;) {
        _cleanup_(bus_message_done) BusMessage m = {};
        const char *path, *unit, *result;
        uint32_t number;
        int r = bus_receive(bus, &m, e);

        if (r < 0)
            return r;
        if (m.type != BUS_SIGNAL || !streq(m.member, "JobRemoved") || !streq(m.interface, MANAGER_INTERFACE) ||
            !streq(m.sender, sender) || !streq(m.signature, "uoss"))
            continue;
        if ((r = bus_get_u32(&m, &number)) < 0 || (r = bus_get_string(&m, &path)) < 0 ||
            (r = bus_get_string(&m, &unit)) < 0 || (r = bus_get_string(&m, &result)) < 0)
            return error_errnof(e, r, "JobRemoved");
        if (!streq(path, job))
            continue;
        return streq(result, "done") ? 0 : error_setf(e, -ECANCELED, "the job ended with \"%s\"", result);
    }
}

/* A call whose answer is the path of a job, and the end of that job. The answer comes first, as jobs run when the manager has said it. */
static int run_job(Bus *bus, const BusCall *call, const StrBuf *body, const char *unit, char **ret_error, Error *e)
{
    _cleanup_(bus_message_done) BusMessage reply = {};
    const char *job;
    int r = watch_jobs(bus, unit, e);

    if (r >= 0)
        r = bus_call(bus, call, body, &reply, e);
    if (r == -EREMOTEIO)
        *ret_error = strdup(reply.error ? reply.error : "");
    if (r >= 0)
        r = streq(reply.signature, "o") ? bus_get_string(&reply, &job) : -EBADMSG;
    if (r >= 0)
        r = wait_job(bus, job, reply.sender, e);
    return r < 0 ? error_wrapf(e, r, "systemd: unit %s", unit) : 0;
}

/* Forgets that it failed, so that its name is free again. */
static void reset_failed(Bus *bus, const char *unit)
{
    _cleanup_(bus_message_done) BusMessage reply = {};
    _cleanup_(strbuf_done) StrBuf body = {};
    BusCall call = to_manager("ResetFailedUnit", "s");

    bus_put_string(&body, unit);
    (void) bus_call(bus, &call, &body, &reply, NULL);
}

int scope_start_unit(Bus *bus, const char *unit, const StrBuf *properties, Error *e)
{
    BusCall call = to_manager("StartTransientUnit", "ssa(sv)a(sa(sv))");
    _cleanup_(strbuf_done) StrBuf body = {};
    _cleanup_free_ char *name = NULL;
    Error why = {};
    size_t array;
    int r;

    bus_put_string(&body, unit);
    bus_put_string(&body, "replace");
    array = bus_open_array(&body, 8);
    (void) strbuf_add(&body, properties->data, properties->len);
    bus_close_array(&body, array, 8);
    bus_close_array(&body, bus_open_array(&body, 8), 8); /* no further units */
    body.failed |= properties->failed;
    r = run_job(bus, &call, &body, unit, &name, &why);
    if (r == -EREMOTEIO && name && streq(name, MANAGER_NAME ".UnitExists")) {
        _cleanup_free_ char *again = NULL;

        reset_failed(bus, unit);
        why = (Error){};
        r = run_job(bus, &call, &body, unit, &again, &why);
    }
    return r < 0 ? error_setf(e, r, "%s", why.text) : 0;
}

int scope_stop_unit(Bus *bus, const char *unit, Error *e)
{
    BusCall call = to_manager("StopUnit", "ss");
    _cleanup_(strbuf_done) StrBuf body = {};
    _cleanup_free_ char *name = NULL;
    Error why = {};
    int r;

    bus_put_string(&body, unit);
    bus_put_string(&body, "replace");
    r = run_job(bus, &call, &body, unit, &name, &why);
    if (r == -EREMOTEIO && name && streq(name, MANAGER_NAME ".NoSuchUnit"))
        return 0;
    if (r >= 0)
        reset_failed(bus, unit);
    return r < 0 ? error_setf(e, r, "%s", why.text) : 0;
}

/* ---- a container's scope ---- */

static int put_properties(const Config *c, const char *id, const char *slice, pid_t pid, StrBuf *b, Error *e)
{
    char description[300];
    size_t array;

    snprintf(description, sizeof(description), "container %s", id);
    scope_put_text(b, "Description", description);
    scope_put_text(b, "Slice", slice);
    scope_put_bool(b, "Delegate", true);
    scope_put_bool(b, "DefaultDependencies", false);
    bus_put_align(b, 8);
    bus_put_string(b, "PIDs");
    bus_put_signature(b, "au");
    array = bus_open_array(b, 4);
    bus_put_u32(b, (uint32_t) pid);
    bus_close_array(b, array, 4);
    scope_put_limits(b, c->resources);
    return scope_put_annotations(b, c->annotations, e);
}

/* Before the scope is there, so that whoever finds a creation cut off knows what to look for. */
static int note_unit(int dir, const char *unit, Error *e)
{
    return symlinkat(unit, dir, UNIT_LINK) < 0 ? error_errnof(e, -errno, "state of the container: " UNIT_LINK) : 0;
}

static int start(const Config *c, const char *id, int dir, pid_t pid, char **ret_unit, Error *e)
{
    _cleanup_(strbuf_done) StrBuf properties = {};
    _cleanup_(bus_done) Bus bus = BUS_INIT;
    _cleanup_free_ char *unit = NULL, *slice = NULL;
    bool system = process_is_system();
    int r;

    if ((r = scope_names(c->cgroups_path, id, system, &unit, &slice, e)) < 0 ||
        (r = put_properties(c, id, slice, pid, &properties, e)) < 0 || (r = connect_manager(system, &bus, e)) < 0 ||
        (r = note_unit(dir, unit, e)) < 0 || (r = scope_start_unit(&bus, unit, &properties, e)) < 0)
        return r;
    *ret_unit = TAKE_PTR(unit);
    return 0;
}

/* How much of the path is the scope's own. systemd puts "_" before names that the kernel could take for those of its files. */
static size_t scope_length(const char *path, const char *unit)
{
    size_t n = strlen(unit);

    for (const char *p = path; p && *p; p = strchr(p, '/'), p += p ? 1 : 0) {
        const char *name = p + (*p == '_' && *unit != '_');

        if (strncmp(name, unit, n) == 0 && (!name[n] || name[n] == '/'))
            return (size_t) (name + n - path);
    }
    return 0;
}

/* Controllers can be passed on only by a cgroup without processes: they come when the process has moved. */
static int enter_subgroup(const char *name, pid_t pid, ContainerCgroup *g, Error *e)
{
    _cleanup_close_ int sub = -EBADF;
    _cleanup_free_ char *path = NULL;
    char text[16];
    int r;

    if (strchr(name, '/') || name[0] == '.')
        return error_setf(e, -EINVAL, "config.json: annotations: " SUBGROUP " \"%s\": is no name of a cgroup", name);
    if (mkdirat(g->fd, name, 0755) < 0)
        return error_errnof(e, -errno, "cgroup /%s/%s", g->path, name);
    sub = openat(g->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (sub < 0)
        return error_errnof(e, -errno, "cgroup /%s/%s", g->path, name);
    snprintf(text, sizeof(text), "%d", (int) pid);
    r = cgroup_set(sub, "cgroup.procs", text, e);
    if (r < 0)
        return r;
    fd_closep(&sub);
    sub = cgroup_make(g->fd, name, e);
    path = xasprintf("%s/%s", g->path, name);
    if (sub < 0 || !path)
        return sub < 0 ? sub : error_errnof(e, -ENOMEM, "cgroup");
    close(g->fd);
    free(g->path);
    g->fd = TAKE_FD(sub);
    g->path = TAKE_PTR(path);
    return 0;
}

static int find_cgroup(const Config *c, pid_t pid, const char *unit, ContainerCgroup *ret, Error *e)
{
    const char *sub = json_string_value(json_object_get(c->annotations, SUBGROUP));
    _cleanup_free_ char *path = NULL;
    int r = cgroup_path_of(pid, &path, e);

    if (r < 0)
        return r;
    sub = sub ? sub : SUBGROUP_DEFAULT;
    if (scope_length(path, unit) != strlen(path))
        return error_setf(e, -EIO, "systemd: unit %s was started, but its process is in cgroup /%s", unit, path);
    r = container_cgroup_open(path, unit, ret, e);
    if (r >= 0 && ret->fd < 0)
        r = error_errnof(e, -ENOENT, "cgroup /%s", path);
    if (r >= 0 && *sub)
        r = enter_subgroup(sub, pid, ret, e);
    return r;
}

static int stop(const char *unit, Error *e)
{
    _cleanup_(bus_done) Bus bus = BUS_INIT;
    int r = connect_manager(process_is_system(), &bus, e);

    return r < 0 ? r : scope_stop_unit(&bus, unit, e);
}

int scope_make(const Config *c, const char *id, int dir, pid_t pid, ContainerCgroup *ret, Error *e)
{
    _cleanup_(container_cgroup_done) ContainerCgroup g = CONTAINER_CGROUP_INIT;
    _cleanup_free_ char *unit = NULL;
    int r = start(c, id, dir, pid, &unit, e);

    if (r < 0)
        return r;
    r = find_cgroup(c, pid, unit, &g, e);
    if (r < 0) {
        (void) stop(unit, NULL);
        return r;
    }
    *ret = g;
    g = CONTAINER_CGROUP_INIT;
    return 0;
}

/* The manager writes the cgroup's files after it has answered, but before it looks at the next message. */
static void await_settled(Bus *bus)
{
    static const BusCall ping = {MANAGER_NAME, MANAGER_PATH, "org.freedesktop.DBus.Peer", "Ping", NULL};
    _cleanup_(bus_message_done) BusMessage reply = {};

    (void) bus_call(bus, &ping, NULL, &reply, NULL);
}

/* Calls the manager that has the unit, over a connection of its own. */
static int tell_manager(const ContainerCgroup *g, const BusCall *call, const StrBuf *body, Bus *bus, Error *e)
{
    _cleanup_(bus_message_done) BusMessage reply = {};
    int r = connect_manager(process_is_system(), bus, e);

    if (r >= 0)
        r = bus_call(bus, call, body, &reply, e);
    return r < 0 ? error_wrapf(e, r, "systemd: unit %s", g->unit) : 0;
}

int scope_update(const ContainerCgroup *g, const json_t *resources, Error *e)
{
    BusCall call = to_manager("SetUnitProperties", "sba(sv)");
    _cleanup_(strbuf_done) StrBuf body = {};
    _cleanup_(bus_done) Bus bus = BUS_INIT;
    size_t array;
    int r;

    bus_put_string(&body, g->unit);
    bus_put_u32(&body, true); /* for this boot */
    array = bus_open_array(&body, 8);
    scope_put_limits(&body, resources);
    bus_close_array(&body, array, 8);
    r = tell_manager(g, &call, &body, &bus, e);
    if (r >= 0)
        await_settled(&bus);
    return r;
}

int scope_attach(const ContainerCgroup *g, pid_t pid, Error *e)
{
    BusCall call = to_manager("AttachProcessesToUnit", "ssau");
    _cleanup_(strbuf_done) StrBuf body = {};
    _cleanup_(bus_done) Bus bus = BUS_INIT;
    size_t array;

    bus_put_string(&body, g->unit);
    bus_put_string(&body, g->path + scope_length(g->path, g->unit));
    array = bus_open_array(&body, 4);
    bus_put_u32(&body, (uint32_t) pid);
    bus_close_array(&body, array, 4);
    return tell_manager(g, &call, &body, &bus, e);
}

int scope_remove(const ContainerCgroup *g, Error *e)
{
    _cleanup_free_ char *path = strndup(g->path, scope_length(g->path, g->unit));
    _cleanup_close_ int fd = -EBADF;
    int r;

    if (!path || !*path)
        return error_setf(e, -EINVAL, "cgroup /%s: is not that of unit %s", g->path, g->unit);
    fd = openat_beneath(g->top, path, O_PATH | O_DIRECTORY, 0);
    r = fd < 0 ? fd : cgroup_kill(fd, KILL_TIMEOUT);
    if (r < 0 && r != -ENOENT && r != -ENODEV)
        return error_errnof(e, r, "cannot end what runs in cgroup %s", path);
    r = stop(g->unit, e);
    return r < 0 ? r : cgroup_remove(g->top, path, e);
}

/* -ENOENT: there is no such unit. GetUnitProcesses answers a(sus), which begins with its length. */
static int unit_is_empty(Bus *bus, const char *unit, bool *ret, Error *e)
{
    BusCall call = to_manager("GetUnitProcesses", "s");
    _cleanup_(bus_message_done) BusMessage reply = {};
    _cleanup_(strbuf_done) StrBuf body = {};
    uint32_t length;
    int r;

    bus_put_string(&body, unit);
    r = bus_call(bus, &call, &body, &reply, e);
    if (r == -EREMOTEIO && reply.error && streq(reply.error, MANAGER_NAME ".NoSuchUnit"))
        return -ENOENT;
    if (r >= 0)
        r = streq(reply.signature, "a(sus)") ? bus_get_u32(&reply, &length) : -EBADMSG;
    if (r < 0)
        return error_wrapf(e, r, "systemd: unit %s", unit);
    *ret = length == 0;
    return 0;
}

int scope_stop_empty_unit(Bus *bus, const char *unit, Error *e)
{
    uint64_t deadline = clock_now() + REMAINS_TIMEOUT;
    bool empty = false;
    int r;

    while ((r = unit_is_empty(bus, unit, &empty, e)) >= 0 && !empty) {
        struct timespec tick = {.tv_nsec = 2000000};

        if (clock_now() > deadline)
            return 0;
        nanosleep(&tick, NULL);
    }
    return r == -ENOENT ? 0 : r < 0 ? r : scope_stop_unit(bus, unit, e);
}

int scope_remove_remains(int dir, Error *e)
{
    _cleanup_(bus_done) Bus bus = BUS_INIT;
    char unit[UNIT_MAX + 1];
    ssize_t n = readlinkat(dir, UNIT_LINK, unit, sizeof(unit));
    int r;

    if (n < 0 || n > UNIT_MAX)
        return n < 0 && errno == ENOENT ? 0 : error_errnof(e, n < 0 ? -errno : -ENAMETOOLONG, UNIT_LINK);
    unit[n] = '\0';
    r = connect_manager(process_is_system(), &bus, e);
    return r < 0 ? r : scope_stop_empty_unit(&bus, unit, e);
}
