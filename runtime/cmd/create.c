/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <unistd.h>

#include "cmd.h"
#include "runtime/base/fd.h"
#include "runtime/oci/guard.h"

typedef struct Options {
    CreateOptions create;
    bool run, detach;
    const char *id;
} Options;

enum {
    OPTION_PID_FILE = 256,
    OPTION_CONSOLE,
    OPTION_PIDFD,
    OPTION_PRESERVE,
    OPTION_NO_PIVOT,
    OPTION_NO_KEYRING,
    OPTION_KEEP,
    OPTION_NO_SUBREAPER
};

static int one_option(Options *o, int c, int argc, char **argv, Error *e)
{
    int64_t n;
    int r;

    switch (c) {
    case 'b':
        o->create.bundle = optarg;
        return 0;
    case 'd':
        o->detach = true;
        return o->run ? 0 : cmd_bad_option(argc, argv, e);
    case OPTION_PID_FILE:
        o->create.pid_file = optarg;
        return 0;
    case OPTION_CONSOLE:
        o->create.console_socket = optarg;
        return 0;
    case OPTION_PIDFD:
        o->create.pidfd_socket = optarg;
        return 0;
    case OPTION_PRESERVE:
        r = cmd_number("--preserve-fds", optarg, 0, 65536, &n, e);
        if (r >= 0)
            o->create.preserve_fds = (unsigned) n;
        return r;
    case OPTION_NO_PIVOT:
        o->create.no_pivot = true;
        return 0;
    case OPTION_NO_KEYRING:
        o->create.keep_keyring = true;
        return 0;
    case OPTION_KEEP:
        o->create.keep = true;
        return o->run ? 0 : cmd_bad_option(argc, argv, e);
    case OPTION_NO_SUBREAPER:
        return 0; /* nothing here becomes one */
    default:
        return cmd_bad_option(argc, argv, e);
    }
}

static int parse(Options *o, int argc, char **argv, Error *e)
{
    static const struct option options[] = {
        {"bundle", required_argument, NULL, 'b'},
        {"detach", no_argument, NULL, 'd'},
        {"pid-file", required_argument, NULL, OPTION_PID_FILE},
        {"console-socket", required_argument, NULL, OPTION_CONSOLE},
        {"pidfd-socket", required_argument, NULL, OPTION_PIDFD},
        {"preserve-fds", required_argument, NULL, OPTION_PRESERVE},
        {"no-pivot", no_argument, NULL, OPTION_NO_PIVOT},
        {"no-new-keyring", no_argument, NULL, OPTION_NO_KEYRING},
        {"keep", no_argument, NULL, OPTION_KEEP},
        {"no-subreaper", no_argument, NULL, OPTION_NO_SUBREAPER},
        {},
    };
    int c, r;

    while ((c = getopt_long(argc, argv, "+b:d", options, NULL)) != -1) {
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

    if (!owner || !count || cmd_number("LISTEN_PID", owner, 1, INT32_MAX, &pid, NULL) < 0 ||
        cmd_number("LISTEN_FDS", count, 0, 65536, &n, NULL) < 0)
        return 0;
    return pid == 1 || pid == getpid() ? (unsigned) n : 0;
}

static int create_or_run(Cli *cli, Options *o, int argc, char **argv, Error *e)
{
    Runtime rt;
    int r;

    if ((r = parse(o, argc, argv, e)) < 0 || (r = check_driver(cli, e)) < 0 || (r = guard_self(cli->argv, e)) < 0)
        return r;
    o->create.listen_fds = listen_fds();
    o->create.preserve_fds += o->create.listen_fds;
    if ((r = container_take_fds(o->create.preserve_fds, e)) < 0 || (r = cmd_runtime(cli, &rt, e)) < 0)
        return r;
    o->create.systemd = cli->systemd_cgroup;
    o->create.no_cgroup = cli->no_cgroup;
    o->create.warner = (Warner){cmd_warn, cli};
    r = o->run ? container_run(&rt, o->id, &o->create, o->detach, e) : container_create(&rt, o->id, &o->create, e);
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
