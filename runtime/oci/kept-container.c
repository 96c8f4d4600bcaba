/* SPDX-License-Identifier: Apache-2.0 */
#include "kept-container.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container.h"
#include "kept.h"
#include "runtime/base/fd.h"
#include "runtime/base/strbuf.h"

struct KeptContainer {
    Container container;
    Config *config;
    int pidfd;
};

KeptContainer *kept_container_free(KeptContainer *k)
{
    if (!k)
        return NULL;
    fd_closep(&k->pidfd);
    config_free(k->config);
    container_done(&k->container);
    free(k);
    return NULL;
}

static int open_all(KeptContainer *k, const char *state_dir, Error *e)
{
    const char *slash = strrchr(state_dir, '/');
    _cleanup_free_ char *root = slash ? xasprintf("%.*s/", (int) (slash - state_dir), state_dir) : NULL;
    _cleanup_close_ int fd = root ? open(root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -EBADF;
    const Runtime rt = {.root = fd};
    int r;

    if (fd < 0)
        return error_errnof(e, root ? -errno : -EINVAL, "%s", state_dir);
    if ((r = container_id_check(slash + 1, e)) < 0 ||
        (r = container_open(&rt, slash + 1, false, &k->container, e)) < 0 ||
        (r = container_config(&k->container, &k->config, e)) < 0)
        return r;
    if (!kept_agent(k->config))
        return error_setf(e, -EINVAL, "container \"%s\" has no annotation " KEPT_ANNOTATION, slash + 1);
    k->pidfd = state_pidfd(&k->container.state);
    if (k->pidfd < 0)
        return error_setf(e, -ESRCH, "container \"%s\" does not run", slash + 1);
    return 0;
}

int kept_container_open(const char *state_dir, KeptContainer **ret, Error *e)
{
    _cleanup_(kept_container_freep) KeptContainer *k = malloc(sizeof(*k));
    int r;

    if (!k)
        return error_errnof(e, -ENOMEM, "%s", state_dir);
    *k = (KeptContainer){.container = {.dir = -EBADF, .group = CONTAINER_CGROUP_INIT}, .pidfd = -EBADF};
    r = open_all(k, state_dir, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(k);
    return 0;
}

const char *kept_container_agent(const KeptContainer *k)
{
    return kept_agent(k->config);
}

pid_t kept_container_pid(const KeptContainer *k)
{
    return k->container.state.pid;
}

int kept_container_pidfd(const KeptContainer *k)
{
    return k->pidfd;
}

int kept_container_cgroup(const KeptContainer *k)
{
    return k->container.group.fd;
}

int kept_container_dir(const KeptContainer *k)
{
    return k->container.dir;
}

bool kept_container_readonly(const KeptContainer *k)
{
    return k->config->root_readonly;
}

/* ---- processes ---- */

static bool same_variable(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");

    return strncmp(a, b, n + 1) == 0;
}

/* `ours` and what of `theirs` is not in it. The vector alone is the caller's. */
static const char **merge(const char *const *ours, const char **theirs)
{
    size_t n = 0, m = 0, k;
    const char **env;

    while (ours[n])
        n++;
    while (theirs && theirs[m])
        m++;
    env = calloc(n + m + 1, sizeof(*env));
    if (!env)
        return NULL;
    memcpy(env, ours, n * sizeof(*env));
    k = n;
    for (size_t i = 0; i < m; i++) {
        size_t j = 0;

        while (j < n && !same_variable(theirs[i], ours[j]))
            j++;
        if (j == n)
            env[k++] = theirs[i];
    }
    return env;
}

static void restore_streams(int saved[static 3])
{
    for (int i = 0; i < 3; i++) {
        if (saved[i] >= 0)
            (void) dup2(saved[i], i);
        fd_closep(&saved[i]);
    }
}

/* The process inherits our standard streams: those of the container's first process for as long as it takes. */
static int lend_streams(const KeptContainer *k, int output, int saved[static 3], Error *e)
{
    for (int i = 0; i < 3; i++) {
        _cleanup_close_ int theirs = -EBADF;

        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);
        theirs =
            i > 0 && output >= 0 ? fcntl(output, F_DUPFD_CLOEXEC, 3) : (int) syscall(SYS_pidfd_getfd, k->pidfd, i, 0);
        if (theirs < 0 || dup2(theirs, i) < 0)
            return error_errnof(e, -errno, "standard streams of container \"%s\"", k->container.state.id);
    }
    return 0;
}

int kept_container_exec(const KeptContainer *k, const KeptExec *exec, Executed *ret, Error *e)
{
    ConfigProcess p = k->config->process;
    _cleanup_free_ const char **env = merge(exec->env, p.env);
    ExecOptions o = {.process = &p,
                     .cgroup = exec->cgroup,
                     .caller = {.detach = true},
                     .ignore_paused = true,
                     .born = exec->born,
                     .before_filter = exec->before_filter,
                     .userdata = exec->userdata};
    int saved[3] = {-EBADF, -EBADF, -EBADF}, r;

    if (!env)
        return error_errnof(e, -ENOMEM, "%s", exec->argv[0]);
    p.terminal = false;
    p.args = (const char **) exec->argv;
    p.env = env;
    p.cwd = exec->cwd;
    p.uid = exec->uid;
    p.gid = exec->gid;
    p.n_groups = 0;
    p.capabilities = NULL;
    p.no_new_privileges = true;
    p.has_umask = false;
    p.initial_cpus = NULL; /* it would be our own */
    r = lend_streams(k, exec->output, saved, e);
    if (r >= 0)
        r = container_exec_watched(&k->container, k->config, &o, ret, e);
    restore_streams(saved);
    return r;
}
