/* SPDX-License-Identifier: Apache-2.0 */
/* moss evo start, restart: walk an evolution, here or detached. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "evolve/cmd/command.h"
#include "evolve/cmd/evo.h"
#include "evolve/cmd/hook.h"
#include "evolve/report/report.h"
#include "evolve/report/terminal.h"
#include "evolve/stage/engine.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define USAGE                                                                                                          \
    " [BATCH] [--depth shallow|standard|deep] [--coder ADAPTER] [--jobs N] [--seconds N] [--detach] [--json]\n\n"      \
    "Walks a batch through the stages. Exit status: 0 CONVERGED, 1 any other end. SIGINT and SIGTERM stop it; `moss "  \
    "evo start`\n"                                                                                                     \
    "goes on where it was."

/* Set by the signal handler alone. */
static volatile sig_atomic_t stop_asked;

static void on_signal(_unused_ int sig)
{
    stop_asked = 1;
}

static void catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal}; /* no SA_RESTART: what waits is to look at the flag */

    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGHUP, &a, NULL);
}

typedef struct StartOptions {
    EngineOptions engine;
    bool detach;
} StartOptions;

static int options_parse(int argc, char **argv, StartOptions *ret)
{
    static const struct option options[] = {
        {"depth", required_argument, NULL, 'd'},
        {"coder", required_argument, NULL, 'c'},
        {"jobs", required_argument, NULL, 'j'},
        {"seconds", required_argument, NULL, 's'},
        {"detach", no_argument, NULL, 'b'},
        {"help", no_argument, NULL, 'h'},
        {},
    };
    int o, r = 0;

    optind = 0;
    while (r >= 0 && (o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (o == 'd')
            ret->engine.depth = optarg;
        else if (o == 'c')
            ret->engine.coder = optarg;
        else if (o == 'j')
            r = command_number(optarg, 64, &ret->engine.jobs);
        else if (o == 's')
            r = command_number(optarg, 1000000, &ret->engine.seconds);
        else if (o == 'b')
            ret->detach = true;
        else
            r = -EINVAL;
    }
    if (r < 0 || argc - optind > 1)
        return -EINVAL;
    ret->engine.batch = optind < argc ? argv[optind] : NULL;
    return 0;
}

static int print_end(const EvoContext *c, const Engine *g, const char *end, const char *why)
{
    _cleanup_json_ json_t *o = NULL;

    if (!c->json) {
        printf("%s: %s\n%s\n", engine_evolution(g), end, why);
        if (streq(end, "CONVERGED"))
            printf("`moss evo apply` shows the change and swaps it in.\n");
        return 0;
    }
    o = json_pack("{s:b, s:s, s:s, s:s, s:b}", "ok", 1, "evolution", engine_evolution(g), "end", end, "why", why,
                  "resumed", engine_resumed(g));
    return evo_print(o);
}

/* The page is a view of the ledger: that it cannot be written takes nothing from the end. */
static void print_report(const EvoContext *c, const Engine *g)
{
    _cleanup_free_ char *path = NULL;
    Error e = {};

    if (report_write(c->agent_directory, c->agent_name, engine_evolution(g), &path, &e) < 0)
        fprintf(stderr, "moss: %s\n", e.text);
    else if (!c->json)
        printf("report: %s\n", path);
}

/* Tells the one who waits for a detached walk to begin. */
static void announce(int fd, const char *text)
{
    if (fd >= 0)
        (void) fd_write_all(fd, text, strlen(text));
}

static int walk(const EvoContext *c, const EngineOptions *options, int announce_fd)
{
    _cleanup_(engine_freep) Engine *g = NULL;
    _cleanup_free_ char *begun = NULL;
    const char *end, *why;
    Error e = {};
    int r = engine_open(options, &g, &e);

    if (r >= 0)
        r = engine_start(g, &e);
    if (r < 0) {
        announce(announce_fd, "!");
        announce(announce_fd, e.code ? e.text : strerror(-r));
        return announce_fd >= 0 ? 1 : evo_fail(c, r, &e);
    }
    begun = xasprintf("%s %s", engine_resumed(g) ? "going on with" : "beginning", engine_evolution(g));
    announce(announce_fd, begun ? begun : "");
    if (announce_fd >= 0)
        close(announce_fd);
    else if (begun && !c->json)
        fprintf(stderr, "%s%s\n", begun, engine_resumed(g) ? ", which was interrupted" : "");
    r = engine_walk(g, &end, &why, &e);
    if (r < 0)
        return evo_fail(c, r, &e);
    hook_evolution_ended(c, engine_evolution(g), end, why);
    if (print_end(c, g, end, why) != 0)
        return 1;
    print_report(c, g);
    return streq(end, "CONVERGED") ? 0 : 1;
}

static int walk_here(const EvoContext *c, const EngineOptions *options, int announce_fd)
{
    Terminal t = terminal_open(stderr);
    EngineOptions shown = *options;
    int code;

    shown.progress = terminal_progress;
    shown.userdata = &t;
    catch_signals();
    code = walk(c, &shown, announce_fd);
    terminal_close(&t);
    return code;
}

/* The detached walk: no terminal, its words in evolution.log. */
static _Noreturn void child_main(const EvoContext *c, const EngineOptions *options, int announce_fd)
{
    _cleanup_free_ char *path = xasprintf("%s/evolution.log", c->agent_directory);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;

    if (setsid() < 0 || null < 0 || log < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0) {
        announce(announce_fd, "!cannot detach: ");
        announce(announce_fd, strerror(errno));
        _exit(1);
    }
    int code = walk_here(c, options, announce_fd);

    fflush(NULL);
    _exit(code);
}

static int detach(const EvoContext *c, const EngineOptions *options)
{
    _cleanup_free_ char *said = NULL;
    _cleanup_json_ json_t *o = NULL;
    Error e = {};
    int p[2], r;
    pid_t pid;

    if (pipe2(p, O_CLOEXEC) < 0)
        return evo_fail(c, -errno, NULL);
    pid = fork();
    if (pid < 0)
        return evo_fail(c, -errno, NULL);
    if (pid == 0) {
        close(p[0]);
        child_main(c, options, p[1]);
    }
    close(p[1]);
    r = file_read_fd(p[0], 4096, &said, NULL);
    close(p[0]);
    if (r < 0 || !*said || *said == '!') {
        error_setf(&e, -EIO, "%s", r >= 0 && *said ? said + 1 : "the detached walk ended before it began");
        return evo_fail(c, -EIO, &e);
    }
    if (!c->json) {
        printf("%s in process %d; `moss evo status` shows how far it is\n", said, (int) pid);
        return 0;
    }
    o = json_pack("{s:b, s:i, s:s}", "ok", 1, "pid", (int) pid, "text", said);
    return evo_print(o);
}

static int start(const EvoContext *c, int argc, char **argv, bool fresh)
{
    StartOptions s = {};

    if (options_parse(argc, argv, &s) < 0)
        return evo_usage(fresh ? "restart" USAGE : "start" USAGE);
    s.engine.store_path = c->store_path;
    s.engine.agent = c->agent;
    s.engine.fresh = fresh;
    s.engine.stop = &stop_asked;
    return s.detach ? detach(c, &s.engine) : walk_here(c, &s.engine, -EBADF);
}

int evo_start(const EvoContext *c, int argc, char **argv)
{
    return start(c, argc, argv, false);
}

int evo_restart(const EvoContext *c, int argc, char **argv)
{
    return start(c, argc, argv, true);
}
