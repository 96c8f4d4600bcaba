/* SPDX-License-Identifier: Apache-2.0 */
/* moss daemon: reads what is new in the sessions of all agents every so often, and serves their control sockets. */
#include <getopt.h>
#include <stdio.h>

#include "command.h"
#include "evolve/control/notify.h"
#include "evolve/control/supervisor.h"
#include "runtime/base/json.h"
#include "runtime/store/store.h"

#define INTERVAL_MAX 86400U

static const char usage_text[] =
    "usage: moss daemon [--interval SECONDS] [--once] [--store DIR] [--json]\n\n"
    "  --interval SECONDS   how often the sessions are read, where agent.json does not say it (1800)\n"
    "  --once               read what is new now, and end\n"
    "  --json               with --once: what was found, as one JSON document\n";

typedef struct DaemonOptions {
    char *store_path;
    unsigned interval;
    bool once, json, help;
} DaemonOptions;

static void options_done(DaemonOptions *o)
{
    free(o->store_path);
}

static int options_parse(int argc, char **argv, DaemonOptions *ret)
{
    static const struct option options[] = {
        {"store", required_argument, NULL, 's'}, {"interval", required_argument, NULL, 'i'},
        {"once", no_argument, NULL, 'o'},        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},        {},
    };
    const char *store = NULL;
    int c;

    optind = 0;
    ret->interval = CATCH_UP_SECONDS;
    while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
        if (c == 's')
            store = optarg;
        else if (c == 'o')
            ret->once = true;
        else if (c == 'j')
            ret->json = true;
        else if (c == 'h')
            ret->help = true;
        else if (c != 'i' || command_number(optarg, INTERVAL_MAX, &ret->interval) < 0)
            return -EINVAL;
    if (optind < argc || (ret->json && !ret->once))
        return -EINVAL;
    ret->store_path = store ? strdup(store) : store_default_path();
    return ret->store_path ? 0 : -ENOMEM;
}

static void say(const char *agent, const char *text)
{
    fprintf(stderr, "moss: %s%s%s\n", agent ? agent : "", agent ? ": " : "", text);
}

static void ready(void)
{
    int r = notify_manager("READY=1");

    if (r < 0)
        fprintf(stderr, "moss: cannot notify the service manager: %s\n", strerror(-r));
}

/* ---- --once ---- */

/* 1: it failed. One agent's trouble is no other's. */
static int once(const char *store_path, const char *name, json_t *reports)
{
    _cleanup_(agent_freep) Agent *a = NULL;
    json_t *report = NULL;
    Error e = {};
    int r = agent_load_named(store_path, name, &a, &e);

    if (r >= 0)
        r = worker_catch_up(store_path, a, &report, &e);
    if (r < 0)
        say(name, e.text);
    if (r < 0 && !report)
        report = json_pack("{s:s}", "error", e.text);
    if (report && json_object_set_new(reports, name, report) < 0)
        r = -ENOMEM;
    return r < 0;
}

static int run_once(const DaemonOptions *o, Error *e)
{
    _cleanup_(agent_names_freep) char **names = NULL;
    _cleanup_json_ json_t *reports = json_object();
    const char *name;
    json_t *report;
    int failed = 0, r = agent_names(o->store_path, &names, e);

    if (r < 0)
        return r;
    for (char **n = names; *n; n++)
        failed |= once(o->store_path, *n, reports);
    if (o->json)
        return command_print(TAKE_PTR(reports)) || failed;
    json_object_foreach (reports, name, report)
        if (!json_object_get(report, "error"))
            printf("%s: %lld new complaints\n", name,
                   (long long) json_integer_value(json_object_get(report, "new_chunks")));
    return fflush(stdout) < 0 || failed;
}

int daemon_main(int argc, char **argv)
{
    _cleanup_(options_done) DaemonOptions o = {};
    Error e = {};
    int r;

    if (options_parse(argc, argv, &o) < 0) {
        fputs(usage_text, stderr);
        return EXIT_USAGE;
    }
    if (o.help)
        return fputs(usage_text, stdout) < 0 ? EXIT_FAILED : EXIT_DONE;
    r = o.once ? run_once(&o, &e) : supervisor_run(&(SupervisorSpec){o.store_path, o.interval, say, ready}, &e);
    if (r < 0)
        return command_fail(&(Command){.json = o.json}, &e);
    return r;
}
