/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/box/cgroup.h"
#include "runtime/oci/kept-container.h"
#include "runtime/oci/kept.h"
#include "runtime/oci/sync.h"
#include "shim/hold/hold.h"
#include "shim/init/protocol.h"

#define REMEMBERED "container"
#define PATH_SIZE 4096U

_Static_assert(KEPT_LISTEN_FD == INIT_LISTEN_FD, "moss-init expects its socket there");

/* ---- the container ---- */

/* The namespace of the container's first process, unless it is ours as well. */
static int open_namespace(pid_t pid, const char *name, int *ret, Error *e)
{
    _cleanup_close_ int fd = -EBADF;
    struct stat theirs, ours;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int) pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &theirs) < 0)
        return error_errnof(e, -errno, "%s", path);
    snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
    if (stat(path, &ours) < 0)
        return error_errnof(e, -errno, "%s", path);
    if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
        *ret = TAKE_FD(fd);
    return 0;
}

static int open_cgroups(Container *c, Error *e)
{
    int r;

    c->cgroup = openat(kept_container_cgroup(c->engine), ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (c->cgroup < 0)
        return error_errnof(e, -errno, "cgroup of the container");
    if ((r = c->cgroup_agent = cgroup_make(c->cgroup, "agent", e)) < 0)
        return r;
    return c->cgroup_probe = cgroup_make(c->cgroup, "probe", e);
}

int engine_attach(const char *state_dir, Container *c, Error *e)
{
    int r = kept_container_open(state_dir, &c->engine, e);

    if (r < 0)
        return r;
    c->pid = kept_container_pid(c->engine);
    c->pidfd = fcntl(kept_container_pidfd(c->engine), F_DUPFD_CLOEXEC, 3);
    if (c->pidfd < 0)
        return error_errnof(e, -errno, "pidfd");
    if ((r = open_namespace(c->pid, "user", &c->userns, e)) < 0 ||
        (r = open_namespace(c->pid, "net", &c->netns, e)) < 0)
        return r;
    return open_cgroups(c, e);
}

/* ---- which it is ---- */

int engine_remember(int run_dir, const char *state_dir, Error *e)
{
    int r = file_write_at(run_dir, REMEMBERED, state_dir, strlen(state_dir), 0600, 0);

    return r < 0 ? error_errnof(e, r, "run directory: " REMEMBERED) : 0;
}

int engine_recall(int run_dir, char **ret, Error *e)
{
    int r = file_read_at(run_dir, REMEMBERED, PATH_SIZE, ret, NULL);

    return r < 0 ? error_errnof(e, r, "run directory: " REMEMBERED) : 0;
}

void engine_forget(int run_dir)
{
    (void) unlinkat(run_dir, REMEMBERED, 0);
}

/* ---- processes ---- */

/* In the process, which has its identity already. How many processes there may be is the engine's to limit: RLIMIT_NPROC would count what its user has elsewhere. */
static int restrict_process(void *userdata, int sync, Error *e)
{
    const SpawnSpec *spec = userdata;
    int r;

    if (spec->notify) {
        _cleanup_close_ int listener = hold_install_filter();

        r = listener < 0 ? listener : sync_send_listener(sync, listener);
        if (r < 0)
            return error_errnof(e, r, "seccomp notification of bind");
    }
    if (spec->landlock && (r = landlock_apply(spec->landlock, e)) < 0)
        return r;
    r = seccomp_install(spec->filter);
    return r < 0 ? error_errnof(e, r, "system call filter") : 0;
}

static int on_born(void *userdata, const Executed *child, Error *e)
{
    const SpawnSpec *spec = userdata;
    const Spawned spawned = {child->pid, child->pidfd, child->listener};

    return spec->born(&spawned, spec->userdata, e);
}

int engine_spawn(Container *c, const SpawnSpec *spec, Spawned *ret, Error *e)
{
    KeptExec exec = {.argv = spec->argv,
                     .env = spec->env,
                     .cwd = spec->cwd,
                     .uid = spec->uid,
                     .gid = spec->gid,
                     .cgroup = spec->cgroup == c->cgroup_agent ? "agent" : "probe",
                     .output = spec->born ? -EBADF : spec->output,
                     .born = spec->born ? on_born : NULL,
                     .before_filter = restrict_process,
                     .userdata = (void *) spec};
    Executed child;
    int r = kept_container_exec(c->engine, &exec, &child, e);

    if (r < 0)
        return error_wrapf(e, r, "cannot start %s", spec->argv[0]);
    *ret = (Spawned){child.pid, child.pidfd, child.listener};
    return 0;
}
