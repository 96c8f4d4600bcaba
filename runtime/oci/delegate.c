/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <unistd.h>

#include "resources.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"

/* "Cgroup ownership" of config-linux.md: a program that finds its cgroup writable, as an init system wants it, may also make others in it. */

#define DELEGATE_FILES "/sys/kernel/cgroup/delegate"

static bool writable_cgroups(const Config *c)
{
    for (size_t i = 0; i < c->n_mounts; i++)
        if (streq(c->mounts[i].destination, "/sys/fs/cgroup") && streq_ptr(c->mounts[i].source, "cgroup"))
            return !c->mounts[i].options.read_only;
    return false;
}

/* The host's id of the container's user; false where the maps do not say. */
static bool host_id(const Config *c, uid_t uid, uid_t *ret)
{
    if (c->namespaces[NS_USER].path)
        return false;
    *ret = uid;
    if (!c->namespaces[NS_USER].wanted)
        return true;
    for (size_t i = 0; i < c->n_uid_map; i++)
        if (uid >= c->uid_map[i].inside && uid - c->uid_map[i].inside < c->uid_map[i].count) {
            *ret = c->uid_map[i].outside + (uid - c->uid_map[i].inside);
            return true;
        }
    return false;
}

int container_cgroup_delegate(const ContainerCgroup *g, const Config *c, Error *e)
{
    static const char fallback[] = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";
    _cleanup_free_ char *names = NULL;
    char *save = NULL;
    uid_t uid;

    if (g->fd < 0 || !config_new(c, NS_CGROUP) || !writable_cgroups(c) || geteuid() != 0 ||
        !host_id(c, c->process.uid, &uid) || uid == 0)
        return 0;
    if (file_read_at(AT_FDCWD, DELEGATE_FILES, 4096, &names, NULL) < 0 && !(names = strdup(fallback)))
        return error_errnof(e, -ENOMEM, "cgroup of the container");
    if (fchownat(g->fd, "", uid, (gid_t) -1, AT_EMPTY_PATH) < 0)
        return error_errnof(e, -errno, "cgroup /%s: cannot become the container's", g->path);
    for (char *name = strtok_r(names, "\n", &save); name; name = strtok_r(NULL, "\n", &save))
        if (!strchr(name, '/') && fchownat(g->fd, name, uid, (gid_t) -1, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
            return error_errnof(e, -errno, "cgroup /%s: %s cannot become the container's", g->path, name);
    return 0;
}
