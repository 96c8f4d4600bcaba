/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "resources.h"
#include "runtime/base/json.h"
#include "runtime/box/cgroup.h"

/* Limits that go by device or by page size: blockIO, hugepageLimits, rdma. */

#define AT "linux.resources"

static int read_device(const json_t *o, JsonAt at, char *ret, size_t size, Error *e)
{
    int64_t major, minor;
    int r;

    if ((r = json_need_integer(o, at, "major", 0, 4095, &major, e)) < 0 ||
        (r = json_need_integer(o, at, "minor", 0, 1048575, &minor, e)) < 0)
        return r;
    snprintf(ret, size, "%d:%d", (int) major, (int) minor);
    return 0;
}

static int apply_throttle(const ContainerCgroup *g, const json_t *o, const char *key, const char *name, Error *e)
{
    JsonAt at = {"config.json", AT ".blockIO"};
    json_t *list = NULL, *item;
    char limit[64], device[24], value[96];
    size_t i;
    int r = json_want(o, at, key, JSON_ARRAY, &list, e);

    snprintf(limit, sizeof(limit), "blockIO.%s", key);
    json_array_foreach (list, i, item) {
        int64_t rate;

        if ((r = read_device(item, at, device, sizeof(device), e)) < 0 ||
            (r = json_need_integer(item, at, "rate", 0, INT64_MAX, &rate, e)) < 0)
            return r;
        if (rate == 0 || rate == INT64_MAX) /* as cgroup v1 had it: no limit */
            snprintf(value, sizeof(value), "%s %s=max", device, name);
        else
            snprintf(value, sizeof(value), "%s %s=%" PRIi64, device, name, rate);
        r = resources_set(g, limit, "io.max", value, e);
        if (r < 0)
            return r;
    }
    return r;
}

int64_t resources_io_weight(int64_t weight)
{
    return 1 + (MIN(MAX(weight, 10), 1000) - 10) * 9999 / 990;
}

/* The BFQ scheduler has a file of its own, in the scale of cgroup v1. A `device` of "" means all. */
static int apply_weight(const ContainerCgroup *g, const char *limit, const char *device, int64_t weight, Error *e)
{
    bool bfq = g->fd >= 0 && faccessat(g->fd, "io.bfq.weight", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    char value[64];

    snprintf(value, sizeof(value), "%s%s%" PRIi64, device, *device ? " " : "",
             bfq ? MAX(weight, 10) : resources_io_weight(weight));
    return resources_set(g, limit, bfq ? "io.bfq.weight" : "io.weight", value, e);
}

static int apply_weights(const ContainerCgroup *g, const json_t *o, Error *e)
{
    JsonAt at = {"config.json", AT ".blockIO.weightDevice"};
    json_t *list = NULL, *item;
    int64_t weight = 0;
    char device[24];
    size_t i;
    int r;

    if ((r = json_want_integer(o, (JsonAt){"config.json", AT ".blockIO"}, "weight", 0, 1000, &weight, e)) < 0 ||
        (weight > 0 && (r = apply_weight(g, "blockIO.weight", "", weight, e)) < 0) ||
        (r = json_want(o, (JsonAt){"config.json", AT ".blockIO"}, "weightDevice", JSON_ARRAY, &list, e)) < 0)
        return r;
    json_array_foreach (list, i, item) {
        weight = 0;
        if ((r = read_device(item, at, device, sizeof(device), e)) < 0 ||
            (r = json_want_integer(item, at, "weight", 0, 1000, &weight, e)) < 0)
            return r;
        if (json_integer_value(json_object_get(item, "leafWeight")) > 0)
            return error_setf(e, -EOPNOTSUPP, "%s.leafWeight: cgroup v2 has no such limit", at.path);
        if (weight > 0 && (r = apply_weight(g, "blockIO.weightDevice", device, weight, e)) < 0)
            return r;
    }
    return 0;
}

int resources_io(const ContainerCgroup *g, const json_t *o, Error *e)
{
    static const struct {
        const char *key, *name;
    } throttles[] = {{"throttleReadBpsDevice", "rbps"},
                     {"throttleWriteBpsDevice", "wbps"},
                     {"throttleReadIOPSDevice", "riops"},
                     {"throttleWriteIOPSDevice", "wiops"}};
    int r;

    if (json_integer_value(json_object_get(o, "leafWeight")) > 0)
        return error_setf(e, -EOPNOTSUPP, AT ".blockIO.leafWeight: cgroup v2 has no such limit");
    r = apply_weights(g, o, e);
    for (size_t i = 0; i < ARRAY_SIZE(throttles) && r >= 0; i++)
        r = apply_throttle(g, o, throttles[i].key, throttles[i].name, e);
    return r;
}

/* Both of what is reserved and of what is used: where the kernel does not count reservations there is only the latter. */
int resources_hugepages(const ContainerCgroup *g, const json_t *list, Error *e)
{
    JsonAt at = {"config.json", AT ".hugepageLimits"};
    json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        const char *size;
        int64_t limit;
        char file[64];
        int r;

        if ((r = json_need_string(item, at, "pageSize", &size, e)) < 0 ||
            (r = json_need_integer(item, at, "limit", 0, INT64_MAX, &limit, e)) < 0)
            return r;
        if (!*size || strspn(size, "0123456789KMGTB") != strlen(size) || strlen(size) > 16)
            return error_setf(e, -EINVAL, AT ".hugepageLimits: \"%s\" is no page size", size);
        snprintf(file, sizeof(file), "hugetlb.%s.max", size);
        r = resources_set_number(g, "hugepageLimits", file, limit, e);
        if (r < 0)
            return r;
        snprintf(file, sizeof(file), "hugetlb.%s.rsvd.max", size);
        if (faccessat(g->fd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
            (r = resources_set_number(g, "hugepageLimits", file, limit, e)) < 0)
            return r;
    }
    return 0;
}

int resources_rdma(const ContainerCgroup *g, const json_t *o, Error *e)
{
    const char *device;
    json_t *v;

    json_object_foreach ((json_t *) o, device, v) {
        JsonAt at = {"config.json", AT ".rdma"};
        int64_t handles = INT64_MAX, objects = INT64_MAX;
        char value[160];
        int n, r;

        if ((r = json_want_integer(v, at, "hcaHandles", 0, UINT32_MAX, &handles, e)) < 0 ||
            (r = json_want_integer(v, at, "hcaObjects", 0, UINT32_MAX, &objects, e)) < 0)
            return r;
        if (handles == INT64_MAX && objects == INT64_MAX)
            return error_setf(e, -EINVAL, AT ".rdma.%s: has neither hcaHandles nor hcaObjects", device);
        n = snprintf(value, sizeof(value), "%.64s", device);
        if (handles != INT64_MAX)
            n += snprintf(value + n, sizeof(value) - (size_t) n, " hca_handle=%" PRIi64, handles);
        if (objects != INT64_MAX)
            snprintf(value + n, sizeof(value) - (size_t) n, " hca_object=%" PRIi64, objects);
        r = resources_set(g, "rdma", "rdma.max", value, e);
        if (r < 0)
            return r;
    }
    return 0;
}
