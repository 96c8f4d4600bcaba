/* SPDX-License-Identifier: Apache-2.0 */
#include "mount-options.h"

#include <stdlib.h>
#include <sys/mount.h>

typedef enum OptionKind {
    OPTION_SET,   /* an attribute of the mount */
    OPTION_CLEAR, /* its opposite */
    OPTION_IGNORED,
    OPTION_FLAG, /* of the super block */
    OPTION_REFUSED,
} OptionKind;

typedef struct Option {
    const char *name;
    OptionKind kind;
    uint64_t attr;
} Option;

static const Option option_table[] = {
    {"ro", OPTION_SET, MOUNT_ATTR_RDONLY},
    {"rw", OPTION_CLEAR, MOUNT_ATTR_RDONLY},
    {"nosuid", OPTION_SET, MOUNT_ATTR_NOSUID},
    {"suid", OPTION_CLEAR, MOUNT_ATTR_NOSUID},
    {"nodev", OPTION_SET, MOUNT_ATTR_NODEV},
    {"dev", OPTION_CLEAR, MOUNT_ATTR_NODEV},
    {"noexec", OPTION_SET, MOUNT_ATTR_NOEXEC},
    {"exec", OPTION_CLEAR, MOUNT_ATTR_NOEXEC},
    {"noatime", OPTION_SET, MOUNT_ATTR_NOATIME},
    {"atime", OPTION_CLEAR, MOUNT_ATTR_NOATIME},
    {"nodiratime", OPTION_SET, MOUNT_ATTR_NODIRATIME},
    {"diratime", OPTION_CLEAR, MOUNT_ATTR_NODIRATIME},
    {"relatime", OPTION_CLEAR, MOUNT_ATTR__ATIME},
    {"norelatime", OPTION_CLEAR, MOUNT_ATTR__ATIME},
    {"strictatime", OPTION_SET, MOUNT_ATTR_STRICTATIME},
    {"nostrictatime", OPTION_CLEAR, MOUNT_ATTR_STRICTATIME},
    {"nosymfollow", OPTION_SET, MOUNT_ATTR_NOSYMFOLLOW},
    {"symfollow", OPTION_CLEAR, MOUNT_ATTR_NOSYMFOLLOW},
    {"defaults", OPTION_IGNORED, 0},
    {"async", OPTION_IGNORED, 0},
    {"norecover", OPTION_IGNORED, 0},
    {"quiet", OPTION_IGNORED, 0},
    {"loud", OPTION_IGNORED, 0},
    {"silent", OPTION_IGNORED, 0},
    {"nomand", OPTION_IGNORED, 0},
    {"nolazytime", OPTION_IGNORED, 0},
    {"noiversion", OPTION_IGNORED, 0},
    {"sync", OPTION_FLAG, 0},
    {"dirsync", OPTION_FLAG, 0},
    {"lazytime", OPTION_FLAG, 0},
    {"iversion", OPTION_FLAG, 0},
    {"mand", OPTION_REFUSED, 0},    /* gone from Linux 5.15 */
    {"remount", OPTION_REFUSED, 0}, /* there is nothing to remount: all mounts are new */
    {"idmap", OPTION_REFUSED, 0},
    {"ridmap", OPTION_REFUSED, 0},
};

uint64_t mount_propagation(const char *name)
{
    static const struct {
        const char *name;
        uint64_t flags;
    } table[] = {
        {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
        {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
        {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
        {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (streq(name, table[i].name))
            return table[i].flags;
    return 0;
}

static const Option *option_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(option_table); i++)
        if (streq(name, option_table[i].name))
            return &option_table[i];
    return NULL;
}

/* A later option wins over an earlier one, so each bit is in one of the two sets only. */
static void apply(const Option *o, uint64_t *set, uint64_t *clear)
{
    uint64_t mask = o->attr & MOUNT_ATTR__ATIME ? (uint64_t) MOUNT_ATTR__ATIME : o->attr;

    *set &= ~mask;
    *clear &= ~mask;
    if (o->kind == OPTION_SET) {
        *set |= o->attr;
        if (mask == MOUNT_ATTR__ATIME)
            *clear |= mask;
    } else {
        *clear |= mask;
    }
}

static int one_option(const char *s, const char *destination, MountOptions *m, Error *e)
{
    const Option *o = option_find(s);
    uint64_t flags;

    if (o && o->kind == OPTION_REFUSED)
        return error_setf(e, -EINVAL, "mount %s: option \"%s\" is not supported", destination, s);
    if (o && (o->kind == OPTION_SET || o->kind == OPTION_CLEAR)) {
        apply(o, &m->attr_set, &m->attr_clear);
        return 0;
    }
    if (o && o->kind == OPTION_IGNORED)
        return 0;
    if (streq(s, "bind") || streq(s, "rbind")) {
        m->bind = true;
        m->recursive = s[0] == 'r';
        return 0;
    }
    if (streq(s, "tmpcopyup")) {
        m->copy_up = true;
        return 0;
    }
    flags = mount_propagation(s);
    if (flags) {
        m->propagation = flags;
        return 0;
    }
    o = s[0] == 'r' ? option_find(s + 1) : NULL;
    if (o && (o->kind == OPTION_SET || o->kind == OPTION_CLEAR)) {
        apply(o, &m->attr_set_rec, &m->attr_clear_rec);
        return 0;
    }
    return 1;
}

int mount_options_parse(const char *const *options, const char *destination, MountOptions *ret, Error *e)
{
    _cleanup_(mount_options_done) MountOptions m = {};
    size_t n = 0, n_parameters = 0, n_flags = 0;
    int r;

    while (options && options[n])
        n++;
    m.parameters = calloc(2 * (n + 1), sizeof(*m.parameters));
    if (!m.parameters)
        return -ENOMEM;
    m.flags = m.parameters + n + 1;
    for (size_t i = 0; i < n; i++) {
        const Option *o = option_find(options[i]);

        if (o && o->kind == OPTION_FLAG) {
            m.flags[n_flags++] = options[i];
            continue;
        }
        r = one_option(options[i], destination, &m, e);
        if (r < 0)
            return r;
        if (r > 0)
            m.parameters[n_parameters++] = options[i];
    }
    m.read_only = (m.attr_set & MOUNT_ATTR_RDONLY) || (m.attr_set_rec & MOUNT_ATTR_RDONLY);
    *ret = m;
    m = (MountOptions){};
    return 0;
}

void mount_options_done(MountOptions *o)
{
    free(o->parameters); /* the flags are behind them */
    *o = (MountOptions){};
}
