/* SPDX-License-Identifier: Apache-2.0 */

/* `moss agent status|list|logs|remove` and `moss generations`. */

#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "command.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/subvolume.h"
#include "runtime/store/store.h"
#include "shim/agent/agent.h"
#include "shim/client/client.h"

#define ANSWER_USEC                                                                                                    \
    (30 * USEC_PER_SEC) /* a shim answers at once, but for the time that its disk takes to sync a record */
#define LOG_TAIL ((size_t) 1 << 20)
#define LINES_DEFAULT 50U

/* A verb that shows a list: `collect` fills it, `print` is for who did not ask for JSON. */
static int show_list(int argc, char **argv, int min, const char *usage,
                     int (*collect)(const Command *c, json_t *list, Error *e), void (*print)(const json_t *list))
{
    _cleanup_(command_done) Command c = {};
    _cleanup_json_ json_t *list = json_array();
    Error e = {};
    int r = command_parse(argc, argv, min, usage, &c);

    if (r != 0)
        return r;
    if (collect(&c, list, &e) < 0)
        return command_fail(&c, &e);
    if (c.json)
        return command_print(TAKE_PTR(list));
    print(list);
    return EXIT_DONE;
}

/* ---- status ---- */

/* What the files say about an agent that no shim keeps. */
static int status_at_rest(const Command *c, const char *name, json_t **ret, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(c->store_path, name, e);
    _cleanup_free_ char *generation = NULL;
    int64_t epoch = 0;
    bool ran;
    int r;

    if (dir < 0)
        return dir;
    r = shim_head(c->store_path, name, &generation, &epoch, e);
    if (r < 0)
        return error_wrapf(e, r, "agent %s", name);
    ran = faccessat(dir, "head.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    *ret = json_pack("{s:s, s:s, s:I, s:b}", "state", ran ? "stopped" : "never started", "generation", generation,
                     "epoch", (json_int_t) epoch, "ready", 0);
    return *ret ? 0 : error_errnof(e, -ENOMEM, "%s", name);
}

static int get_status(const Command *c, const char *name, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *request = json_pack("{s:s}", "op", "status"), *status = NULL;
    Error none = {};
    int r = shim_call(name, request, ANSWER_USEC, NULL, NULL, &status, &none);

    if (r == -ENOENT)
        r = status_at_rest(c, name, &status, e);
    else if (r < 0) {
        *e = none;
        return r;
    }
    if (r < 0)
        return r;
    json_object_del(status, "ok");
    json_object_set_new(status, "agent", json_string(name));
    *ret = TAKE_PTR(status);
    return 0;
}

static const char *text_of(const json_t *o, const char *key, const char *fallback)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : fallback;
}

static void print_scalar(const char *key, const json_t *value)
{
    if (json_is_string(value) && *json_string_value(value))
        printf("  %-11s %s\n", key, json_string_value(value));
    else if (json_is_integer(value))
        printf("  %-11s %lld\n", key, (long long) json_integer_value(value));
}

static void print_status(const json_t *s)
{
    static const char *const shown[] = {"generation", "epoch", "pid", "restarts", "since"};
    json_t *listeners = json_object_get(s, "listeners"), *listener, *probe, *swap = json_object_get(s, "last_swap");
    size_t i;

    printf("%s: %s%s\n", text_of(s, "agent", ""), text_of(s, "state", "?"),
           json_is_true(json_object_get(s, "ready")) ? ", ready" : "");
    for (i = 0; i < ARRAY_SIZE(shown); i++)
        print_scalar(shown[i], json_object_get(s, shown[i]));
    json_array_foreach (listeners, i, listener)
        print_scalar("listens on", json_object_get(listener, "address"));
    print_scalar("says", json_object_get(s, "says"));
    json_array_foreach (json_object_get(s, "probes"), i, probe)
        if (json_is_object(json_object_get(probe, "last")) && !json_is_true(json_object_get(probe, "ok")))
            printf("  %-11s %s: %s\n", "fails", text_of(probe, "name", "?"),
                   text_of(json_object_get(probe, "last"), "why", ""));
    if (json_is_object(swap))
        printf("  %-11s %s%s%s\n", "last swap", text_of(swap, "outcome", "?"), *text_of(swap, "reason", "") ? ": " : "",
               text_of(swap, "reason", ""));
}

int agent_status(int argc, char **argv)
{
    _cleanup_(command_done) Command c = {};
    _cleanup_json_ json_t *status = NULL;
    Error e = {};
    int r = command_parse(argc, argv, 1, "agent status NAME [--store DIR] [--json]", &c);

    if (r != 0)
        return r;
    r = agent_open_directory(c.store_path, c.name, &e);
    if (r >= 0) {
        close(r);
        r = get_status(&c, c.name, &status, &e);
    }
    if (r < 0)
        return command_fail(&c, &e);
    if (c.json)
        return command_print(TAKE_PTR(status));
    print_status(status);
    return EXIT_DONE;
}

/* ---- list ---- */

static int collect_agents(const Command *c, json_t *list, Error *e)
{
    _cleanup_(agent_names_freep) char **names = NULL;
    int r = agent_names(c->store_path, &names, e);

    if (r < 0)
        return r;
    for (char **name = names; *name; name++) {
        json_t *status = NULL;
        Error one = {};

        /* One that is broken is shown as such and hides no other. */
        if (get_status(c, *name, &status, &one) < 0)
            status = json_pack("{s:s, s:s, s:s}", "agent", *name, "state", "broken", "error", one.text);
        if (json_array_append_new(list, status) < 0)
            return error_errnof(e, -ENOMEM, "cannot list");
    }
    return 0;
}

static void print_agents(const json_t *list)
{
    const json_t *status;
    size_t i;

    if (json_array_size(list) > 0)
        printf("%-32s  %-13s  %-5s  %-12s  %s\n", "AGENT", "STATE", "READY", "GENERATION", "EPOCH");
    json_array_foreach (list, i, status)
        printf("%-32s  %-13s  %-5s  %-12.12s  %lld\n", text_of(status, "agent", "?"), text_of(status, "state", "?"),
               json_is_true(json_object_get(status, "ready")) ? "yes" : "no", text_of(status, "generation", "-"),
               (long long) json_integer_value(json_object_get(status, "epoch")));
}

int agent_list(int argc, char **argv)
{
    return show_list(argc, argv, 0, "agent list [--store DIR] [--json]", collect_agents, print_agents);
}

/* ---- logs ---- */

/* The agent wrote this: what a terminal would act on is shown as '?'. */
static void print_log(char *text, size_t len, unsigned lines)
{
    char *from = text + len;

    if (len > 0 && from[-1] == '\n')
        from--;
    while (from > text && (from[-1] != '\n' || --lines > 0))
        from--;
    if (isatty(STDOUT_FILENO))
        for (char *p = from; p < text + len; p++)
            if (((unsigned char) *p < ' ' && *p != '\n' && *p != '\t') || *p == 0x7f)
                *p = '?';
    fwrite(from, 1, (size_t) (text + len - from), stdout);
}

static int read_tail(const Command *c, char **ret, size_t *ret_len, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(c->store_path, c->name, e), fd = -EBADF;
    struct stat st;
    int r;

    if (dir < 0)
        return dir;
    fd = openat(dir, "log", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return error_setf(e, -ENOENT, "agent %s has no log yet: it was never started", c->name);
    if (fd < 0 || fstat(fd, &st) < 0 || lseek(fd, MAX(st.st_size - (off_t) LOG_TAIL, 0), SEEK_SET) < 0)
        return error_errnof(e, -errno, "log of agent %s", c->name);
    r = file_read_fd(fd, 2 * LOG_TAIL, ret, ret_len); /* it may grow while it is read */
    return r < 0 ? error_errnof(e, r, "log of agent %s", c->name) : 0;
}

int agent_logs(int argc, char **argv)
{
    _cleanup_(command_done) Command c = {};
    _cleanup_free_ char *text = NULL;
    size_t len;
    Error e = {};
    int r = command_parse(argc, argv, 1, "agent logs NAME [--lines N] [--store DIR]", &c);

    if (r != 0)
        return r;
    if (read_tail(&c, &text, &len, &e) < 0)
        return command_fail(&c, &e);
    print_log(text, len, c.lines ? c.lines : LINES_DEFAULT);
    return fflush(stdout) < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* ---- remove ---- */

static int check_removable(const Command *c, Error *e)
{
    _cleanup_json_ json_t *request = json_pack("{s:s}", "op", "status"), *status = NULL;
    Error none = {};
    int r;

    r = agent_open_directory(c->store_path, c->name, e);
    if (r < 0)
        return r;
    close(r);
    r = shim_call(c->name, request, ANSWER_USEC, NULL, NULL, &status, &none);
    if (r != -ENOENT)
        return error_setf(e, -EBUSY, "%s is running: moss agent stop %s", c->name, c->name);
    if (!c->force)
        return error_setf(
            e, -EPERM, "this removes the state, the evidence and the history of %s for ever: --force does it", c->name);
    return 0;
}

static int remove_directory(const Command *c, Error *e)
{
    _cleanup_close_ int store = open(c->store_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), agents = -EBADF;
    char tmp[48];
    int r;

    agents = openat(store, "agents", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (agents < 0)
        return error_errnof(e, -errno, "%s/agents", c->store_path);
    if (flock(agents, LOCK_EX | LOCK_NB) < 0)
        return error_setf(e, -EBUSY, "%s: another agent is being added or removed", c->store_path);
    snprintf(tmp, sizeof(tmp), ".%s.gone", c->name);
    r = subvolume_rm_rf(agents, tmp);
    if (r >= 0 && renameat2(agents, c->name, agents, tmp, RENAME_NOREPLACE) < 0)
        r = -errno;
    if (r >= 0)
        r = subvolume_rm_rf(agents, tmp);
    return r < 0 ? error_errnof(e, r, "cannot remove %s", c->name) : 0;
}

int agent_remove(int argc, char **argv)
{
    _cleanup_(command_done) Command c = {};
    Error e = {};
    int r = command_parse(argc, argv, 1, "agent remove NAME --force [--store DIR] [--json]", &c);

    if (r != 0)
        return r;
    r = check_removable(&c, &e);
    if (r >= 0)
        r = remove_directory(&c, &e);
    if (r < 0)
        return command_fail(&c, &e);
    if (c.json)
        return command_print(json_pack("{s:s, s:s}", "agent", c.name, "state", "removed"));
    printf("%s removed\n", c.name);
    return EXIT_DONE;
}

/* ---- generations ---- */

static int collect_generations(const Command *c, json_t *list, Error *e)
{
    _cleanup_(store_freep) Store *store = NULL;
    _cleanup_json_ json_t *digests = NULL, *status = NULL;
    json_t *digest;
    size_t i;
    int r;

    r = agent_open_directory(c->store_path, c->name, e);
    if (r < 0)
        return r;
    close(r);
    r = get_status(c, c->name, &status, e);
    if (r >= 0)
        r = store_open(c->store_path, &store, e);
    if (r >= 0)
        r = generation_list(store, &digests, e);
    if (r < 0)
        return r;
    json_array_foreach (digests, i, digest) {
        _cleanup_(generation_freep) Generation *g = NULL;
        Error broken = {};

        if (generation_load(store, json_string_value(digest), &g, &broken) < 0)
            json_array_append_new(list, json_pack("{s:O, s:s}", "generation", digest, "error", broken.text));
        else if (streq(g->agent, c->name))
            json_array_append_new(list, json_pack("{s:O, s:s, s:O, s:b}", "generation", digest, "commit", g->commit,
                                                  "layers", json_object_get(g->manifest, "layers"), "current",
                                                  streq(g->digest, text_of(status, "generation", ""))));
    }
    return 0;
}

static void print_generations(const json_t *list)
{
    const json_t *g;
    size_t i;

    printf("%-12s  %-12s  %-6s  %s\n", "GENERATION", "COMMIT", "LAYERS", "");
    json_array_foreach (list, i, g)
        printf("%-12.12s  %-12.12s  %-6zu  %s\n", text_of(g, "generation", "?"), text_of(g, "commit", "-"),
               json_array_size(json_object_get(g, "layers")),
               json_is_true(json_object_get(g, "current")) ? "current" : text_of(g, "error", ""));
}

int generations_main(int argc, char **argv)
{
    return show_list(argc, argv, 1, "generations NAME [--store DIR] [--json]", collect_generations, print_generations);
}
