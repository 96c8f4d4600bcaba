/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <stdio.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "shim/client/client.h"

#define MAP_MAX ((size_t) 64 << 10) /* 340 lines */

int peer_map_uid(const char *map, uid_t inside, uid_t *ret)
{
    unsigned first, outer, count;
    int n;

    while (sscanf(map, "%u %u %u%n", &first, &outer, &count, &n) == 3) {
        if (inside >= first && inside - first < count) {
            *ret = outer + (inside - first);
            return 0;
        }
        map += n;
    }
    return -ENOENT;
}

static int agent_outer_uid(const Agent *a, uid_t *ret)
{
    _cleanup_json_ json_t *request = json_pack("{s:s}", "op", "status"), *status = NULL;
    _cleanup_free_ char *map = NULL;
    char path[40];
    json_int_t pid;
    int r = shim_call(a->name, request, USEC_PER_SEC, NULL, NULL, &status, NULL);

    if (r < 0)
        return r;
    pid = json_integer_value(json_object_get(status, "pid"));
    if (pid <= 0 || pid > INT32_MAX)
        return -ENOENT;
    snprintf(path, sizeof(path), "/proc/%d/uid_map", (int) pid);
    r = file_read_at(-EBADF, path, MAP_MAX, &map, NULL);
    return r < 0 ? r : peer_map_uid(map, a->run_uid, ret);
}

int control_peer(const Agent *a, uid_t uid, ControlPeer *ret)
{
    uid_t agent;

    if (uid == 0 || uid == geteuid())
        *ret = CONTROL_OPERATOR;
    else if (a && a->control && agent_outer_uid(a, &agent) >= 0 && uid == agent)
        *ret = CONTROL_AGENT;
    else
        return -EPERM;
    return 0;
}
