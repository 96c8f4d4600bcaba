/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"
#include "runtime/oci/guard.h"

#define LIST_MAX 256

typedef struct Options {
    ExecOptions exec;
    const char *process; /* file with a process object */
    const char *cwd, *user, *label, *apparmor;
    const char *env[LIST_MAX], *groups[LIST_MAX], *caps[LIST_MAX];
    size_t n_env, n_groups, n_caps;
    bool tty, no_new_privs;
    const char *id;
    char **args;
} Options;

enum {
    OPTION_CWD = 256,
    OPTION_LABEL,
    OPTION_APPARMOR,
    OPTION_NNP,
    OPTION_IGNORE_PAUSED,
    OPTION_CGROUP,
};

static const struct option long_options[] = {
    {"process", required_argument, NULL, 'p'},
    {"cwd", required_argument, NULL, OPTION_CWD},
    {"env", required_argument, NULL, 'e'},
    {"tty", no_argument, NULL, 't'},
    {"user", required_argument, NULL, 'u'},
    {"additional-gids", required_argument, NULL, 'g'},
    {"cap", required_argument, NULL, 'c'},
    CMD_CALLER_OPTIONS,
    {"process-label", required_argument, NULL, OPTION_LABEL},
    {"apparmor", required_argument, NULL, OPTION_APPARMOR},
    {"no-new-privs", no_argument, NULL, OPTION_NNP},
    {"ignore-paused", no_argument, NULL, OPTION_IGNORE_PAUSED},
    {"cgroup", required_argument, NULL, OPTION_CGROUP},
    {},
};

static int add(const char **list, size_t *n, const char *what, Error *e)
{
    if (*n == LIST_MAX)
        return error_setf(e, -E2BIG, "exec: more than %d times %s", LIST_MAX, what);
    list[(*n)++] = optarg;
    return 0;
}

static int less_common(Options *o, int c, int argc, char **argv, Error *e)
{
    switch (c) {
    case OPTION_LABEL:
        o->label = optarg;
        return 0;
    case OPTION_APPARMOR:
        o->apparmor = optarg;
        return 0;
    case OPTION_NNP:
        o->no_new_privs = true;
        return 0;
    case OPTION_IGNORE_PAUSED:
        o->exec.ignore_paused = true;
        return 0;
    case OPTION_CGROUP:
        o->exec.cgroup = optarg;
        return 0;
    default:
        return cmd_caller_option(&o->exec.caller, c, argc, argv, e);
    }
}

static int one_option(Options *o, int c, int argc, char **argv, Error *e)
{
    switch (c) {
    case 'p':
        o->process = optarg;
        return 0;
    case OPTION_CWD:
        o->cwd = optarg;
        return 0;
    case 'e':
        return add(o->env, &o->n_env, "--env", e);
    case 't':
        o->tty = true;
        return 0;
    case 'u':
        o->user = optarg;
        return 0;
    case 'g':
        return add(o->groups, &o->n_groups, "--additional-gids", e);
    case 'c':
        return add(o->caps, &o->n_caps, "--cap", e);
    default:
        return less_common(o, c, argc, argv, e);
    }
}

static int parse(Options *o, int argc, char **argv, Error *e)
{
    int c, r;

    while ((c = getopt_long(argc, argv, "+p:e:tu:g:dc:", long_options, NULL)) != -1) {
        r = one_option(o, c, argc, argv, e);
        if (r < 0)
            return r;
    }
    if (argc - optind < 1)
        return error_setf(e, -EINVAL, "exec: needs a container id");
    o->id = argv[optind];
    o->args = argv + optind + 1;
    if (!o->process && !o->args[0])
        return error_setf(e, -EINVAL, "exec: needs a program to run, or --process");
    return 0;
}

/* "uid" or "uid:gid": numbers in full, as a name that fails to be one must never become root. */
static int set_user(json_t *process, const char *text, Error *e)
{
    const char *colon = strchr(text, ':');
    _cleanup_free_ char *uid = colon ? strndup(text, (size_t) (colon - text)) : strdup(text);
    json_t *user = json_object_get(process, "user");
    int64_t n;
    int r;

    if (!uid)
        return error_errnof(e, -ENOMEM, "--user");
    if (!json_is_object(user) && json_object_set_new(process, "user", user = json_object()) < 0)
        return error_errnof(e, -ENOMEM, "--user");
    r = cmd_number("--user", uid, 0, CONFIG_ID_MAX, &n, e);
    if (r < 0)
        return r;
    json_object_set_new(user, "uid", json_integer(n));
    if (!colon)
        return 0;
    r = cmd_number("--user", colon + 1, 0, CONFIG_ID_MAX, &n, e);
    return r < 0 ? r : json_object_set_new(user, "gid", json_integer(n));
}

/* Bounding, permitted and effective; never inheritable, which would outlive the exec of a program with file capabilities. */
static void add_caps(json_t *process, const Options *o)
{
    static const char *const sets[] = {"bounding", "permitted", "effective"};
    json_t *caps = json_object_get(process, "capabilities");

    if (o->n_caps > 0 && !caps)
        json_object_set_new(process, "capabilities", caps = json_object());
    for (size_t i = 0; i < o->n_caps; i++)
        for (size_t k = 0; k < ARRAY_SIZE(sets); k++) {
            json_t *set = json_object_get(caps, sets[k]);

            if (!set)
                json_object_set_new(caps, sets[k], set = json_array());
            json_array_append_new(set, json_string(o->caps[i]));
        }
}

static int set_lists(json_t *process, const Options *o, Error *e)
{
    json_t *args = json_array(), *env = json_object_get(process, "env"), *user = json_object_get(process, "user"),
           *groups;
    int64_t n;

    for (char **a = o->args; *a; a++)
        json_array_append_new(args, json_string(*a));
    json_object_set_new(process, "args", args);
    if (!env)
        json_object_set_new(process, "env", env = json_array());
    for (size_t i = 0; i < o->n_env; i++)
        json_array_append_new(env, json_string(o->env[i]));
    if (o->n_groups == 0)
        return 0;
    if (!user)
        json_object_set_new(process, "user", user = json_object());
    json_object_set_new(user, "additionalGids", groups = json_array());
    for (size_t i = 0; i < o->n_groups; i++) {
        if (cmd_number("--additional-gids", o->groups[i], 0, CONFIG_ID_MAX, &n, e) < 0)
            return -EINVAL;
        json_array_append_new(groups, json_integer(n));
    }
    return 0;
}

/* The container's own process object with what the options change of it. */
static int derive(const Config *config, const Options *o, json_t **ret, Error *e)
{
    json_t *p = json_deep_copy(json_object_get(config->doc, "process"));
    int r;

    if (!config->has_process)
        return error_setf(e, -EINVAL, "exec: config.json: process: is missing, so --process is needed");
    if (!p)
        return error_errnof(e, -ENOMEM, "exec");
    json_object_set_new(p, "terminal", json_boolean(o->tty));
    if (o->cwd)
        json_object_set_new(p, "cwd", json_string(o->cwd));
    if (o->label)
        json_object_set_new(p, "selinuxLabel", json_string(o->label));
    if (o->apparmor)
        json_object_set_new(p, "apparmorProfile", json_string(o->apparmor));
    if (o->no_new_privs)
        json_object_set_new(p, "noNewPrivileges", json_true());
    add_caps(p, o);
    r = o->user ? set_user(p, o->user, e) : 0;
    if (r >= 0)
        r = set_lists(p, o, e);
    if (r < 0)
        json_decref(p);
    else
        *ret = p;
    return r;
}

static int run(const Cli *cli, Options *o, json_t **object, Error *e)
{
    _cleanup_(container_done) Container c = {.dir = -EBADF, .group = CONTAINER_CGROUP_INIT};
    _cleanup_(config_process_done) ConfigProcess process = {};
    _cleanup_(config_freep) Config *config = NULL;
    Runtime rt;
    int r;

    if ((r = cmd_runtime(cli, &rt, e)) < 0)
        return r;
    r = container_open(&rt, o->id, false, &c, e);
    fd_closep(&rt.root);
    if (r < 0 || (r = container_config(&c, &config, e)) < 0)
        return r;
    if (!*object && (r = derive(config, o, object, e)) < 0)
        return r;
    if (o->tty)
        json_object_set_new(*object, "terminal", json_true());
    r = config_process_parse(*object, o->process ? o->process : "exec", &process, e);
    if (r < 0)
        return r;
    o->exec.process = &process;
    return container_exec(&c, config, &o->exec, e);
}

int verb_exec(Cli *cli, int argc, char **argv, Error *e)
{
    _cleanup_json_ json_t *object = NULL;
    Options o = {};
    int r;

    cli->failure = 255; /* so that it is not taken for the program's own */
    o.exec.caller.warner = (Warner){cmd_warn, cli};
    if ((r = parse(&o, argc, argv, e)) < 0 || (r = guard_self(cli->argv, e)) < 0)
        return r;
    if (o.process && (r = config_read_object(o.process, &object, e)) < 0) /* which may be an fd of the caller's */
        return error_wrapf(e, r, "--process");
    r = container_take_fds(&o.exec.caller.preserve_fds, e);
    return r < 0 ? r : run(cli, &o, &object, e);
}
