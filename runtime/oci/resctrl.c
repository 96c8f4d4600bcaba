/* SPDX-License-Identifier: Apache-2.0 */
#include "resctrl.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/strbuf.h"

#define RESCTRL_ROOT "/sys/fs/resctrl"
#define RESCTRL_MAGIC 0x7655821 /* RDTGROUP_SUPER_MAGIC of linux/magic.h */
#define SCHEMATA_MAX ((size_t) 1 << 20)

static int open_root(Error *e)
{
    _cleanup_close_ int fd = open(RESCTRL_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct statfs fs;

    if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != RESCTRL_MAGIC)
        return error_setf(e, -EOPNOTSUPP, "linux.intelRdt: no resctrl file system is mounted at " RESCTRL_ROOT);
    return TAKE_FD(fd);
}

static const char *class_of(const ConfigRdt *rdt, const char *id)
{
    return !rdt->clos ? id : streq(rdt->clos, "/") ? "." : rdt->clos;
}

/* The lines to be written, in the order of the specification. */
static char *wanted_lines(const ConfigRdt *rdt)
{
    _cleanup_(strbuf_done) StrBuf b = {};

    for (const char *p = rdt->l3; p && *p; p += strspn(p, "\n")) {
        size_t n = strcspn(p, "\n");

        if (n > 0 && !(rdt->mem && startswith(p, "MB:"))) /* memBwSchema has the last word on them */
            (void) strbuf_addf(&b, "%.*s\n", (int) n, p);
        p += n;
    }
    if (rdt->mem)
        (void) strbuf_addf(&b, "%s\n", rdt->mem);
    for (const char **s = rdt->schemata; s && *s; s++)
        (void) strbuf_addf(&b, "%s\n", *s);
    return strbuf_take(&b);
}

static int write_to(int dir, const char *file, const char *text)
{
    _cleanup_close_ int fd = openat(dir, file, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* The kernel's reason stands in a file of the top directory. */
static int refused(int root, int code, const char *what, Error *e)
{
    _cleanup_free_ char *why = NULL;

    if (file_read_at(root, "info/last_cmd_status", 4096, &why, NULL) < 0 || !*why || startswith(why, "ok"))
        return error_errnof(e, code, "linux.intelRdt: %s", what);
    why[strcspn(why, "\n")] = '\0';
    return error_setf(e, code, "linux.intelRdt: %s: %s", what, why);
}

/* The number behind "ID=", in hexadecimal or not as the resource has it; the kernel fills it up with zeros or spaces. */
static bool same_value(const char *a, size_t n, const char *b, size_t m)
{
    while (n > 1 && (*a == '0' || *a == ' '))
        a++, n--;
    while (m > 1 && (*b == '0' || *b == ' '))
        b++, m--;
    return n == m && strncasecmp(a, b, n) == 0;
}

/* Is each "ID=VALUE" of `line` ("L3:0=f;1=3") there in the line of the same resource in `have`? */
static bool line_holds(const char *have, const char *line)
{
    const char *colon = strchr(line, ':'), *p = have;
    size_t key = colon ? (size_t) (colon - line) + 1 : 0;

    while (key && p && strncmp(p + strspn(p, " "), line, key) != 0) {
        p = strchr(p, '\n');
        p = p ? p + 1 : NULL;
    }
    if (!key || !p)
        return false;
    p += strspn(p, " ") + key;
    for (const char *w = colon + 1; *w && *w != '\n'; w += strspn(w, ";")) {
        size_t n = strcspn(w, ";\n"), id = strcspn(w, "=");
        bool found = false;

        for (const char *h = p + strspn(p, " "); !found && *h && *h != '\n'; h += strspn(h, "; ")) {
            size_t m = strcspn(h, ";\n");

            found = id < n && m > id && strncmp(h, w, id + 1) == 0 &&
                    same_value(w + id + 1, n - id - 1, h + id + 1, m - id - 1);
            h += m;
        }
        if (!found)
            return false;
        w += n;
    }
    return true;
}

/* A class that is there already belongs to others as well: it must be what is asked for. */
static int check_lines(int class, const char *name, const char *wanted, Error *e)
{
    _cleanup_free_ char *have = NULL;
    int r = file_read_at(class, "schemata", SCHEMATA_MAX, &have, NULL);

    if (r < 0)
        return error_errnof(e, r, "linux.intelRdt: class \"%s\": schemata", name);
    for (const char *line = wanted; *line; line += strcspn(line, "\n") + 1)
        if (!line_holds(have, line))
            return error_setf(e, -EEXIST, "linux.intelRdt: class \"%s\" exists with another schema than \"%.*s\"", name,
                              (int) strcspn(line, "\n"), line);
    return 0;
}

static int write_lines(int root, int class, const char *wanted, Error *e)
{
    int r = 0;

    for (const char *line = wanted; *line && r >= 0; line += strcspn(line, "\n") + 1) {
        _cleanup_free_ char *one = xasprintf("%.*s\n", (int) strcspn(line, "\n"), line);

        r = one ? write_to(class, "schemata", one) : -ENOMEM;
        if (r < 0) {
            char what[128];

            snprintf(what, sizeof(what), "schema \"%.*s\"", (int) MIN(strcspn(line, "\n"), (size_t) 100), line);
            return refused(root, r, what, e);
        }
    }
    return 0;
}

/* The directory of the class, made where the specification lets the runtime make it. */
static int open_class(int root, const ConfigRdt *rdt, const char *name, const char *wanted, bool *ret_made, Error *e)
{
    bool may_make = !rdt->clos || *wanted;
    int fd;

    *ret_made = false;
    if (may_make && !streq(name, ".")) {
        if (mkdirat(root, name, 0755) == 0)
            *ret_made = true;
        else if (errno != EEXIST)
            return refused(root, -errno, "cannot make a class", e);
    }
    fd = openat(root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errnof(e, -errno, "linux.intelRdt: class \"%s\" (without a schema it must be there already)",
                            name);
    return fd;
}

static int set_class(int root, const ConfigRdt *rdt, const char *id, bool *made, Error *e)
{
    _cleanup_free_ char *wanted = wanted_lines(rdt), *group = xasprintf("mon_groups/%s", id);
    const char *name = class_of(rdt, id);
    _cleanup_close_ int class = -EBADF;
    int r;

    if (!wanted || !group)
        return error_errnof(e, -ENOMEM, "linux.intelRdt");
    class = open_class(root, rdt, name, wanted, made, e);
    if (class < 0)
        return class;
    if (*wanted) {
        r = *made || !rdt->clos ? write_lines(root, class, wanted, e) : check_lines(class, name, wanted, e);
        if (r < 0)
            return r;
    }
    if (rdt->monitoring && mkdirat(class, group, 0755) < 0)
        return refused(root, -errno, "enableMonitoring: cannot make a monitoring group", e);
    return 0;
}

int resctrl_enter(int root, const ConfigRdt *rdt, const char *id, pid_t pid, Error *e)
{
    _cleanup_free_ char *tasks = xasprintf("%s/tasks", class_of(rdt, id)),
                        *monitored = xasprintf("%s/mon_groups/%s/tasks", class_of(rdt, id), id);
    char text[16];
    int r;

    if (!tasks || !monitored)
        return error_errnof(e, -ENOMEM, "linux.intelRdt");
    snprintf(text, sizeof(text), "%d", (int) pid);
    r = write_to(root, tasks, text);
    if (r >= 0 && rdt->monitoring)
        r = write_to(root, monitored, text);
    return r < 0 ? refused(root, r, "cannot put the process into its class", e) : 0;
}

int resctrl_join(int root, const ConfigRdt *rdt, const char *id, pid_t pid, Error *e)
{
    bool made = false;
    int r = set_class(root, rdt, id, &made, e);

    if (r >= 0)
        r = resctrl_enter(root, rdt, id, pid, e);
    if (r < 0 && made)
        (void) unlinkat(root, class_of(rdt, id), AT_REMOVEDIR);
    return r;
}

void resctrl_leave(int root, const ConfigRdt *rdt, const char *id)
{
    _cleanup_free_ char *group = xasprintf("%s/mon_groups/%s", class_of(rdt, id), id);

    if (group && rdt->monitoring)
        (void) unlinkat(root, group, AT_REMOVEDIR);
    if (!rdt->clos)
        (void) unlinkat(root, id, AT_REMOVEDIR);
}

int resctrl_apply(const ConfigRdt *rdt, const char *id, pid_t pid, bool first, Error *e)
{
    _cleanup_close_ int root = -EBADF;

    if (!rdt->wanted)
        return 0;
    root = open_root(e);
    if (root < 0)
        return root;
    return first ? resctrl_join(root, rdt, id, pid, e) : resctrl_enter(root, rdt, id, pid, e);
}

void resctrl_release(const ConfigRdt *rdt, const char *id)
{
    _cleanup_close_ int root = rdt->wanted ? open_root(NULL) : -EBADF;

    if (root >= 0)
        resctrl_leave(root, rdt, id);
}

int resctrl_update(const ConfigRdt *rdt, const char *id, const char *l3, const char *mem, Error *e)
{
    ConfigRdt change = {.clos = rdt->clos, .l3 = l3, .mem = mem};
    _cleanup_free_ char *wanted = wanted_lines(&change);
    _cleanup_close_ int root = open_root(e), class = -EBADF;

    if (root < 0)
        return root;
    if (!wanted)
        return error_errnof(e, -ENOMEM, "linux.intelRdt");
    if (!rdt->wanted)
        return error_setf(e, -EINVAL, "linux.intelRdt: container \"%s\" was made without it", id);
    class = openat(root, class_of(rdt, id), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return class < 0 ? error_errnof(e, -errno, "linux.intelRdt: class \"%s\"", class_of(rdt, id))
                     : write_lines(root, class, wanted, e);
}
