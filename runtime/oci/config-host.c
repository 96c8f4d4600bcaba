/* SPDX-License-Identifier: Apache-2.0 */
#include <net/if.h>
#include <stdio.h>

#include "config.h"
#include "placement.h"
#include "runtime/base/json.h"

/* Members of `linux` that take something of the host's for the container: cache and memory bandwidth, memory nodes, network devices. */

/* By value, and by bit from 13 on: set_mempolicy(2). */
const char *const memory_policy_modes[MEMORY_POLICY_MODES] = {
    "MPOL_DEFAULT",        "MPOL_PREFERRED",           "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_LOCAL",
    "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE",
};
const char *const memory_policy_flags[MEMORY_POLICY_FLAGS] = {
    "MPOL_F_NUMA_BALANCING",
    "MPOL_F_RELATIVE_NODES",
    "MPOL_F_STATIC_NODES",
};
#define MEMORY_POLICY_FIRST_FLAG 13

static int memory_mode(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (streq(names[i], name))
            return (int) i;
    return -EINVAL;
}

static int parse_memory_policy(const json_t *linux_, Config *c, Error *e)
{
    JsonAt at = {CONFIG_FILE, "linux.memoryPolicy"};
    _cleanup_free_ const char **flags = NULL;
    ConfigMemoryPolicy *p = &c->memory_policy;
    json_t *o = NULL;
    IdSet nodes;
    int r = json_want(linux_, (JsonAt){CONFIG_FILE, "linux"}, "memoryPolicy", JSON_OBJECT, &o, e), bit;

    if (r < 0 || !o)
        return r;
    if ((r = json_need_string(o, at, "mode", &p->mode_name, e)) < 0 ||
        (r = json_want_string(o, at, "nodes", &p->nodes, e)) < 0 ||
        (r = json_want_strings(o, at, "flags", &flags, e)) < 0)
        return r;
    p->mode = memory_mode(p->mode_name, memory_policy_modes, MEMORY_POLICY_MODES);
    if (p->mode < 0)
        return error_setf(e, -EINVAL, CONFIG_FILE ": %s.mode: no such mode: \"%s\"", at.path, p->mode_name);
    for (size_t i = 0; flags && flags[i]; i++) {
        bit = memory_mode(flags[i], memory_policy_flags, MEMORY_POLICY_FLAGS);
        if (bit < 0)
            return error_setf(e, -EINVAL, CONFIG_FILE ": %s.flags: no such flag: \"%s\"", at.path, flags[i]);
        p->mode |= 1 << (MEMORY_POLICY_FIRST_FLAG + bit);
    }
    if (p->nodes && *p->nodes && id_set_parse(p->nodes, &nodes) < 0)
        return error_setf(e, -EINVAL, CONFIG_FILE ": %s.nodes: \"%s\" is no list of nodes", at.path, p->nodes);
    p->wanted = true;
    return 0;
}

/* What the kernel takes for the name of a link. */
static bool is_link_name(const char *s, bool pattern)
{
    const char *percent = strchr(s, '%');

    if (!*s || strlen(s) >= IFNAMSIZ || streq(s, ".") || streq(s, "..") || strpbrk(s, "/: \t\n\v\f\r"))
        return false;
    return !percent || (pattern && percent[1] == 'd' && !strchr(percent + 1, '%'));
}

static int parse_net_devices(const json_t *linux_, Config *c, Error *e)
{
    JsonAt at = {CONFIG_FILE, "linux.netDevices"};
    json_t *o = NULL, *v;
    const char *name;
    int r = json_want(linux_, (JsonAt){CONFIG_FILE, "linux"}, "netDevices", JSON_OBJECT, &o, e);

    if (r < 0 || json_object_size(o) == 0)
        return r;
    c->net_devices = calloc(json_object_size(o), sizeof(*c->net_devices));
    if (!c->net_devices)
        return -ENOMEM;
    json_object_foreach (o, name, v) {
        ConfigNetDevice d = {name, NULL};

        if (!json_is_object(v))
            return error_setf(e, -EINVAL, CONFIG_FILE ": %s.%s: must be an object", at.path, name);
        r = json_want_string(v, at, "name", &d.target, e);
        if (r < 0)
            return r;
        if (!d.target || !*d.target)
            d.target = name;
        if (!is_link_name(name, false) || !is_link_name(d.target, true))
            return error_setf(e, -EINVAL, CONFIG_FILE ": %s: \"%s\" is no name of a network device", at.path,
                              is_link_name(name, false) ? d.target : name);
        for (size_t i = 0; i < c->n_net_devices; i++)
            if (streq(c->net_devices[i].target, d.target) && !strchr(d.target, '%'))
                return error_setf(e, -EINVAL, CONFIG_FILE ": %s: two devices would be called \"%s\"", at.path,
                                  d.target);
        c->net_devices[c->n_net_devices++] = d;
    }
    return 0;
}

static int check_rdt(const ConfigRdt *r, Error *e)
{
    static const char *const taken[] = {"info", "mon_data", "mon_groups", ".", "..", ""};

    for (size_t i = 0; r->clos && i < ARRAY_SIZE(taken); i++)
        if (streq(r->clos, taken[i]) || (strchr(r->clos, '/') && !streq(r->clos, "/")))
            return error_setf(e, -EINVAL, CONFIG_FILE ": linux.intelRdt.closID: \"%s\" is no name of a class", r->clos);
    if (r->mem && (!startswith(r->mem, "MB:") || strchr(r->mem, '\n')))
        return error_setf(e, -EINVAL,
                          CONFIG_FILE ": linux.intelRdt.memBwSchema: must be one line that begins with MB:");
    for (const char **s = r->schemata; s && *s; s++)
        if (strchr(*s, '\n'))
            return error_setf(e, -EINVAL, CONFIG_FILE ": linux.intelRdt.schemata: an element must be one line");
    return 0;
}

static int parse_rdt(const json_t *linux_, Config *c, Error *e)
{
    JsonAt at = {CONFIG_FILE, "linux.intelRdt"};
    ConfigRdt *rdt = &c->rdt;
    json_t *o = NULL;
    int r = json_want(linux_, (JsonAt){CONFIG_FILE, "linux"}, "intelRdt", JSON_OBJECT, &o, e);

    if (r < 0 || !o)
        return r;
    rdt->wanted = true;
    if ((r = json_want_string(o, at, "closID", &rdt->clos, e)) < 0 ||
        (r = json_want_string(o, at, "l3CacheSchema", &rdt->l3, e)) < 0 ||
        (r = json_want_string(o, at, "memBwSchema", &rdt->mem, e)) < 0 ||
        (r = json_want_strings(o, at, "schemata", &rdt->schemata, e)) < 0 ||
        (r = json_want_bool(o, at, "enableMonitoring", &rdt->monitoring, e)) < 0)
        return r;
    if (rdt->clos && !*rdt->clos)
        rdt->clos = NULL;
    if (rdt->l3 && !*rdt->l3)
        rdt->l3 = NULL;
    if (rdt->mem && !*rdt->mem)
        rdt->mem = NULL;
    return check_rdt(rdt, e);
}

int config_host(const json_t *linux_, Config *c, Error *e)
{
    int r;

    if ((r = parse_memory_policy(linux_, c, e)) < 0 || (r = parse_net_devices(linux_, c, e)) < 0)
        return r;
    return parse_rdt(linux_, c, e);
}
