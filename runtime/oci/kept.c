/* SPDX-License-Identifier: Apache-2.0 */
#include "kept.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/process.h"
#include "runtime/base/program.h"
#include "runtime/base/socket.h"

#define AT "annotation " KEPT_ANNOTATION
#define START_TIMEOUT (60 * USEC_PER_SEC)
#define OUTPUT_MAX ((size_t) 64 << 10)
#define HIGH_FD (KEPT_LISTEN_FD + 1)

static const char *const init_argv[] = {"moss-init", NULL};

const char *kept_agent(const Config *c)
{
    return json_string_value(json_object_get(c->annotations, KEPT_ANNOTATION));
}

int kept_check(const Config *c, const SeccompFilter *filter, unsigned fds, bool cgroup, Error *e)
{
    static const NamespaceKind own[] = {NS_PID, NS_MOUNT};

    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        if (!config_new(c, own[i]))
            return error_setf(e, -EINVAL, AT ": needs a %s namespace of the container's own", namespace_names[own[i]]);
    if (!cgroup)
        return error_setf(e, -EINVAL, AT ": needs a cgroup of the container's own");
    if (fds > 0)
        return error_setf(e, -EINVAL,
                          AT ": the agent takes no file descriptors of the caller's (--preserve-fds, LISTEN_FDS)");
    /* The shim listens for bind(2), and the kernel lets a process have one listener. */
    return filter->notify ? error_setf(e, -EINVAL, AT ": linux.seccomp: SCMP_ACT_NOTIFY cannot be used as well") : 0;
}

void kept_done(Kept *k)
{
    fd_closep(&k->program);
    fd_closep(&k->listener);
}

int kept_open(int state_dir, const char *self, Kept *ret, Error *e)
{
    _cleanup_(kept_done) Kept k = KEPT_INIT;
    _cleanup_free_ char *path = NULL;
    int r;

    r = program_find(self, init_argv[0], &path, e);
    if (r >= 0)
        r = k.program = program_seal(path, e);
    if (r < 0)
        return error_wrapf(e, r, AT);
    k.listener = socket_listen_at(state_dir, KEPT_SOCKET);
    if (k.listener < 0)
        return error_errnof(e, k.listener, AT ": socket of moss-init");
    *ret = k;
    k = KEPT_INIT;
    return 0;
}

ConfigProcess kept_process(const ConfigProcess *p)
{
    ConfigProcess init = *p;

    init.args = (const char **) init_argv;
    init.cwd = "/"; /* any other directory would pin the root that is there now */
    init.capabilities = NULL;
    init.no_new_privileges = true;
    return init;
}

int kept_exec(const Kept *k, const SeccompFilter *filter, int sync, Error *e)
{
    static const char *const env[] = {NULL};
    int program = fcntl(k->program, F_DUPFD_CLOEXEC, HIGH_FD);
    int r;

    /* Out of the way of the one number that counts; the end of `sync` is the sign that all went well. */
    if (program < 0 || fcntl(sync, F_DUPFD_CLOEXEC, HIGH_FD) < 0 || dup2(k->listener, KEPT_LISTEN_FD) < 0 ||
        syscall(SYS_close_range, HIGH_FD, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return error_errnof(e, -errno, "moss-init");
    if (filter->code && (r = seccomp_install(filter)) < 0)
        return error_errnof(e, r, "linux.seccomp: the kernel refuses the filter");
    syscall(SYS_execveat, program, "", init_argv, env, AT_EMPTY_PATH);
    return error_errnof(e, -errno, "moss-init");
}

int kept_start(const Config *c, int state_dir, const char *self, Error *e)
{
    _cleanup_free_ char *path = NULL, *said = NULL;
    char link[FD_PATH_MAX], dir[4096];
    ssize_t n = readlink(fd_path(state_dir, link), dir, sizeof(dir) - 1);
    int r = n < 0 ? error_errnof(e, -errno, "state directory") : program_find(self, "moss-shim", &path, e);
    const char *argv[] = {"moss-shim", "start", kept_agent(c), "--container", dir, NULL};
    ProcessSpec spec = {
        .argv = argv, .path = path, .output_max = OUTPUT_MAX, .timeout_usec = START_TIMEOUT, .leave_children = true};

    if (r < 0)
        return error_wrapf(e, r, AT);
    dir[n] = '\0';
    spec.path = path;
    r = process_run(&spec, &said, e);
    if (r < 0)
        return error_wrapf(e, r, AT);
    return r == 0 ? 0 : error_setf(e, -EIO, AT ": %.*s", said ? (int) strcspn(said, "\n") : 0, said ? said : "");
}
