/* SPDX-License-Identifier: Apache-2.0 */
#include "mount-options.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>

typedef enum OptionKind {
    OPTION_SET,     /* an attribute of the mount */
    OPTION_CLEAR,   /* its opposite */
    OPTION_IGNORED, /* says what is so anyway, or something to mount(8) alone */
    OPTION_FLAG,    /* of the super block, known to the kernel for every file system */
    OPTION_TRIED,   /* of the super block of some file systems */
    OPTION_BIND,
    OPTION_RBIND,
    OPTION_COPY_UP,
    OPTION_REMOUNT,
    OPTION_IDMAP,
    OPTION_RIDMAP,
} OptionKind;

typedef struct Option {
    const char *name;
    OptionKind kind;
    uint64_t attr;
} Option;

/* config.md, "Linux mount options", and what mount(8) knows besides. */
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
    {"bind", OPTION_BIND, 0},
    {"rbind", OPTION_RBIND, 0},
    {"tmpcopyup", OPTION_COPY_UP, 0},
    {"remount", OPTION_REMOUNT, 0},
    {"idmap", OPTION_IDMAP, 0},
    {"ridmap", OPTION_RIDMAP, 0},
    {"sync", OPTION_FLAG, 0},
    {"async", OPTION_FLAG, 0},
    {"dirsync", OPTION_FLAG, 0},
    {"lazytime", OPTION_FLAG, 0},
    {"nolazytime", OPTION_FLAG, 0},
    {"iversion", OPTION_TRIED, 0},
    {"noiversion", OPTION_TRIED, 0},
    {"acl", OPTION_TRIED, 0},
    {"noacl", OPTION_TRIED, 0},
    {"defaults", OPTION_IGNORED, 0},
    {"mand", OPTION_IGNORED, 0}, /* mandatory locks are gone since Linux 5.15 */
    {"nomand", OPTION_IGNORED, 0},
    {"silent", OPTION_IGNORED, 0}, /* what the kernel says of a mount is read from its fd, and is not in the log */
    {"loud", OPTION_IGNORED, 0},
    {"quiet", OPTION_IGNORED, 0},
    {"norecover", OPTION_IGNORED, 0},
    {"auto", OPTION_IGNORED, 0},
    {"noauto", OPTION_IGNORED, 0},
    {"nofail", OPTION_IGNORED, 0},
    {"nouser", OPTION_IGNORED, 0},
    {"_netdev", OPTION_IGNORED, 0},
};

static const struct {
    const char *name;
    uint64_t flags;
} propagation_table[] = {
    {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
    {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
    {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
    {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC},
};

uint64_t mount_propagation(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(propagation_table); i++)
        if (streq(name, propagation_table[i].name))
            return propagation_table[i].flags;
    return 0;
}

static const Option *option_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(option_table); i++)
        if (streq(name, option_table[i].name))
            return &option_table[i];
    return NULL;
}

static bool is_attribute(const Option *o)
{
    return o && (o->kind == OPTION_SET || o->kind == OPTION_CLEAR);
}

void mount_options_each(void (*f)(void *arg, const char *name), void *arg)
{
    for (size_t i = 0; i < ARRAY_SIZE(option_table); i++) {
        char recursive[24];

        f(arg, option_table[i].name);
        snprintf(recursive, sizeof(recursive), "r%s", option_table[i].name);
        if (is_attribute(&option_table[i]))
            f(arg, recursive);
    }
    for (size_t i = 0; i < ARRAY_SIZE(propagation_table); i++)
        f(arg, propagation_table[i].name);
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

typedef struct Counts {
    size_t parameters, flags, tried;
} Counts;

static void known_option(const Option *o, MountOptions *m, Counts *n)
{
    switch (o->kind) {
    case OPTION_SET:
    case OPTION_CLEAR:
        apply(o, &m->attr_set, &m->attr_clear);
        return;
    case OPTION_BIND:
    case OPTION_RBIND:
        m->bind = true;
        m->recursive = o->kind == OPTION_RBIND;
        return;
    case OPTION_COPY_UP:
        m->copy_up = true;
        return;
    case OPTION_REMOUNT:
        m->remount = true;
        return;
    case OPTION_IDMAP:
    case OPTION_RIDMAP:
        m->idmap = true;
        m->idmap_recursive = o->kind == OPTION_RIDMAP;
        return;
    case OPTION_FLAG:
        m->flags[n->flags++] = o->name;
        return;
    case OPTION_TRIED:
        m->tried[n->tried++] = o->name;
        return;
    case OPTION_IGNORED:
    default:
        return;
    }
}

static void one_option(const char *s, MountOptions *m, Counts *n)
{
    const Option *o = option_find(s), *all = s[0] == 'r' ? option_find(s + 1) : NULL;
    uint64_t flags = mount_propagation(s);

    if (flags)
        m->propagation = flags;
    else if (o)
        known_option(o, m, n);
    else if (is_attribute(all))
        apply(all, &m->attr_set_rec, &m->attr_clear_rec);
    else if (*s && !startswith(s, "x-") && !startswith(s, "X-") && !startswith(s, "comment=")) /* mount(8)'s own */
        m->parameters[n->parameters++] = s;
}

int mount_options_parse(const char *const *options, MountOptions *ret)
{
    MountOptions m = {};
    Counts counts = {};
    size_t n = 0;

    while (options && options[n])
        n++;
    m.parameters = calloc(3 * (n + 1), sizeof(*m.parameters));
    if (!m.parameters)
        return -ENOMEM;
    m.flags = m.parameters + n + 1;
    m.tried = m.flags + n + 1;
    for (size_t i = 0; i < n; i++)
        one_option(options[i], &m, &counts);
    m.read_only = (m.attr_set & MOUNT_ATTR_RDONLY) || (m.attr_set_rec & MOUNT_ATTR_RDONLY);
    *ret = m;
    return 0;
}

void mount_options_done(MountOptions *o)
{
    free(o->parameters); /* the others are behind them */
    *o = (MountOptions){};
}
