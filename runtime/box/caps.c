/* SPDX-License-Identifier: Apache-2.0 */
#include "caps.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define BIT(n) (UINT64_C(1) << (n))

int caps_from_name(const char *name, uint64_t *ret_bit)
{
    cap_value_t value;
    char full[64];

    /* libcap also takes numbers, which no configuration means */
    if (strspn(name, "0123456789") > 0)
        return -EINVAL;
    snprintf(full, sizeof(full), "%s%s", strncasecmp(name, "cap_", 4) == 0 ? "" : "cap_", name);
    if (cap_from_name(full, &value) < 0 || value < 0 || value > 63)
        return -EINVAL;
    *ret_bit = BIT(value);
    return 0;
}

/* The caller's bounding set, as far as it was asked for: each capability takes a system call. */
typedef struct Bounding {
    uint64_t known, set;
} Bounding;

#define BOUNDING_ALL ((Bounding){UINT64_MAX, UINT64_MAX})

static bool bounding_has(Bounding *b, uint64_t bit)
{
    if (!(b->known & bit) && prctl(PR_CAPBSET_READ, (unsigned long) __builtin_ctzll(bit), 0, 0, 0) == 1)
        b->set |= bit;
    b->known |= bit;
    return b->set & bit;
}

static int parse_set(const json_t *o, const char *at, const char *key, Bounding *have, uint64_t *ret, Error *e)
{
    _cleanup_free_ const char **names = NULL;
    uint64_t set = 0, bit;
    int r = json_want_strings(o, (JsonAt){"config.json", at}, key, &names, e);

    if (r < 0)
        return r;
    for (size_t i = 0; names && names[i]; i++) {
        if (caps_from_name(names[i], &bit) >= 0 && bounding_has(have, bit))
            set |= bit;
    }
    *ret = set;
    return 0;
}

int caps_parse(const json_t *o, const char *at, CapSets *ret, Error *e)
{
    Bounding have = {};
    CapSets s = {};
    int r;

    if (!o) {
        *ret = s;
        return 0;
    }
    if ((r = parse_set(o, at, "bounding", &have, &s.bounding, e)) < 0 ||
        (r = parse_set(o, at, "permitted", &have, &s.permitted, e)) < 0 ||
        (r = parse_set(o, at, "effective", &have, &s.effective, e)) < 0 ||
        (r = parse_set(o, at, "inheritable", &have, &s.inheritable, e)) < 0 ||
        (r = parse_set(o, at, "ambient", &have, &s.ambient, e)) < 0)
        return r;
    if (s.effective & ~s.permitted)
        return error_setf(e, -EINVAL, "%s.effective: holds a capability that is not permitted", at);
    s.ambient &= s.permitted & s.inheritable; /* others cannot be given; buildah 1.28 asks for them */
    *ret = s;
    return 0;
}

int caps_lacking(const json_t *o, bool own_namespace, char **ret)
{
    Bounding all = own_namespace ? BOUNDING_ALL : (Bounding){};
    uint64_t inheritable = 0;
    _cleanup_(strbuf_done) StrBuf b = {};
    const char *key, *name;
    json_t *set, *v;
    size_t i;

    if (o && parse_set(o, "process.capabilities", "inheritable", &all, &inheritable, NULL) < 0)
        return 0; /* caps_parse() says so */
    json_object_foreach ((json_t *) o, key, set)
        json_array_foreach (set, i, v) {
            uint64_t bit = 0;
            bool lacking;

            name = json_string_value(v);
            if (!name)
                continue;
            lacking = caps_from_name(name, &bit) < 0 ||
                      !(streq(key, "ambient") ? (inheritable & bit) != 0 : bounding_has(&all, bit));
            if (lacking && !(b.data && strstr(b.data, name)))
                (void) strbuf_addf(&b, "%s%s", b.len > 0 ? ", " : "", name);
        }
    *ret = b.len > 0 || b.failed ? strbuf_take(&b) : NULL;
    return b.failed ? -ENOMEM : 0;
}

int caps_drop_bounding(uint64_t keep)
{
    for (unsigned i = 0; i < 64; i++) {
        if (keep & BIT(i) || prctl(PR_CAPBSET_DROP, (unsigned long) i, 0, 0, 0) == 0)
            continue;
        if (errno == EINVAL) /* beyond the kernel's last one */
            return 0;
        if (errno != EPERM || prctl(PR_CAPBSET_READ, (unsigned long) i, 0, 0, 0) != 0)
            return -EPERM; /* dropping needs CAP_SETPCAP also where there is nothing to drop */
    }
    return 0;
}

int caps_keep(void)
{
    return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int caps_set_last(const CapSets *s)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t) s->effective, (uint32_t) s->permitted, (uint32_t) s->inheritable},
        {(uint32_t) (s->effective >> 32), (uint32_t) (s->permitted >> 32), (uint32_t) (s->inheritable >> 32)},
    };

    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int caps_set(const CapSets *s)
{
    int r = caps_set_last(s);

    if (r < 0)
        return r;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return -errno;
    for (unsigned i = 0; i < 64; i++)
        if ((s->ambient & BIT(i)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, (unsigned long) i, 0, 0) < 0)
            return -errno;
    return 0;
}
