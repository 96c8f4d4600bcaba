/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>

#include "cmd.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/process.h"

#define PS_OPTIONS_MAX 32

static int parse_format(const char *text, bool *ret_json, Error *e)
{
    if (!streq(text, "table") && !streq(text, "json"))
        return error_setf(e, -EINVAL, "--format \"%s\": is neither table nor json", text);
    *ret_json = streq(text, "json");
    return 0;
}

/* A container that is being made or removed just now is passed over. */
static json_t *describe(const Runtime *rt, const char *id)
{
    _cleanup_(container_done) Container c = {.dir = -EBADF, .group = CONTAINER_CGROUP_INIT};

    if (container_open(rt, id, false, &c, NULL) < 0)
        return NULL;
    return cmd_describe(&c);
}

/* In the order of their bytes. */
static void insert(json_t *ids, const char *id)
{
    size_t at = json_array_size(ids);

    while (at > 0 && strcmp(json_string_value(json_array_get(ids, at - 1)), id) > 0)
        at--;
    json_array_insert_new(ids, at, json_string(id));
}

int cmd_ids(const Runtime *rt, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *all = json_array();
    int fd = openat(rt->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *de;

    if (!d) {
        fd_closep(&fd);
        return error_errnof(e, -errno, "--root");
    }
    while ((de = readdir(d)))
        if (container_id_check(de->d_name, NULL) >= 0)
            insert(all, de->d_name);
    *ret = TAKE_PTR(all);
    return 0;
}

static int collect(const Runtime *rt, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *all = json_array(), *ids = NULL;
    json_t *id, *o;
    size_t i;
    int r = cmd_ids(rt, &ids, e);

    if (r < 0)
        return r;
    json_array_foreach (ids, i, id)
        if ((o = describe(rt, json_string_value(id))))
            json_array_append_new(all, o);
    *ret = TAKE_PTR(all);
    return 0;
}

static const char *member(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

int verb_list(Cli *cli, int argc, char **argv, Error *e)
{
    static const struct option options[] = {
        {"format", required_argument, NULL, 'f'}, {"quiet", no_argument, NULL, 'q'}, {}};
    _cleanup_json_ json_t *all = NULL;
    bool as_json = false, quiet = false;
    Runtime rt;
    json_t *o;
    size_t i;
    int c, r;

    while ((c = getopt_long(argc, argv, "f:q", options, NULL)) != -1) {
        if (c != 'f' && c != 'q')
            return cmd_bad_option(argc, argv, e);
        quiet = quiet || c == 'q';
        if (c == 'f' && (r = parse_format(optarg, &as_json, e)) < 0)
            return r;
    }
    r = cmd_runtime(cli, &rt, e);
    if (r < 0)
        return r;
    r = collect(&rt, &all, e);
    fd_closep(&rt.root);
    if (r < 0)
        return r;
    if (as_json && !quiet)
        return cmd_print(TAKE_PTR(all), JSON_COMPACT, e);
    if (!quiet)
        printf("%-24s %-8s %-8s %-40s %-32s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
    json_array_foreach (all, i, o) {
        if (quiet)
            puts(member(o, "id"));
        else
            printf("%-24s %-8d %-8s %-40s %-32s %s\n", member(o, "id"),
                   (int) json_integer_value(json_object_get(o, "pid")), member(o, "status"), member(o, "bundle"),
                   member(o, "created"), member(o, "owner"));
    }
    return 0;
}

/* Which column of the headings says PID; -1: none. */
static int pid_column(const char *headings)
{
    int column = 0;

    for (const char *p = headings + strspn(headings, " "); *p && *p != '\n'; column++) {
        size_t n = strcspn(p, " \n");

        if (n == 3 && strncmp(p, "PID", 3) == 0)
            return column;
        p += n;
        p += strspn(p, " ");
    }
    return -1;
}

static long number_in_column(const char *line, int column)
{
    const char *p = line + strspn(line, " ");

    while (column-- > 0) {
        p += strcspn(p, " ");
        p += strspn(p, " ");
    }
    return strtol(p, NULL, 10);
}

/* The lines of ps(1) that belong to the container. `options` are the caller's for it. */
static int print_table(const pid_t *pids, size_t n, char **options, Error *e)
{
    const char *argv[PS_OPTIONS_MAX + 2] = {"ps", "-ef"};
    ProcessSpec spec = {.argv = argv, .output_max = (size_t) 16 << 20, .timeout_usec = 10 * USEC_PER_SEC};
    _cleanup_free_ char *text = NULL;
    char *save = NULL;
    int r, column;

    for (size_t i = 0; options[i]; i++) {
        if (i == PS_OPTIONS_MAX)
            return error_setf(e, -E2BIG, "ps: more than %d options for it", PS_OPTIONS_MAX);
        argv[i + 1] = options[i];
    }
    r = process_run(&spec, &text, e);
    if (r != 0)
        return r < 0 ? r : error_setf(e, -EIO, "ps: exit status %d: %.*s", r, (int) strcspn(text, "\n"), text);
    column = pid_column(text);
    if (column < 0)
        return error_setf(e, -EINVAL, "ps: its output has no column PID");
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        bool ours = line == text; /* the headings */

        for (size_t i = 0; i < n && !ours; i++)
            ours = pids[i] == number_in_column(line, column);
        if (ours)
            puts(line);
    }
    return 0;
}

int verb_ps(Cli *cli, int argc, char **argv, Error *e)
{
    static const struct option options[] = {{"format", required_argument, NULL, 'f'}, {}};
    _cleanup_(container_done) Container container = {.dir = -EBADF, .group = CONTAINER_CGROUP_INIT};
    _cleanup_free_ pid_t *pids = NULL;
    char **options_of_ps = NULL;
    bool as_json = false;
    const char *id;
    json_t *list;
    Runtime rt;
    size_t n;
    int c, r;

    while ((c = getopt_long(argc, argv, "+f:", options, NULL)) != -1) {
        r = c == 'f' ? parse_format(optarg, &as_json, e) : cmd_bad_option(argc, argv, e);
        if (r < 0)
            return r;
    }
    if (argc > optind) {
        options_of_ps = argv + optind + 1;
        options_of_ps += *options_of_ps && streq(*options_of_ps, "--");
        argc = optind + 1;
    }
    if ((r = cmd_id(argc, argv, &id, e)) < 0 || (r = cmd_runtime(cli, &rt, e)) < 0)
        return r;
    r = container_open(&rt, id, false, &container, e);
    fd_closep(&rt.root);
    if (r < 0 || (r = container_pids(&container, &pids, &n, e)) < 0)
        return r;
    if (!as_json)
        return print_table(pids, n, options_of_ps, e);
    list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(pids[i]));
    return cmd_print(list, JSON_COMPACT, e);
}
