/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <limits.h>
#include <unistd.h>

#include "cmd.h"
#include "runtime/base/fd.h"
#include "runtime/base/strbuf.h"
#include "runtime/oci/criu.h"
#include "runtime/oci/notify.h"

typedef struct Options {
    CriuOptions criu;
    CreateOptions create;
    bool restore;
    const char *id;
} Options;

enum {
    OPTION_IMAGES = 256,
    OPTION_WORK,
    OPTION_PARENT,
    OPTION_CGROUPS,
    OPTION_EMPTY,
    OPTION_PAGES,
    OPTION_STATUS,
    OPTION_LSM,
    OPTION_LSM_MOUNT,
    OPTION_FLAG, /* and those that follow it: see flags */
};

/* Those with a value, and of those which one verb only has: 'c'heckpoint, 'r'estore. */
static const struct {
    struct option option;
    char verb;
} table[] = {
    {{"image-path", required_argument, NULL, OPTION_IMAGES}, 0},
    {{"work-path", required_argument, NULL, OPTION_WORK}, 0},
    {{"manage-cgroups-mode", required_argument, NULL, OPTION_CGROUPS}, 0},
    {{"empty-ns", required_argument, NULL, OPTION_EMPTY}, 0},
    {{"tcp-established", no_argument, NULL, OPTION_FLAG}, 0},
    {{"ext-unix-sk", no_argument, NULL, OPTION_FLAG + 1}, 0},
    {{"shell-job", no_argument, NULL, OPTION_FLAG + 2}, 0},
    {{"file-locks", no_argument, NULL, OPTION_FLAG + 3}, 0},
    {{"lazy-pages", no_argument, NULL, OPTION_FLAG + 4}, 0},
    {{"auto-dedup", no_argument, NULL, OPTION_FLAG + 5}, 0},
    {{"leave-running", no_argument, NULL, OPTION_FLAG + 6}, 'c'},
    {{"pre-dump", no_argument, NULL, OPTION_FLAG + 7}, 'c'},
    {{"parent-path", required_argument, NULL, OPTION_PARENT}, 'c'},
    {{"page-server", required_argument, NULL, OPTION_PAGES}, 'c'},
    {{"status-fd", required_argument, NULL, OPTION_STATUS}, 'c'},
    {{"bundle", required_argument, NULL, 'b'}, 'r'},
    {{"detach", no_argument, NULL, 'd'}, 'r'},
    {{"pid-file", required_argument, NULL, CMD_PID_FILE}, 'r'},
    {{"console-socket", required_argument, NULL, CMD_CONSOLE_SOCKET}, 'r'},
    {{"no-subreaper", no_argument, NULL, CMD_IGNORED}, 'r'},
    {{"no-pivot", no_argument, NULL, CMD_IGNORED}, 'r'},
    {{"lsm-profile", required_argument, NULL, OPTION_LSM}, 'r'},
    {{"lsm-mount-context", required_argument, NULL, OPTION_LSM_MOUNT}, 'r'},
};

static bool *flag(CriuOptions *o, int c)
{
    bool *flags[] = {&o->tcp_established, &o->ext_unix_sk, &o->shell_job,     &o->file_locks,
                     &o->lazy_pages,      &o->auto_dedup,  &o->leave_running, &o->pre_dump};

    return c >= OPTION_FLAG && c < OPTION_FLAG + (int) ARRAY_SIZE(flags) ? flags[c - OPTION_FLAG] : NULL;
}

static const char **text(Options *o, int c)
{
    switch (c) {
    case OPTION_IMAGES:
        return &o->criu.images;
    case OPTION_WORK:
        return &o->criu.work;
    case OPTION_PARENT:
        return &o->criu.parent;
    case OPTION_CGROUPS:
        return &o->criu.cgroups;
    case OPTION_PAGES:
        return &o->criu.page_server;
    case OPTION_LSM:
        return &o->criu.lsm_profile;
    case OPTION_LSM_MOUNT:
        return &o->criu.lsm_mount_context;
    case 'b':
        return &o->create.bundle;
    default:
        return NULL;
    }
}

static int one_option(Options *o, int c, int argc, char **argv, Error *e)
{
    int64_t n;
    int r;

    if (flag(&o->criu, c)) {
        *flag(&o->criu, c) = true;
        return 0;
    }
    if (text(o, c)) {
        *text(o, c) = optarg;
        return 0;
    }
    switch (c) {
    case OPTION_EMPTY:
        o->criu.empty_network = true;
        return streq(optarg, "network")
                   ? 0
                   : error_setf(e, -EINVAL, "--empty-ns \"%s\": only the network can be left out", optarg);
    case OPTION_STATUS:
        r = cmd_number("--status-fd", optarg, 0, INT_MAX, &n, e);
        if (r >= 0 && fcntl((int) n, F_GETFD) < 0)
            r = error_errnof(e, -errno, "--status-fd %s", optarg);
        o->criu.status_fd = r < 0 ? -1 : (int) n;
        return r;
    default:
        return cmd_caller_option(&o->create.caller, c, argc, argv, e);
    }
}

static int parse(Options *o, int argc, char **argv, Error *e)
{
    struct option options[ARRAY_SIZE(table) + 1] = {};
    size_t n = 0;
    int c, r;

    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (!table[i].verb || table[i].verb == (o->restore ? 'r' : 'c'))
            options[n++] = table[i].option;
    while ((c = getopt_long(argc, argv, o->restore ? "b:d" : "", options, NULL)) != -1)
        if ((r = one_option(o, c, argc, argv, e)) < 0)
            return r;
    return cmd_id(argc, argv, &o->id, e);
}

/* criu changes its directory: paths must be absolute. */
static int absolute(const char *path, const char *option, bool make, char **ret, Error *e)
{
    if (make && mkdir_p(path, 0700) < 0)
        return error_errnof(e, -errno, "%s %s", option, path);
    *ret = realpath(path, NULL);
    return *ret ? 0 : error_errnof(e, -errno, "%s %s", option, path);
}

static int checkpoint(const Runtime *rt, Options *o, Error *e)
{
    _cleanup_(container_done) Container c = {.dir = -EBADF, .group = CONTAINER_CGROUP_INIT};
    _cleanup_(config_freep) Config *config = NULL;
    int r;

    if ((r = container_open(rt, o->id, true, &c, e)) < 0 || (r = container_config(&c, &config, e)) < 0 ||
        (r = criu_check(&o->criu, config, e)) < 0)
        return r;
    if (c.status != STATUS_RUNNING && c.status != STATUS_PAUSED)
        return error_setf(e, -EINVAL, "cannot checkpoint container \"%s\": container not running: it is %s", o->id,
                          status_names[c.status]);
    if (notify_has(c.dir))
        return error_setf(e, -EOPNOTSUPP,
                          "criu: NOTIFY_SOCKET: the container's notification socket cannot be given back");
    r = criu_dump(&o->criu, config, &c.state, &c.group, e);
    if (r < 0 || o->criu.leave_running || o->criu.pre_dump)
        return r;
    fd_closep(&c.dir); /* with its lock */
    return container_delete(rt, o->id, true, e);
}

static int checkpoint_or_restore(Cli *cli, Options *o, int argc, char **argv, Error *e)
{
    _cleanup_free_ char *images = NULL, *work = NULL;
    Runtime rt;
    int r;

    if ((r = parse(o, argc, argv, e)) < 0)
        return r;
    if (!o->criu.images)
        o->criu.images = "checkpoint";
    if ((r = absolute(o->criu.images, "--image-path", !o->restore, &images, e)) < 0 ||
        (r = absolute(o->criu.work ? o->criu.work : o->criu.images, "--work-path", true, &work, e)) < 0 ||
        (r = cmd_runtime(cli, &rt, e)) < 0)
        return r;
    o->criu.program = cli->criu;
    o->criu.images = images;
    o->criu.work = work;
    o->create.systemd = cli->systemd_cgroup;
    o->create.no_cgroup = cli->no_cgroup;
    r = o->restore ? container_restore(&rt, o->id, &o->create, &o->criu, e) : checkpoint(&rt, o, e);
    fd_closep(&rt.root);
    return r;
}

int verb_checkpoint(Cli *cli, int argc, char **argv, Error *e)
{
    Options o = {.criu.status_fd = -1};

    return checkpoint_or_restore(cli, &o, argc, argv, e);
}

int verb_restore(Cli *cli, int argc, char **argv, Error *e)
{
    Options o = {.restore = true, .criu.status_fd = -1};

    return checkpoint_or_restore(cli, &o, argc, argv, e);
}
