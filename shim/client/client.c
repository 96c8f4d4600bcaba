/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include "files.h"

#include <poll.h>
#include <sys/socket.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/socket.h"
#include "shim/agent/agent.h"

static int connect_shim(const char *agent, Error *e)
{
    _cleanup_free_ char *run = NULL;
    _cleanup_close_ int dir = -EBADF, fd = -EBADF;
    uid_t uid;
    int r;

    r = agent_run_directory(agent, &run, e);
    if (r < 0)
        return r;
    dir = open(run, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return error_errnof(e, -errno, "%s", run);
    fd = socket_connect_at(dir, SHIM_SOCKET);
    if (fd == -ENOENT || fd == -ECONNREFUSED)
        return error_setf(e, -ENOENT, "agent \"%s\" is not running", agent);
    if (fd < 0)
        return error_errnof(e, fd, "%s/" SHIM_SOCKET, run);
    r = socket_peer_uid(fd, &uid);
    if (r < 0 || (uid != 0 && uid != geteuid()))
        return error_setf(e, -EPERM, "%s/" SHIM_SOCKET " belongs to somebody else", run);
    return TAKE_FD(fd);
}

static int receive(int fd, uint64_t timeout_usec, json_t **ret, Error *e)
{
    _cleanup_free_ char *buf = malloc(SHIM_PACKET_MAX);
    uint64_t deadline = timeout_usec == UINT64_MAX ? UINT64_MAX : clock_now() + timeout_usec;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    _cleanup_close_ int stray = -EBADF;
    ssize_t n;
    int r;

    if (!buf)
        return error_errnof(e, -ENOMEM, "answer");
    do
        r = poll(&p, 1, clock_poll_timeout(deadline));
    while (r < 0 && errno == EINTR);
    if (r <= 0)
        return error_setf(e, -ETIMEDOUT, "moss-shim does not answer");
    n = socket_receive_fd(fd, buf, SHIM_PACKET_MAX, &stray);
    if (n <= 0)
        return error_setf(e, -EPIPE, "moss-shim has closed the connection");
    return json_parse(buf, (size_t) n, "answer of moss-shim", ret, e);
}

int shim_call(const char *agent, const json_t *request, uint64_t timeout_usec,
              void (*progress)(const json_t *event, void *userdata), void *userdata, json_t **ret, Error *e)
{
    _cleanup_free_ char *text = json_canonical(request);
    _cleanup_close_ int fd = -EBADF;
    int r;

    if (!text)
        return error_errnof(e, -ENOMEM, "request");
    fd = connect_shim(agent, e);
    if (fd < 0)
        return fd;
    r = socket_send_fd(fd, text, strlen(text), -1);
    if (r < 0)
        return error_errnof(e, r, "moss-shim");
    for (;;) {
        _cleanup_json_ json_t *answer = NULL;

        r = receive(fd, timeout_usec, &answer, e);
        if (r < 0)
            return r;
        if (json_object_get(answer, "event")) {
            if (progress)
                progress(answer, userdata);
            continue;
        }
        if (!json_is_true(json_object_get(answer, "ok"))) {
            const char *why = json_string_value(json_object_get(answer, "error"));

            return error_setf(e, -EREMOTEIO, "%s", why ? why : "moss-shim gives no reason");
        }
        if (ret)
            *ret = TAKE_PTR(answer);
        return 0;
    }
}

int shim_head(const char *store_path, const char *agent, char **ret_generation, int64_t *ret_epoch, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(store_path, agent, e);
    _cleanup_json_ json_t *head = NULL;
    json_t *side = NULL;
    JsonAt at = {"head.json", ""};
    const char *generation;
    int64_t epoch;
    char *copy;
    int r;

    if (dir < 0)
        return dir;
    if ((r = shim_read_head(dir, &head, e)) < 0 || (r = json_need(head, at, "cur", JSON_OBJECT, &side, e)) < 0)
        return r;
    at.path = "cur";
    if ((r = json_need_string(side, at, "generation", &generation, e)) < 0 ||
        (r = json_need_integer(side, at, "epoch", 0, INT64_MAX, &epoch, e)) < 0)
        return r;
    copy = strdup(generation);
    if (!copy)
        return error_errnof(e, -ENOMEM, "%s", at.file);
    *ret_generation = copy;
    *ret_epoch = epoch;
    return 0;
}
