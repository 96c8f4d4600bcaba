/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <unistd.h>

#include "cmd.h"
#include "runtime/base/fd.h"
#include "runtime/oci/guard.h"

typedef struct Options {
    CreateOptions create;
    bool run;
    const char *id, *config;
} Options;

enum {
    OPTION_NO_PIVOT = 256,
    OPTION_NO_KEYRING,
    OPTION_KEEP,
};

static int one_option(Options *o, int c, int argc, char **argv, Error *e)
{
    switch (c) {
    case 'b':
        o->create.bundle = optarg;
        return 0;
    case 'f':
        o->config = optarg;
        return 0;
    case OPTION_NO_PIVOT:
        o->create.no_pivot = true;
        return 0;
    case OPTION_NO_KEYRING:
        o->create.keep_keyring = true;
        return 0;
    case OPTION_KEEP:
        o->create.keep = true;
        return o->run ? 0 : cmd_bad_option(argc, argv, e);
    default:
        return c == 'd' && !o->run ? cmd_bad_option(argc, argv, e)
                                   : cmd_caller_option(&o->create.caller, c, argc, argv, e);
    }
}

static int parse(Options *o, int argc, char **argv, Error *e)
{
    static const struct option options[] = {
        {"bundle", required_argument, NULL, 'b'},
        {"config", required_argument, NULL, 'f'},
        CMD_CALLER_OPTIONS,
        {"no-pivot", no_argument, NULL, OPTION_NO_PIVOT},
        {"no-new-keyring", no_argument, NULL, OPTION_NO_KEYRING},
        {"keep", no_argument, NULL, OPTION_KEEP},
        {},
    };
    int c, r;

    while ((c = getopt_long(argc, argv, "b:f:d", options, NULL)) != -1) {
        r = one_option(o, c, argc, argv, e);
        if (r < 0)
            return r;
    }
    return cmd_id(argc, argv, &o->id, e);
}

static int check_driver(const Cli *cli, Error *e)
{
    if (!cli->systemd_cgroup)
        return 0;
    if (access("/run/systemd/system", F_OK) < 0)
        return error_setf(e, -EOPNOTSUPP, "--systemd-cgroup: systemd does not run on this host");
    return 0;
}

/* Sockets that systemd passes on (sd_listen_fds(3)) come before those of --preserve-fds. Engines set LISTEN_PID to what it will be inside. */
static unsigned listen_fds(void)
{
    const char *owner = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    int64_t pid, n;

    if (!count || cmd_number("LISTEN_FDS", count, 0, 65536, &n, NULL) < 0 ||
        (owner && cmd_number("LISTEN_PID", owner, 1, INT32_MAX, &pid, NULL) < 0))
        return 0;
    return !owner || pid == 1 || pid == getpid() ? (unsigned) n : 0;
}

static int create_or_run(Cli *cli, Options *o, int argc, char **argv, Error *e)
{
    Runtime rt;
    int r;

    if ((r = parse(o, argc, argv, e)) < 0 || (r = check_driver(cli, e)) < 0 || (r = guard_self(cli->argv, e)) < 0)
        return r;
    if (o->config &&
        (r = config_load(AT_FDCWD, o->config, &o->create.config, e)) < 0) /* it may be an fd of the caller's */
        return error_wrapf(e, r, "--config %s", o->config);
    o->create.listen_fds = listen_fds();
    o->create.caller.preserve_fds += o->create.listen_fds;
    if ((r = container_take_fds(&o->create.caller.preserve_fds, e)) < 0 || (r = cmd_runtime(cli, &rt, e)) < 0)
        return r;
    o->create.systemd = cli->systemd_cgroup;
    o->create.no_cgroup = cli->no_cgroup;
    o->create.caller.warner = (Warner){cmd_warn, cli};
    r = o->run ? container_run(&rt, o->id, &o->create, e) : container_create(&rt, o->id, &o->create, e);
    fd_closep(&rt.root);
    return r;
}

int verb_create(Cli *cli, int argc, char **argv, Error *e)
{
    Options o = {};

    return create_or_run(cli, &o, argc, argv, e);
}

int verb_run(Cli *cli, int argc, char **argv, Error *e)
{
    Options o = {.run = true};

    return create_or_run(cli, &o, argc, argv, e);
}
