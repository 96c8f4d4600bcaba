/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <regex.h>
#include <signal.h>
#include <strings.h>

#include "cmd.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"

/* "9", "KILL", "SIGKILL", "RTMIN+3" */
static int parse_signal(const char *text, int *ret, Error *e)
{
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    int64_t n;

    if (text[0] >= '0' && text[0] <= '9') {
        if (cmd_number("signal", text, 0, SIGRTMAX, &n, e) < 0)
            return -EINVAL;
        *ret = (int) n;
        return 0;
    }
    for (int sig = 1; sig < NSIG; sig++) {
        const char *known = sigabbrev_np(sig);

        if (known && strcasecmp(known, name) == 0) {
            *ret = sig;
            return 0;
        }
    }
    if (strncasecmp(name, "RTMIN", 5) == 0 && (name[5] == '\0' || name[5] == '+') &&
        cmd_number("signal", name[5] ? name + 6 : "0", 0, SIGRTMAX - SIGRTMIN, &n, e) >= 0) {
        *ret = SIGRTMIN + (int) n;
        return 0;
    }
    return error_setf(e, -EINVAL, "no such signal: \"%s\"", text);
}

/* What is to be done to one container, or to all whose ids match. */
typedef struct Deed {
    bool force, all, regex;
    int signal; /* -1: delete it */
} Deed;

static int act(const Runtime *rt, const char *id, const Deed *d, Error *e)
{
    return d->signal < 0 ? container_delete(rt, id, d->force, e) : container_kill(rt, id, d->signal, d->all, e);
}

/* Goes on after a failure, and tells the first. */
static int act_on_matching(const Runtime *rt, const char *pattern, const Deed *d, Error *e)
{
    _cleanup_json_ json_t *ids = NULL;
    int r, first = 0;
    regex_t regex;
    json_t *id;
    size_t i;

    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return error_setf(e, -EINVAL, "--regex \"%s\": is no regular expression", pattern);
    r = cmd_ids(rt, &ids, e);
    json_array_foreach (ids, i, id)
        if (regexec(&regex, json_string_value(id), 0, NULL, 0) == 0) {
            r = act(rt, json_string_value(id), d, first < 0 ? NULL : e);
            first = first < 0 ? first : r;
        }
    regfree(&regex);
    return first < 0 ? first : r < 0 ? r : 0;
}

static int act_on(Cli *cli, const char *id, const Deed *d, Error *e)
{
    Runtime rt;
    int r = cmd_runtime(cli, &rt, e);

    if (r < 0)
        return r;
    r = d->regex ? act_on_matching(&rt, id, d, e) : act(&rt, id, d, e);
    fd_closep(&rt.root);
    return r;
}

int verb_kill(Cli *cli, int argc, char **argv, Error *e)
{
    static const struct option options[] = {{"all", no_argument, NULL, 'a'}, {"regex", no_argument, NULL, 'r'}, {}};
    Deed d = {.signal = SIGTERM};
    int c, r;

    while ((c = getopt_long(argc, argv, "ar", options, NULL)) != -1) {
        if (c != 'a' && c != 'r')
            return cmd_bad_option(argc, argv, e);
        d.all = d.all || c == 'a';
        d.regex = d.regex || c == 'r';
    }
    if (argc - optind < 1 || argc - optind > 2)
        return error_setf(e, -EINVAL, "kill: needs a container id and perhaps a signal");
    if (argc - optind == 2 && (r = parse_signal(argv[optind + 1], &d.signal, e)) < 0)
        return r;
    return act_on(cli, argv[optind], &d, e);
}

int verb_delete(Cli *cli, int argc, char **argv, Error *e)
{
    static const struct option options[] = {{"force", no_argument, NULL, 'f'}, {"regex", no_argument, NULL, 'r'}, {}};
    Deed d = {.signal = -1};
    const char *id;
    int c, r;

    while ((c = getopt_long(argc, argv, "fr", options, NULL)) != -1) {
        if (c != 'f' && c != 'r')
            return cmd_bad_option(argc, argv, e);
        d.force = d.force || c == 'f';
        d.regex = d.regex || c == 'r';
    }
    r = cmd_id(argc, argv, &id, e);
    return r < 0 ? r : act_on(cli, id, &d, e);
}
