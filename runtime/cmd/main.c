/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/random.h>

#include "cmd.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/rundir.h"
#include "runtime/base/strbuf.h"

int cmd_runtime(const Cli *cli, Runtime *ret, Error *e)
{
    _cleanup_free_ char *path = cli->root ? strdup(cli->root) : NULL;
    int fd, r = cli->root ? 0 : run_directory("containers", &path, e);

    if (r < 0)
        return r;
    if (!path)
        return error_errnof(e, -ENOMEM, "--root");
    fd = state_root_open(path, e);
    if (fd < 0)
        return fd;
    *ret = (Runtime){fd, cli->argv[0], getenv("NOTIFY_SOCKET")};
    return 0;
}

int cmd_bad_option(int argc, char **argv, Error *e)
{
    const char *what = optind > 0 && optind <= argc ? argv[optind - 1] : "?";

    if (streq(what, "--help") || streq(what, "-h"))
        return CMD_HELP;
    return error_setf(e, -EINVAL, "%s: unknown option, or one without its value: %s", argv[0], what);
}

int cmd_caller_option(Caller *caller, int c, int argc, char **argv, Error *e)
{
    int64_t n;

    switch (c) {
    case 'd':
        caller->detach = true;
        return 0;
    case CMD_PID_FILE:
        caller->pid_file = optarg;
        return 0;
    case CMD_CONSOLE_SOCKET:
        caller->console_socket = optarg;
        return 0;
    case CMD_PIDFD_SOCKET:
        caller->pidfd_socket = optarg;
        return 0;
    case CMD_PRESERVE_FDS:
        if (cmd_number("--preserve-fds", optarg, 0, 65536, &n, e) < 0)
            return -EINVAL;
        caller->preserve_fds = (unsigned) n;
        return 0;
    case CMD_IGNORED:
        return 0;
    default:
        return cmd_bad_option(argc, argv, e);
    }
}

int cmd_id(int argc, char **argv, const char **ret, Error *e)
{
    if (argc - optind != 1)
        return error_setf(e, -EINVAL, "%s: needs exactly one container id", argv[0]);
    *ret = argv[optind];
    return 0;
}

int cmd_number(const char *option, const char *text, int64_t min, int64_t max, int64_t *ret, Error *e)
{
    char *end;
    long long n;

    errno = 0;
    n = strtoll(text, &end, 10);
    if (end == text || *end || errno || strspn(text, "-0123456789") != strlen(text) || n < min || n > max)
        return error_setf(e, -EINVAL, "%s \"%s\": is no number from %lld to %lld", option, text, (long long) min,
                          (long long) max);
    *ret = n;
    return 0;
}

int cmd_print(json_t *value, size_t flags, Error *e)
{
    _cleanup_json_ json_t *v = value;

    if (!v || json_dumpf(v, stdout, flags) < 0 || putchar('\n') < 0 || fflush(stdout) != 0)
        return error_errnof(e, v ? -EIO : -ENOMEM, "cannot print the result");
    return 0;
}

/* One record, which names the whole cause: engines show the last one only. */
static void log_record(const Cli *cli, const char *level, const char *what)
{
    _cleanup_free_ char *line = NULL;
    _cleanup_close_ int fd = -EBADF;
    char now[21];

    clock_iso8601(now);
    if (cli->log_json) {
        json_t *o = json_pack("{s:s, s:s, s:s}", "msg", what, "level", level, "time", now);
        _cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

        json_decref(o);
        line = xasprintf("%s\n", text ? text : "{\"level\":\"error\",\"msg\":\"an error that is not valid UTF-8\"}");
    } else {
        json_t *o = json_string(what);
        _cleanup_free_ char *text = o ? json_dumps(o, JSON_ENCODE_ANY) : NULL; /* for its quotes */

        json_decref(o);
        line = xasprintf("time=\"%s\" level=%s msg=%s\n", now, level,
                         text ? text : "\"an error that is not valid UTF-8\"");
    }
    if (line && streq(cli->log, "/dev/stderr")) {
        fputs(line, stderr); /* a symlink, and often to what cannot be opened */
        return;
    }
    fd = open(cli->log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0644);
    if (!line || fd < 0 || fd_write_all(fd, line, strlen(line)) < 0)
        fprintf(stderr, "moss-runtime: --log %s: %s\n", cli->log, strerror(errno));
}

void cmd_warn(void *cli, const char *text)
{
    const Cli *c = cli;

    if (c->log)
        log_record(c, "warning", text);
    else
        fprintf(stderr, "moss-runtime: warning: %s\n", text);
}

static int report(const Cli *cli, int code, Error *e)
{
    if (!*e->text)
        error_errnof(e, code, "failed");
    if (cli->log)
        log_record(cli, "error", e->text);
    if (!cli->log || !streq(cli->log, "/dev/stderr"))
        fprintf(stderr, "moss-runtime: %s\n", e->text);
    return cli->failure ? cli->failure : 1;
}

enum {
    OPTION_ROOT = 256,
    OPTION_LOG,
    OPTION_LOG_FORMAT,
    OPTION_DEBUG,
    OPTION_MANAGER,
    OPTION_SYSTEMD,
    OPTION_ROOTLESS,
    OPTION_CRIU,
};

static int global_option(Cli *cli, int option, Error *e)
{
    switch (option) {
    case OPTION_ROOT:
        cli->root = optarg;
        return 0;
    case OPTION_LOG:
        cli->log = optarg;
        return 0;
    case OPTION_LOG_FORMAT:
        if (!streq(optarg, "json") && !streq(optarg, "text"))
            return error_setf(e, -EINVAL, "--log-format \"%s\": is neither text nor json", optarg);
        cli->log_json = streq(optarg, "json");
        return 0;
    case OPTION_DEBUG:
        cli->debug = true;
        return 0;
    case OPTION_MANAGER:
        if (!streq(optarg, "cgroupfs") && !streq(optarg, "systemd") && !streq(optarg, "disabled"))
            return error_setf(e, -EINVAL, "--cgroup-manager \"%s\": is none of cgroupfs, systemd, disabled", optarg);
        cli->systemd_cgroup = streq(optarg, "systemd");
        cli->no_cgroup = streq(optarg, "disabled");
        return 0;
    case OPTION_SYSTEMD:
        cli->systemd_cgroup = true;
        return 0;
    case OPTION_ROOTLESS:
        if (!streq(optarg, "true") && !streq(optarg, "false") && !streq(optarg, "auto"))
            return error_setf(e, -EINVAL, "--rootless \"%s\": is none of true, false, auto", optarg);
        return 0;
    case OPTION_CRIU:
        cli->criu = optarg;
        return 0;
    default:
        return error_setf(e, -EINVAL, "unknown option, or one without its value; see --help");
    }
}

static int dispatch(Cli *cli, int argc, char **argv, Error *e)
{
    bool help = streq(argv[0], "help");
    const Verb *v = cmd_verb(help && argc > 1 ? argv[1] : argv[0]);
    int r = help ? CMD_HELP : 0;

    if (help && argc == 1) {
        cmd_usage(stdout);
        return 0;
    }
    if (!v)
        return error_setf(e, -EINVAL, "no such verb: \"%s\"; see --help", argv[help]);
    optind = 0; /* glibc: start anew */
    if (!help)
        r = v->run(cli, argc, argv, e);
    if (r != CMD_HELP)
        return r;
    cmd_verb_usage(v);
    return 0;
}

/* A caller that closed a standard stream must not have a file of ours take its place. */
static void open_streams(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR); /* for the container too, so not close-on-exec */
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"root", required_argument, NULL, OPTION_ROOT},
        {"log", required_argument, NULL, OPTION_LOG},
        {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
        {"debug", no_argument, NULL, OPTION_DEBUG},
        {"cgroup-manager", required_argument, NULL, OPTION_MANAGER},
        {"systemd-cgroup", no_argument, NULL, OPTION_SYSTEMD},
        {"rootless", required_argument, NULL, OPTION_ROOTLESS},
        {"criu", required_argument, NULL, OPTION_CRIU},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {},
    };
    Cli cli = {.argv = argv};
    Error e = {};
    size_t seed;
    int c, r = 0;

    if (getauxval(AT_UID) != getauxval(AT_EUID) || getauxval(AT_GID) != getauxval(AT_EGID)) {
        fputs("moss-runtime: must not be installed set-user-ID or set-group-ID\n", stderr);
        return 1;
    }
    open_streams();
    /* by itself jansson opens a file for it */
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed))
        json_object_seed(seed);
    opterr = 0;
    while (r >= 0 && (c = getopt_long(argc, argv, "+vh", options, NULL)) != -1) {
        if (c == 'h' || c == 'v') {
            if (c == 'h')
                cmd_usage(stdout);
            else
                cmd_version();
            return 0;
        }
        r = global_option(&cli, c, &e);
    }
    if (r >= 0 && optind == argc) {
        cmd_usage(stderr);
        return 2;
    }
    if (r >= 0)
        r = dispatch(&cli, argc - optind, argv + optind, &e);
    return r < 0 ? report(&cli, r, &e) : r;
}
