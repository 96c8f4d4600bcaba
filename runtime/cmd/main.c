/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <sys/auxv.h>

#include "cmd.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/rundir.h"
#include "runtime/base/strbuf.h"
#include "store.h"

#define SPEC_VERSION "1.3.0"

/* Those over the store report for themselves. */
static int verb_layer(Cli *cli _unused_, int argc, char **argv, Error *e _unused_)
{
    return cmd_layer(argc, argv);
}

static int verb_snapshot(Cli *cli _unused_, int argc, char **argv, Error *e _unused_)
{
    return cmd_snapshot(argc, argv);
}

static int verb_generation(Cli *cli _unused_, int argc, char **argv, Error *e _unused_)
{
    return cmd_generation(argc, argv);
}

static const Verb verbs[] = {
    {"create", verb_create, "[--bundle DIR] ID", "make a container, up to the point where its program would start"},
    {"start", verb_start, "ID", "start the program of a created container"},
    {"run", verb_run, "[--bundle DIR] ID", "create, start, wait and delete"},
    {"state", verb_state, "ID", "print the state of a container as JSON"},
    {"kill", verb_kill, "[--all] ID [SIGNAL]", "send a signal"},
    {"delete", verb_delete, "[--force] ID", "remove a container that has ended"},
    {"exec", verb_exec, "[--process FILE] ID [PROGRAM ARG...]", "run another program in a container"},
    {"list", verb_list, "[--format table|json] [--quiet]", "list containers"},
    {"ps", verb_ps, "[--format table|json] ID", "list the processes of a container"},
    {"pause", verb_pause, "ID", "freeze all processes of a container"},
    {"resume", verb_resume, "ID", "let them go on"},
    {"update", verb_update, "[--resources FILE|-] ID", "change the limits of a container"},
    {"spec", verb_spec, "[--bundle DIR] [--rootless]", "write a config.json to start from"},
    {"features", verb_features, "", "print what this runtime supports as JSON"},
    {"layer", verb_layer, "ACTION ...", "sealed layers of the store"},
    {"snapshot", verb_snapshot, "ACTION ...", "writable roots from layers"},
    {"generation", verb_generation, "ACTION ...", "stacks of layers with their record"},
};

static int usage(FILE *to, int status)
{
    fprintf(to, "usage: moss-runtime [OPTION...] VERB [ARGUMENT...]\n\nverbs:\n");
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        fprintf(to, "  %-9s %-40s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].help);
    fprintf(to, "\noptions:\n"
                "  --root DIR             where the state of containers is kept\n"
                "  --log FILE             write errors there too\n"
                "  --log-format FORMAT    text or json\n"
                "  --debug                accepted: nothing more is logged\n"
                "  --cgroup-manager NAME  cgroupfs\n"
                "  --systemd-cgroup       make cgroups through systemd\n"
                "  --rootless VALUE       accepted: found out by itself\n"
                "  --version, --help\n");
    return status;
}

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
    ret->root = fd;
    return 0;
}

int cmd_bad_option(int argc, char **argv, Error *e)
{
    const char *what = optind > 0 && optind <= argc ? argv[optind - 1] : "?";

    return error_setf(e, -EINVAL, "%s: unknown option, or one without its value: %s", argv[0], what);
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

int cmd_print(json_t *value, Error *e)
{
    _cleanup_json_ json_t *v = value;

    if (!v || json_dumpf(v, stdout, JSON_INDENT(2)) < 0 || putchar('\n') < 0 || fflush(stdout) != 0)
        return error_errnof(e, v ? -EIO : -ENOMEM, "cannot print the result");
    return 0;
}

/* One record, which names the whole cause: engines show the last one only. */
static void log_error(const Cli *cli, const Error *e)
{
    _cleanup_free_ char *line = NULL;
    _cleanup_close_ int fd = -EBADF;
    char now[21];

    clock_iso8601(now);
    if (cli->log_json) {
        json_t *o = json_pack("{s:s%, s:s, s:s}", "msg", e->text, strlen(e->text), "level", "error", "time", now);
        _cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

        json_decref(o);
        line = xasprintf("%s\n", text ? text : "{\"level\":\"error\",\"msg\":\"an error that is not valid UTF-8\"}");
    } else {
        line = xasprintf("time=\"%s\" level=error msg=\"%s\"\n", now, e->text);
    }
    fd = open(cli->log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0644);
    if (!line || fd < 0 || fd_write_all(fd, line, strlen(line)) < 0)
        fprintf(stderr, "moss-runtime: --log %s: %s\n", cli->log, strerror(errno));
}

static int report(const Cli *cli, int code, Error *e)
{
    if (!*e->text)
        error_errnof(e, code, "failed");
    if (cli->log)
        log_error(cli, e);
    fprintf(stderr, "moss-runtime: %s\n", e->text);
    return 1;
}

enum {
    OPTION_ROOT = 256,
    OPTION_LOG,
    OPTION_LOG_FORMAT,
    OPTION_DEBUG,
    OPTION_MANAGER,
    OPTION_SYSTEMD,
    OPTION_ROOTLESS
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
        if (!streq(optarg, "cgroupfs") && !streq(optarg, "systemd"))
            return error_setf(e, -EINVAL, "--cgroup-manager \"%s\": is neither cgroupfs nor systemd", optarg);
        cli->systemd_cgroup = streq(optarg, "systemd");
        return 0;
    case OPTION_SYSTEMD:
        cli->systemd_cgroup = true;
        return 0;
    case OPTION_ROOTLESS:
        return 0;
    default:
        return error_setf(e, -EINVAL, "unknown option, or one without its value; see --help");
    }
}

static int dispatch(Cli *cli, int argc, char **argv, Error *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (streq(argv[0], verbs[i].name)) {
            optind = 0; /* glibc: start anew */
            return verbs[i].run(cli, argc, argv, e);
        }
    return error_setf(e, -EINVAL, "no such verb: \"%s\"; see --help", argv[0]);
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
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {},
    };
    Cli cli = {.argv = argv};
    Error e = {};
    int c, r = 0;

    if (getauxval(AT_UID) != getauxval(AT_EUID) || getauxval(AT_GID) != getauxval(AT_EGID)) {
        fputs("moss-runtime: must not be installed set-user-ID or set-group-ID\n", stderr);
        return 1;
    }
    open_streams();
    opterr = 0;
    while (r >= 0 && (c = getopt_long(argc, argv, "+vh", options, NULL)) != -1) {
        if (c == 'h')
            return usage(stdout, 0);
        if (c == 'v') {
            printf("moss-runtime version " MOSS_VERSION "\nspec: " SPEC_VERSION "\n");
            return 0;
        }
        r = global_option(&cli, c, &e);
    }
    if (r >= 0 && optind == argc)
        return usage(stderr, 2);
    if (r >= 0)
        r = dispatch(&cli, argc - optind, argv + optind, &e);
    return r < 0 ? report(&cli, r, &e) : r;
}
