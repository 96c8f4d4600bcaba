/* SPDX-License-Identifier: Apache-2.0 */
#include "handover.h"

#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/socket.h"
#include "sync.h"

#define AT "linux.seccomp"

int handover_pidfd(const char *path, int pidfd, Error *e)
{
    _cleanup_close_ int fd = socket_connect_stream(path);
    int r = fd < 0 ? fd : socket_send_fd(fd, "pidfd", strlen("pidfd"), pidfd);

    return r < 0 ? error_errnof(e, r, "--pidfd-socket %s", path) : 0;
}

static bool notifies(const json_t *o, const char *key)
{
    const char *action = json_string_value(json_object_get(o, key));

    return action && streq(action, "SCMP_ACT_NOTIFY");
}

/* write(2) is not ours to need, but profiles that notify of it are refused everywhere, and a program that runs here should run elsewhere. */
static int check_names(const json_t *rule, Error *e)
{
    static const char *const needed[] = {"sendmsg", "write"};
    json_t *name;
    size_t i;

    json_array_foreach (json_object_get(rule, "names"), i, name)
        for (size_t k = 0; k < ARRAY_SIZE(needed); k++)
            if (json_is_string(name) && streq(json_string_value(name), needed[k]))
                return error_setf(e, -EINVAL,
                                  AT
                                  ": SCMP_ACT_NOTIFY cannot be used for the %s syscall: the process needs it to hand "
                                  "its listener over",
                                  needed[k]);
    return 0;
}

int handover_check(const json_t *seccomp, Error *e)
{
    const char *path = NULL, *metadata = NULL;
    bool any = false;
    json_t *rule;
    size_t i;
    int r;

    if (notifies(seccomp, "defaultAction"))
        return error_setf(e, -EINVAL, AT ": SCMP_ACT_NOTIFY cannot be used as default action");
    json_array_foreach (json_object_get(seccomp, "syscalls"), i, rule) {
        if (!notifies(rule, "action"))
            continue;
        any = true;
        if ((r = check_names(rule, e)) < 0)
            return r;
    }
    if ((r = json_want_string(seccomp, (JsonAt){"config.json", AT}, "listenerPath", &path, e)) < 0 ||
        (r = json_want_string(seccomp, (JsonAt){"config.json", AT}, "listenerMetadata", &metadata, e)) < 0)
        return r;
    return !any || (path && *path) ? 0 : error_setf(e, -EINVAL, AT ": SCMP_ACT_NOTIFY needs a listenerPath");
}

/* {"ociVersion":…,"fds":["seccompFd"],"pid":…,"metadata":…,"state":{…}}: one a connection, the fds in the order of their names */
int handover_listener(Config *c, const State *state, const char *status, pid_t pid, int listener, Error *e)
{
    int parsed = config_seccomp(c, e);
    const char *path = json_string_value(json_object_get(c->seccomp, "listenerPath"));
    json_t *metadata = json_object_get(c->seccomp, "listenerMetadata"), *s = state_public(state, status);
    _cleanup_json_ json_t *o = json_pack("{s:s, s:[s], s:i, s:O*, s:o}", "ociVersion", state->version, "fds",
                                         "seccompFd", "pid", (int) pid, "metadata", metadata, "state", s);
    _cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    _cleanup_close_ int fd = -EBADF;
    int r;

    if (parsed < 0)
        return parsed;
    if (!text || !path)
        return error_errnof(e, -ENOMEM, AT ".listenerPath");
    fd = socket_connect_stream(path);
    r = fd < 0 ? fd : socket_send_fd(fd, text, strlen(text), listener);
    return r < 0 ? error_errnof(e, r, AT ".listenerPath: cannot hand the listener over to %s", path) : 0;
}

int handover_await(int sync, Config *c, const State *state, const char *status, pid_t pid, Error *e)
{
    for (;;) {
        _cleanup_close_ int listener = -EBADF;
        SyncMessage m;
        int r = sync_receive_fd(sync, &m, &listener, e);

        if (r <= 0)
            return r;
        if (m.kind != SYNC_LISTENER || listener < 0)
            return error_setf(e, -EPROTO, "the container's process said something odd");
        r = handover_listener(c, state, status, pid, listener, e);
        if (r >= 0)
            r = sync_send(sync, SYNC_GO, pid);
        if (r < 0)
            return r == -EPIPE ? error_setf(e, r, "the container's process died while its listener was handed over")
                               : r;
    }
}
