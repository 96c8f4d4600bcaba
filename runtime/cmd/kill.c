/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <signal.h>
#include <strings.h>

#include "cmd.h"
#include "runtime/base/fd.h"

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

int verb_kill(Cli *cli, int argc, char **argv, Error *e)
{
    static const struct option options[] = {{"all", no_argument, NULL, 'a'}, {}};
    int c, r, sig = SIGTERM;
    bool all = false;
    Runtime rt;

    while ((c = getopt_long(argc, argv, "+a", options, NULL)) != -1) {
        if (c != 'a')
            return cmd_bad_option(argc, argv, e);
        all = true;
    }
    if (argc - optind < 1 || argc - optind > 2)
        return error_setf(e, -EINVAL, "kill: needs a container id and perhaps a signal");
    if (argc - optind == 2 && (r = parse_signal(argv[optind + 1], &sig, e)) < 0)
        return r;
    r = cmd_runtime(cli, &rt, e);
    if (r < 0)
        return r;
    r = container_kill(&rt, argv[optind], sig, all, e);
    fd_closep(&rt.root);
    return r;
}

int verb_delete(Cli *cli, int argc, char **argv, Error *e)
{
    static const struct option options[] = {{"force", no_argument, NULL, 'f'}, {}};
    bool force = false;
    const char *id;
    Runtime rt;
    int c, r;

    while ((c = getopt_long(argc, argv, "+f", options, NULL)) != -1) {
        if (c != 'f')
            return cmd_bad_option(argc, argv, e);
        force = true;
    }
    if ((r = cmd_id(argc, argv, &id, e)) < 0 || (r = cmd_runtime(cli, &rt, e)) < 0)
        return r;
    r = container_delete(&rt, id, force, e);
    fd_closep(&rt.root);
    return r;
}
