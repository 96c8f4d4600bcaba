/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/cmd/evo.h"

#include <stdio.h>

#include "runtime/base/fd.h"
#include "runtime/base/strbuf.h"
#include "runtime/store/store.h"

static const struct {
    const char *name;
    int (*run)(const EvoContext *c, int argc, char **argv);
    const char *does;
} verbs[] = {
    {"status", evo_status, "what runs, how far it is, what waits"},
    {"batches", evo_batches, "all batches"},
    {"batch", evo_batch, "one batch with its tasks"},
    {"start", evo_start, "evolve: walk a batch through the stages, or go on with what was interrupted"},
    {"stop", evo_stop, "stop the walk; it can go on later"},
    {"restart", evo_restart, "give up what was interrupted and begin anew"},
    {"apply", evo_apply, "swap in what is ready, with a human's consent"},
    {"report", evo_report, "write the page of an evolution"},
    {"flag", evo_flag, "say that a session went badly"},
    {"catch-up", evo_catch_up, "read what is new in the sessions"},
};

static int usage(FILE *to)
{
    fprintf(to, "Usage: moss evo VERB [--agent NAME] [--store DIR] [--json] …\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        fprintf(to, "  %-10s %s\n", verbs[i].name, verbs[i].does);
    return to == stdout ? 0 : 2;
}

int evo_usage(const char *text)
{
    fprintf(stderr, "Usage: moss evo %s\n", text);
    return 2;
}

int evo_print(const json_t *value)
{
    if (!value || json_dumpf(value, stdout, JSON_SORT_KEYS | JSON_INDENT(2)) < 0 || putchar('\n') == EOF ||
        fflush(stdout) == EOF)
        return 1;
    return 0;
}

int evo_fail(const EvoContext *c, int r, const Error *e)
{
    const char *text = e && e->code ? e->text : strerror(-r);

    fprintf(stderr, "moss: %s\n", text);
    if (c && c->json) {
        json_t *o = json_pack("{s:b, s:s}", "ok", 0, "error", text);

        (void) evo_print(o);
        json_decref(o);
    }
    return 1;
}

/* ---- the context ---- */

/* The name of the only agent; the caller frees. */
static int only_agent(const char *store_path, char **ret, Error *e)
{
    _cleanup_(agent_names_freep) char **names = NULL;
    int r = agent_names(store_path, &names, e);

    if (r < 0)
        return r;
    if (!names[0])
        return error_setf(e, -ENOENT, "%s/agents: there is no agent; `moss agent add` makes one known", store_path);
    if (names[1])
        return error_setf(e, -EINVAL, "there is more than one agent (%s, %s): say which with --agent", names[0],
                          names[1]);
    *ret = TAKE_PTR(names[0]);
    return 0;
}

typedef struct Options {
    const char *store, *agent;
    bool json, help;
} Options;

/* Takes the shared options out of argv, wherever they stand before a "--". Returns the new argc, or -EINVAL. */
static int take_options(int argc, char **argv, Options *ret)
{
    int n = 0;

    for (int i = 0; i < argc; i++) {
        bool store = streq(argv[i], "--store"), agent = streq(argv[i], "--agent");
        const char *value;

        if ((store || agent) && i + 1 >= argc)
            return -EINVAL;
        if (store)
            ret->store = argv[++i];
        else if (agent)
            ret->agent = argv[++i];
        else if ((value = startswith(argv[i], "--store=")))
            ret->store = value;
        else if ((value = startswith(argv[i], "--agent=")))
            ret->agent = value;
        else if (streq(argv[i], "--json"))
            ret->json = true;
        else if (streq(argv[i], "--help") || streq(argv[i], "-h"))
            ret->help = true;
        else
            argv[n++] = argv[i];
    }
    argv[n] = NULL;
    return n;
}

static int run_verb(size_t verb, const Options *o, int argc, char **argv)
{
    _cleanup_free_ char *store = o->store ? strdup(o->store) : store_default_path(), *name = NULL, *directory = NULL;
    _cleanup_(agent_freep) Agent *agent = NULL;
    EvoContext c = {.json = o->json};
    Error e = {};
    int r = 0;

    if (!store)
        return evo_fail(&c, -ENOMEM, NULL);
    if (o->agent && !agent_name_valid(o->agent)) {
        error_setf(&e, -EINVAL, "\"%.60s\" is no name of an agent", o->agent);
        return evo_fail(&c, -EINVAL, &e);
    }
    if (o->agent)
        r = (name = strdup(o->agent)) ? 0 : -ENOMEM;
    else
        r = only_agent(store, &name, &e);
    if (r >= 0)
        r = agent_load_named(store, name, &agent, &e);
    if (r >= 0 && !(directory = xasprintf("%s/agents/%s", store, name)))
        r = -ENOMEM;
    if (r < 0)
        return evo_fail(&c, r, &e);
    c.store_path = store;
    c.agent_name = name;
    c.agent_directory = directory;
    c.agent = agent;
    return verbs[verb].run(&c, argc, argv);
}

int evo_main(int argc, char **argv)
{
    Options o = {};
    int n = take_options(argc, argv, &o);

    if (n < 0)
        return usage(stderr);
    /* argv[0] is "evo" */
    if (o.help && n < 2)
        return usage(stdout);
    for (size_t i = 0; n >= 2 && i < ARRAY_SIZE(verbs); i++) {
        static char help[] = "--help";
        char *only_help[] = {argv[1], help, NULL};

        if (!streq(argv[1], verbs[i].name))
            continue;
        return o.help ? verbs[i].run(&(EvoContext){}, 2, only_help) : run_verb(i, &o, n - 1, argv + 1);
    }
    return usage(stderr);
}
