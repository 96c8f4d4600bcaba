/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>

#include "cmd.h"
#include "runtime/base/fd.h"

/* Verbs that take an id and nothing else. */
static int with_id(Cli *cli, int argc, char **argv, int (*act)(const Runtime *rt, const char *id, Error *e), Error *e)
{
    static const struct option options[] = {{}};
    const char *id;
    Runtime rt;
    int r;

    if (getopt_long(argc, argv, "", options, NULL) != -1)
        return cmd_bad_option(argc, argv, e);
    if ((r = cmd_id(argc, argv, &id, e)) < 0 || (r = cmd_runtime(cli, &rt, e)) < 0)
        return r;
    r = act(&rt, id, e);
    fd_closep(&rt.root);
    return r;
}

int verb_start(Cli *cli, int argc, char **argv, Error *e)
{
    return with_id(cli, argc, argv, container_start, e);
}

static int freeze(const Runtime *rt, const char *id, Error *e)
{
    return container_freeze(rt, id, true, e);
}

static int thaw(const Runtime *rt, const char *id, Error *e)
{
    return container_freeze(rt, id, false, e);
}

int verb_pause(Cli *cli, int argc, char **argv, Error *e)
{
    return with_id(cli, argc, argv, freeze, e);
}

int verb_resume(Cli *cli, int argc, char **argv, Error *e)
{
    return with_id(cli, argc, argv, thaw, e);
}

json_t *cmd_describe(const Container *c)
{
    json_t *o = state_public(&c->state, status_names[c->status]);
    char owner[16] = "root";

    if (c->state.owner != 0) /* a name would take what a static program has not got */
        snprintf(owner, sizeof(owner), "#%u", c->state.owner);
    json_object_set_new(o, "pid", json_integer(c->status == STATUS_STOPPED ? 0 : c->state.pid));
    json_object_set_new(o, "rootfs", json_string(c->state.rootfs));
    json_object_set_new(o, "created", json_string(c->state.created));
    json_object_set_new(o, "owner", json_string(owner));
    return o;
}

static int print_state(const Runtime *rt, const char *id, Error *e)
{
    _cleanup_(container_done) Container c = {.dir = -EBADF, .group = CONTAINER_CGROUP_INIT};
    int r = container_open(rt, id, false, &c, e);

    return r < 0 ? r : cmd_print(cmd_describe(&c), JSON_INDENT(2), e);
}

int verb_state(Cli *cli, int argc, char **argv, Error *e)
{
    return with_id(cli, argc, argv, print_state, e);
}
