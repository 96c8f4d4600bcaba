/* SPDX-License-Identifier: Apache-2.0 */

/* `moss agent add`: checks everything, makes the first generation, and only then the agent's directory, under its final name as a whole. */

#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "command.h"
#include "evolve/trial/build.h"
#include "evolve/trial/source.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"
#include "runtime/box/cgroup.h"

typedef struct First {
    char commit[SOURCE_OID_SIZE];
    char base[DIGEST_SIZE], built[DIGEST_SIZE], generation[DIGEST_SIZE];
} First;

static void say(const Command *c, const char *fmt, ...) _printf_(2, 3);
static void say(const Command *c, const char *fmt, ...)
{
    va_list ap;

    if (c->json)
        return;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    fflush(stdout);
}

/* ---- what the file names must be there ---- */

static int check_directory(const char *what, const char *path, Error *e)
{
    struct stat st;

    if (!path)
        return 0;
    if (stat(path, &st) < 0)
        return error_errnof(e, -errno, "%s: %s", what, path);
    return S_ISDIR(st.st_mode) ? 0 : error_setf(e, -ENOTDIR, "%s: %s is no directory", what, path);
}

static int check_places(const Agent *a, Error *e)
{
    const struct {
        const char *what, *path;
    } places[] = {
        {"root.directory", a->root_directory},   {"source.repository", a->repository},
        {"state.directory", a->state_directory}, {"replay.directory", a->replay_directory},
        {"coder.directory", a->coder_directory},
    };

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        int r = check_directory(places[i].what, places[i].path, e);

        if (r < 0)
            return r;
    }
    if (a->allowed_signers && access(a->allowed_signers, R_OK) < 0)
        return error_errnof(e, -errno, "consent.allowedSigners: %s", a->allowed_signers);
    return source_check_clean(a->repository, e);
}

/* ---- the first generation ---- */

static int build_failed(const BuildResult *result, Error *e)
{
    /* The log is for people, on its own lines; the error names the cause. */
    if (result->log && *result->log)
        fprintf(stderr, "%s%s", result->log, endswith(result->log, "\n") ? "" : "\n");
    return error_setf(e, -ECANCELED, "the build failed: %s", result->why);
}

static int build(const Agent *a, Store *store, int source, First *first, Error *e)
{
    _cleanup_close_ int base = layer_open(store, first->base, e), cgroup = -EBADF;
    _cleanup_(build_result_done) BuildResult result = {};
    LayerDraft draft = {.fd = -EBADF};
    char name[64];
    struct stat st;
    int r;

    if (base < 0)
        return base;
    if (fstat(store_fd(store), &st) < 0)
        return error_errnof(e, -errno, "%s", store_path(store));
    cgroup = cgroup_open_base(NULL); /* without one the PID namespace alone ends the box */
    /* The same name for every attempt in this store, of which there is one at a time: what is there is left from one that was killed. */
    snprintf(name, sizeof(name), "add-%s-%llx", a->name, (unsigned long long) st.st_ino);
    r = cgroup >= 0 ? cgroup_remove(cgroup, name, e) : 0;
    if (r < 0)
        return r;
    r = build_run(&(BuildSpec){a, base, source, MAX(cgroup, 0), name}, store, &draft, &result, e);
    if (r < 0)
        return r;
    return result.ok ? layer_seal(store, &draft, first->built, e) : build_failed(&result, e);
}

static int import_base(const Command *c, const Agent *a, Store *store, First *first, Error *e)
{
    _cleanup_close_ int root = open(a->root_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    if (root < 0)
        return error_errnof(e, -errno, "%s", a->root_directory);
    r = layer_import(store, root, first->base, e);
    if (r >= 0)
        say(c, "base layer  %.12s  %s\n", first->base, a->root_directory);
    return r < 0 ? error_wrapf(e, r, "root.directory") : r;
}

/* A draft of the store serves as the place for the checkout: nobody else's, and swept if we do not come to remove it. */
static int build_source(const Command *c, const Agent *a, Store *store, First *first, Error *e)
{
    LayerDraft checkout;
    int r;

    r = source_head(a->repository, a->branch, first->commit, e);
    if (r < 0)
        return r;
    r = layer_draft(store, &checkout, e);
    if (r < 0)
        return r;
    r = source_checkout(a->repository, first->commit, checkout.fd, e);
    if (r >= 0)
        r = build(a, store, checkout.fd, first, e);
    layer_draft_drop(store, &checkout);
    if (r >= 0)
        say(c, "code layer  %.12s  commit %.12s of %s\n", first->built, first->commit, a->branch);
    return r;
}

static int make_generation(const Command *c, const Agent *a, Store *store, First *first, Error *e)
{
    const char *const layers[] = {first->built, first->base, NULL};
    _cleanup_json_ json_t *record = json_pack("{s:s, s:O}", "kind", "first", "command",
                                              json_object_get(json_object_get(a->json, "build"), "command"));
    int r;

    r = import_base(c, a, store, first, e);
    if (r >= 0)
        r = build_source(c, a, store, first, e);
    if (r >= 0)
        r = generation_create(store, a->name, layers, first->commit, record, first->generation, e);
    if (r >= 0)
        say(c, "generation  %.12s\n", first->generation);
    return r;
}

/* ---- the directory ---- */

static int fill_state(const Agent *a, int dir, Error *e)
{
    _cleanup_close_ int from = -EBADF, to = -EBADF;

    if (mkdirat_p(dir, "epochs/0", 0700) < 0 || (to = openat(dir, "epochs/0", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return error_errnof(e, -errno, "cannot make the state volume");
    if (!a->state_directory)
        return 0;
    from = open(a->state_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0)
        return error_errnof(e, -errno, "%s", a->state_directory);
    return copy_tree(from, to, e);
}

static int fill_directory(const Agent *a, const First *first, int dir, Error *e)
{
    _cleanup_json_ json_t *initial = json_pack("{s:s, s:i}", "generation", first->generation, "epoch", 0);
    int r;

    if (!initial)
        return error_errnof(e, -ENOMEM, "initial.json");
    r = fill_state(a, dir, e);
    if (r >= 0)
        r = json_write_at(dir, "initial.json", initial, 0600, 0, e);
    if (r >= 0)
        r = json_write_at(dir, "agent.json", a->json, 0600, 0, e);
    if (r >= 0 && syncfs(dir) < 0)
        r = error_errnof(e, -errno, "cannot write the agent's directory");
    return r;
}

static int publish(int agents, const char *tmp, const char *name, Error *e)
{
    int r;

    if (renameat2(agents, tmp, agents, name, RENAME_NOREPLACE) < 0) {
        /* An agent that never ran: what is there is a first generation and its untouched state. */
        if (errno != EEXIST || renameat2(agents, tmp, agents, name, RENAME_EXCHANGE) < 0)
            return error_errnof(e, -errno, "cannot make the directory of %s", name);
        r = rm_rf_at(agents, tmp);
        if (r < 0)
            return error_errnof(e, r, "cannot remove what was there of %s", name);
    }
    return fsync(agents) < 0 ? error_errnof(e, -errno, "cannot make the directory of %s durable", name) : 0;
}

static int make_directory(const Agent *a, const First *first, int agents, Error *e)
{
    _cleanup_close_ int dir = -EBADF;
    char tmp[48];
    int r;

    snprintf(tmp, sizeof(tmp), ".%s.new", a->name); /* we hold the lock: one that is there is left from a crash */
    r = rm_rf_at(agents, tmp);
    if (r < 0)
        return error_errnof(e, r, "cannot remove what is left of an earlier attempt at %s", a->name);
    if (mkdirat(agents, tmp, 0700) < 0 || (dir = openat(agents, tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return error_errnof(e, -errno, "cannot make the directory of %s", a->name);
    r = fill_directory(a, first, dir, e);
    if (r >= 0)
        r = publish(agents, tmp, a->name, e);
    if (r < 0)
        (void) rm_rf_at(agents, tmp);
    return r;
}

/* ---- the verb ---- */

/* An agent that has run keeps its generation, state and history: only what the operator says about it is replaced. */
static int replace_settings(const Command *c, const Agent *a, int dir, Error *e)
{
    int r = json_write_at(dir, "agent.json", a->json, 0600, FILE_DURABLE, e);

    if (r >= 0)
        say(c,
            "%s has its new settings; generation and state stay as they are. They hold after: moss agent restart %s\n",
            a->name, a->name);
    return r;
}

static int open_agents(Store *store, Error *e)
{
    int fd;

    if (mkdirat(store_fd(store), "agents", 0700) < 0 && errno != EEXIST)
        return error_errnof(e, -errno, "%s/agents", store_path(store));
    fd = openat(store_fd(store), "agents", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errnof(e, -errno, "%s/agents", store_path(store));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        return error_setf(e, -EBUSY, "%s: another agent is being added or removed", store_path(store));
    }
    return fd;
}

static int add(const Command *c, const Agent *a, First *first, Error *e)
{
    _cleanup_(store_freep) Store *store = NULL;
    _cleanup_close_ int agents = -EBADF, existing = -EBADF;
    int r;

    r = store_open(c->store_path, &store, e);
    if (r < 0)
        return r;
    agents = open_agents(store, e);
    if (agents < 0)
        return agents;
    existing = openat(agents, a->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (existing >= 0 && !c->replace)
        return error_setf(e, -EEXIST, "there is an agent %s already: --replace gives it these settings", a->name);
    r = check_places(a, e);
    if (r < 0)
        return r;
    if (existing >= 0 && faccessat(existing, "head.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return replace_settings(c, a, existing, e);
    r = make_generation(c, a, store, first, e);
    if (r >= 0)
        r = make_directory(a, first, agents, e);
    if (r >= 0)
        say(c, "%s is there. Start it with: moss agent start %s\n", a->name, a->name);
    return r;
}

int agent_add(int argc, char **argv)
{
    _cleanup_(command_done) Command c = {};
    _cleanup_(agent_freep) Agent *a = NULL;
    First first = {};
    Error e = {};
    int r;

    r = command_parse(argc, argv, 1, "agent add FILE [--replace] [--store DIR] [--json]", &c);
    if (r != 0)
        return r;
    r = agent_load(c.name, &a, &e);
    if (r >= 0)
        r = add(&c, a, &first, &e);
    if (r < 0)
        return command_fail(&c, &e);
    if (!c.json)
        return EXIT_DONE;
    return command_print(*first.generation ? json_pack("{s:s, s:s, s:s, s:[s,s], s:i}", "agent", a->name, "generation",
                                                       first.generation, "commit", first.commit, "layers", first.built,
                                                       first.base, "epoch", 0)
                                           : json_pack("{s:s, s:b}", "agent", a->name, "settings_replaced", 1));
}
