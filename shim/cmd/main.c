/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "past.h"
#include "probes.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/process.h"
#include "runtime/store/store.h"
#include "serve.h"
#include "shim/agent/agent.h"
#include "shim/client/client.h"

#define LOG_SHOWN_MAX ((size_t) 8 << 20)
#define MAP_MAX ((size_t) 4096)
#define STOP_SECONDS 120U /* for all but the drain */

typedef struct Options {
    const char *store;
    bool json, foreground, no_rehearsal;
    const char *agent, *argument; /* behind the agent, where the verb takes one */
    const char *to, *container;
} Options;

static const char usage_text[] =
    "usage: moss-shim VERB NAME [options]\n"
    "\n"
    "  start NAME [--foreground]        keep the agent; returns when it is ready\n"
    "  start NAME --container DIR       the same in the container of an engine: for moss-runtime\n"
    "  status NAME [--json]\n"
    "  swap NAME GENERATION [--json] [--no-rehearsal]\n"
    "  rollback NAME [--to GENERATION] [--json]\n"
    "                                   give up the swap that goes on, or go back to the generation before, or to this "
    "one\n"
    "  recover NAME [--to GENERATION/EPOCH] [--json]\n"
    "                                   leave HALTED, with what is current, or with this generation on this state\n"
    "  generations NAME [--json]        those it has to do with, and the states that are set aside\n"
    "  history NAME [--json]            the swaps\n"
    "  discard NAME EPOCH [--json]      give up a state that is set aside\n"
    "  probes NAME [--json]             the last results of its probes, with what they were answered\n"
    "  stop NAME                        end the agent, and its shim\n"
    "  detach NAME                      end the shim alone: `start` takes the agent over again\n"
    "  logs NAME                        what the agent printed\n"
    "\n"
    "  --store DIR                      (default: $MOSS_STORE, /var/lib/moss for root, else\n"
    "                                   ~/.local/share/moss)\n"
    "  --help, --version\n";

static int fail(const Options *o, const Error *e)
{
    _cleanup_json_ json_t *text = o->json ? json_pack("{s:s}", "error", e->text) : NULL;

    fprintf(stderr, "moss-shim: %s\n", e->text);
    if (text && json_dumpf(text, stdout, JSON_INDENT(2)) >= 0)
        putchar('\n');
    return 1;
}

static int usage(void)
{
    fputs(usage_text, stderr);
    return 2;
}

/* ---- start ---- */

typedef struct Start {
    const Options *options;
    int report; /* to the process that was called; -EBADF in the foreground */
} Start;

static void on_started(int r, const char *why, void *userdata)
{
    Start *s = userdata;
    Error e = {};

    if (r < 0)
        error_setf(&e, r, "%s", why ? why : strerror(-r));
    if (s->report >= 0)
        (void) !write(s->report, &e, sizeof(e));
    else if (r == -EHOSTDOWN) /* the others end serve(), and are told then */
        fail(s->options, &e);
    fd_closep(&s->report);
}

static _Noreturn void daemon_main(ServeSpec *spec, int report)
{
    Start s = {.report = report};
    Error e = {};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    setsid();
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || chdir("/") < 0)
        _exit(1);
    close_range((unsigned) MAX(report, null) + 1, ~0U, 0);
    spec->userdata = &s;
    _exit(serve(spec, &e) < 0 ? 1 : 0);
}

static int start_daemon(const Options *o, ServeSpec *spec)
{
    Error e = {};
    int p[2], status;
    pid_t pid;

    if (pipe2(p, O_CLOEXEC) < 0)
        return 1;
    pid = fork();
    if (pid < 0)
        return 1;
    if (pid == 0) {
        close(p[0]);
        if (fork() == 0) /* not the child of whoever called us */
            daemon_main(spec, p[1]);
        _exit(0);
    }
    close(p[1]);
    waitpid(pid, &status, 0);
    if (fd_read_full(p[0], &e, sizeof(e)) != sizeof(e))
        error_setf(&e, -EIO, "the shim of agent \"%s\" has died while it started", spec->agent);
    return e.code < 0 ? fail(o, &e) : 0;
}

static int start(const Options *o, bool resume, const Side *to)
{
    Start s = {o, -EBADF};
    ServeSpec spec = {.store_path = o->store,
                      .agent = o->agent,
                      .container = o->container,
                      .resume = resume,
                      .to = to,
                      .started = on_started,
                      .userdata = &s};
    Error e = {};

    if (!o->foreground)
        return start_daemon(o, &spec);
    return serve(&spec, &e) < 0 ? fail(o, &e) : 0;
}

static int verb_start(const Options *o)
{
    return start(o, false, NULL);
}

/* ---- requests ---- */

static void print_event(const json_t *event, void *userdata)
{
    const Options *o = userdata;

    if (!o->json)
        fprintf(stderr, "%s\n", json_string_value(json_object_get(event, "event")));
}

static int call(const Options *o, json_t *request, uint64_t timeout, json_t **ret, Error *e)
{
    _unused_ _cleanup_json_ json_t *owned = request;

    return shim_call(o->agent, request, timeout, print_event, (void *) o, ret, e);
}

static void print_json(const json_t *v)
{
    _cleanup_free_ char *text = json_dumps(v, JSON_INDENT(2) | JSON_SORT_KEYS);

    printf("%s\n", text ? text : "{}");
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static void print_probe(const json_t *probe)
{
    const char *why = text_of(json_object_get(probe, "last"), "why");

    printf("probe       %s: %s%s%s\n", text_of(probe, "name"),
           json_is_true(json_object_get(probe, "ok"))     ? "passes"
           : json_is_null(json_object_get(probe, "last")) ? "was not run yet"
                                                          : "fails",
           *why ? ": " : "", why);
}

static void print_status(const Options *o, const json_t *s)
{
    json_t *item;
    size_t i;

    printf("state       %s%s\n", text_of(s, "state"), json_is_true(json_object_get(s, "ready")) ? ", ready" : "");
    printf("generation  %.12s\n", text_of(s, "generation"));
    printf("epoch       %" JSON_INTEGER_FORMAT "\n", json_integer_value(json_object_get(s, "epoch")));
    printf("pid         %" JSON_INTEGER_FORMAT "\n", json_integer_value(json_object_get(s, "pid")));
    printf("restarts    %" JSON_INTEGER_FORMAT "\n", json_integer_value(json_object_get(s, "restarts")));
    json_array_foreach (json_object_get(s, "listeners"), i, item)
        printf("listens on  %s\n", text_of(item, "address"));
    if (*text_of(s, "says"))
        printf("says        %s\n", text_of(s, "says"));
    json_array_foreach (json_object_get(s, "probes"), i, item)
        print_probe(item);
    if (*text_of(s, "reason"))
        printf("last swap   %s\n", text_of(s, "reason"));
    if (json_integer_value(json_object_get(s, "set_aside")) > 0)
        printf("set aside   %" JSON_INTEGER_FORMAT " (moss-shim generations %s)\n",
               json_integer_value(json_object_get(s, "set_aside")), o->agent);
    if (*text_of(s, "trouble"))
        printf("trouble     %s\n", text_of(s, "trouble"));
}

static int verb_status(const Options *o)
{
    _cleanup_json_ json_t *answer = NULL;
    Error e = {};

    if (call(o, json_pack("{s:s}", "op", "status"), 10 * USEC_PER_SEC, &answer, &e) < 0)
        return fail(o, &e);
    if (o->json)
        print_json(answer);
    else
        print_status(o, answer);
    return 0;
}

static int done(const Options *o, const json_t *answer)
{
    if (o->json)
        print_json(answer);
    return 0;
}

/* 0: committed; 3: rolled back, or halted. */
static int swap(const Options *o, json_t *request)
{
    _cleanup_json_ json_t *answer = NULL;
    const char *outcome;
    Error e = {};

    if (call(o, request, UINT64_MAX, &answer, &e) < 0)
        return fail(o, &e);
    outcome = text_of(answer, "outcome");
    if (o->json)
        print_json(answer);
    else
        printf("%s%s%s\n", outcome, *text_of(answer, "reason") ? ": " : "", text_of(answer, "reason"));
    return streq(outcome, "committed") ? 0 : 3;
}

static int verb_swap(const Options *o)
{
    return swap(
        o, json_pack("{s:s,s:s,s:b}", "op", "swap", "generation", o->argument, "rehearse", (int) !o->no_rehearsal));
}

static int verb_rollback(const Options *o)
{
    char to[DIGEST_SIZE];
    int64_t epoch;
    Error e = {};

    if (o->to && strchr(o->to, '/')) {
        error_setf(&e, -EINVAL,
                   "%.80s: a roll-back goes on with a copy of the present state, so --to takes a generation alone",
                   o->to);
        return fail(o, &e);
    }
    if (o->to && past_find(o->store, o->agent, o->to, to, &epoch, &e) < 0)
        return fail(o, &e);
    return swap(o, json_pack("{s:s,s:s*}", "op", "rollback", "to", o->to ? to : NULL));
}

static int verb_recover(const Options *o)
{
    _cleanup_json_ json_t *answer = NULL;
    Side to = {.epoch = EPOCH_NONE};
    json_t *request;
    Error e = {};
    int r;

    if (o->to && past_find(o->store, o->agent, o->to, to.generation, &to.epoch, &e) < 0)
        return fail(o, &e);
    request =
        o->to ? json_pack("{s:s,s:s,s:I}", "op", "recover", "generation", to.generation, "epoch", (json_int_t) to.epoch)
              : json_pack("{s:s}", "op", "recover");
    r = call(o, request, 10 * USEC_PER_SEC, &answer, &e);
    if (r == -ENOENT)
        return start(o, true, o->to ? &to : NULL);
    return r < 0 ? fail(o, &e) : done(o, answer);
}

static int verb_discard(const Options *o)
{
    _cleanup_json_ json_t *answer = NULL;
    json_t *request;
    char *end;
    long long epoch = strtoll(o->argument, &end, 10);
    Error e = {};

    if (o->argument[0] < '0' || o->argument[0] > '9' || *end) {
        fprintf(stderr, "moss-shim: \"%.40s\" is no number of an epoch\n", o->argument);
        return 2;
    }
    request = json_pack("{s:s,s:I}", "op", "discard", "epoch", (json_int_t) epoch);
    return call(o, request, 60 * USEC_PER_SEC, &answer, &e) < 0 ? fail(o, &e) : done(o, answer);
}

static int verb_generations(const Options *o)
{
    Error e = {};

    return past_generations(o->store, o->agent, o->json, &e) < 0 ? fail(o, &e) : 0;
}

static int verb_history(const Options *o)
{
    Error e = {};

    return past_history(o->store, o->agent, o->json, &e) < 0 ? fail(o, &e) : 0;
}

static int verb_probes(const Options *o)
{
    Error e = {};

    return probes_show(o->agent, o->json, &e) < 0 ? fail(o, &e) : 0;
}

static int end(const Options *o, const char *op, Error *e)
{
    _cleanup_(agent_freep) Agent *agent = NULL;
    _cleanup_json_ json_t *answer = NULL;
    int r = call(o, json_pack("{s:s}", "op", op), 10 * USEC_PER_SEC, &answer, e);
    uint64_t drain = agent_load_named(o->store, o->agent, &agent, NULL) < 0 ? 0 : agent_drain_seconds_max(agent);

    return r < 0 ? r : serve_wait_end(o->agent, (drain + STOP_SECONDS) * USEC_PER_SEC, e);
}

static int verb_stop(const Options *o)
{
    Start s = {o, -EBADF};
    ServeSpec left = {.store_path = o->store, .agent = o->agent, .stop = true, .started = on_started, .userdata = &s};
    Error e = {};
    int r = end(o, "stop", &e);

    if (r == -ENOENT) {
        e = (Error){};
        r = serve(&left, &e);
    }
    return r < 0 ? fail(o, &e) : 0;
}

static int verb_detach(const Options *o)
{
    Error e = {};

    return end(o, "detach", &e) < 0 ? fail(o, &e) : 0;
}

static int verb_logs(const Options *o)
{
    static const char *const names[] = {"log.1", "log"};
    _cleanup_close_ int dir = -EBADF;
    Error e = {};

    dir = agent_open_directory(o->store, o->agent, &e);
    if (dir < 0)
        return fail(o, &e);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *data = NULL;
        size_t len;
        int r = file_read_at(dir, names[i], LOG_SHOWN_MAX, &data, &len);

        if (r >= 0)
            fwrite(data, 1, len, stdout);
        else if (r != -ENOENT) {
            error_errnof(&e, r, "%s", names[i]);
            return fail(o, &e);
        }
    }
    return 0;
}

typedef struct Verb {
    const char *name;
    int n_args;
    const char *takes; /* of the options that main() reads, besides those that all verbs take */
    int (*run)(const Options *o);
} Verb;

static const Verb verbs[] = {
    {"start", 1, "fc", verb_start},           {"status", 1, "", verb_status},    {"swap", 2, "n", verb_swap},
    {"rollback", 1, "t", verb_rollback},      {"recover", 1, "t", verb_recover}, {"stop", 1, "", verb_stop},
    {"detach", 1, "", verb_detach},           {"logs", 1, "", verb_logs},        {"discard", 2, "", verb_discard},
    {"generations", 1, "", verb_generations}, {"history", 1, "", verb_history},  {"probes", 1, "", verb_probes},
};

/* The first option that the verb does not take, or NULL. */
static const char *unwanted_option(const Options *o, const char *takes)
{
    return o->foreground && !strchr(takes, 'f')     ? "--foreground"
           : o->container && !strchr(takes, 'c')    ? "--container"
           : o->no_rehearsal && !strchr(takes, 'n') ? "--no-rehearsal"
           : o->to && !strchr(takes, 't')           ? "--to"
                                                    : NULL;
}

static int run_verb(int argc, char **argv, Options *o)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        const char *unwanted = unwanted_option(o, verbs[i].takes);

        if (!streq(verbs[i].name, argv[0]))
            continue;
        if (argc - 1 != verbs[i].n_args)
            return usage();
        if (unwanted) {
            fprintf(stderr, "moss-shim: %s takes no %s\n", argv[0], unwanted);
            return 2;
        }
        o->agent = argv[1];
        o->argument = argc > 2 ? argv[2] : NULL;
        if (!agent_name_valid(o->agent)) {
            fprintf(stderr, "moss-shim: \"%.40s\" is no name of an agent\n", o->agent);
            return 2;
        }
        return verbs[i].run(o);
    }
    fprintf(stderr, "moss-shim: \"%.40s\" is no verb\n", argv[0]);
    return usage();
}

/* An engine that a user has called starts us as root of a user namespace, and may say nothing of that user's home. */
static void find_home(void)
{
    _cleanup_free_ char *map = NULL;
    const struct passwd *user;
    unsigned inside, outside;

    if (getenv("HOME") || process_is_system() || file_read_at(AT_FDCWD, "/proc/self/uid_map", MAP_MAX, &map, NULL) < 0)
        return;
    if (sscanf(map, "%u %u", &inside, &outside) == 2 && inside == geteuid() && (user = getpwuid(outside)))
        (void) setenv("HOME", user->pw_dir, 0);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"store", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"foreground", no_argument, NULL, 'f'},
        {"no-rehearsal", no_argument, NULL, 'n'},
        {"to", required_argument, NULL, 't'},
        {"container", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    _cleanup_free_ char *store = NULL;
    Options o = {};
    int c;

    find_home();
    o.store = store = store_default_path();
    while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (c == 's')
            o.store = optarg;
        else if (c == 'j')
            o.json = true;
        else if (c == 'f')
            o.foreground = true;
        else if (c == 'n')
            o.no_rehearsal = true;
        else if (c == 't')
            o.to = optarg;
        else if (c == 'c')
            o.container = optarg;
        else if (c == 'h')
            return fputs(usage_text, stdout) < 0;
        else if (c == 'V')
            return printf("moss-shim " MOSS_VERSION "\n") < 0;
        else
            return usage();
    }
    return optind < argc ? run_verb(argc - optind, argv + optind, &o) : usage();
}
