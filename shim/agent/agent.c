/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/rundir.h"
#include "runtime/base/strbuf.h"
#include "sections.h"

#define AGENT_FILE_MAX ((size_t) 1 << 20)

static const struct {
    const char *name;
    int (*parse)(Agent *a, const Section *s, Error *e);
    enum { NEEDED, DEFAULTED, OPTIONAL } presence; /* defaulted: a missing section is an empty one */
} sections[] = {
    {"source", agent_parse_source, NEEDED},       {"root", agent_parse_root, NEEDED},
    {"build", agent_parse_build, NEEDED},         {"run", agent_parse_run, NEEDED},
    {"state", agent_parse_state, DEFAULTED},      {"network", agent_parse_network, DEFAULTED},
    {"sockets", agent_parse_sockets, DEFAULTED},  {"probes", agent_parse_probes, NEEDED},
    {"gate", agent_parse_gate, DEFAULTED},        {"drain", agent_parse_drain, DEFAULTED},
    {"sessions", agent_parse_sessions, OPTIONAL}, {"evidence", agent_parse_evidence, OPTIONAL},
    {"replay", agent_parse_replay, OPTIONAL},     {"limits", agent_parse_limits, DEFAULTED},
    {"coder", agent_parse_coder, DEFAULTED},      {"consent", agent_parse_consent, DEFAULTED},
    {"webhooks", agent_parse_webhooks, OPTIONAL}, {"landlock", agent_parse_landlock, OPTIONAL},
};

bool agent_name_valid(const char *name)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t n = strlen(name);

    return n >= 1 && n <= 32 && name[0] != '-' && strspn(name, chars) == n;
}

static void free_env(const char **env)
{
    for (const char **p = env; p && *p; p++)
        free((char *) *p);
    free(env);
}

Agent *agent_free(Agent *a)
{
    if (!a)
        return NULL;
    free(a->build_argv);
    free(a->run_argv);
    free_env(a->run_env);
    free(a->network_allow);
    free(a->listen);
    agent_free_landlock(a);
    agent_free_probes(a);
    free(a->rules);
    free(a->replay_argv);
    free(a->trace_argv);
    free(a->coder_argv);
    free(a->protected_globs);
    json_decref(a->json);
    free(a);
    return NULL;
}

static int parse_sections(Agent *a, const char *file, const char *base, Error *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
        _cleanup_json_ json_t *empty = NULL;
        json_t *o = NULL;
        int r = json_want(a->json, (JsonAt){file, ""}, sections[i].name, JSON_OBJECT, &o, e);

        if (r < 0)
            return r;
        if (!o && sections[i].presence == OPTIONAL)
            continue;
        if (!o && sections[i].presence == NEEDED)
            return error_setf(e, -EINVAL, "%s: %s: is missing", file, sections[i].name);
        if (!o)
            o = empty = json_object();
        r = sections[i].parse(a, &(Section){o, {file, sections[i].name}, base}, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_protected(Agent *a, JsonAt at, Error *e)
{
    int r = json_want_strings(a->json, at, "protected", &a->protected_globs, e);

    if (r >= 0 && !a->protected_globs) {
        a->protected_globs = calloc(1, sizeof(*a->protected_globs));
        r = a->protected_globs ? 0 : error_errnof(e, -ENOMEM, "%s", at.file);
    }
    for (size_t i = 0; r >= 0 && a->protected_globs[i]; i++)
        if (!path_is_clean_relative(a->protected_globs[i]))
            return error_setf(e, -EINVAL, "%s: protected[%zu]: \"%.100s\" must be a relative pattern", at.file, i,
                              a->protected_globs[i]);
    return r;
}

static int parse_top(Agent *a, JsonAt at, Error *e)
{
    const char *known[ARRAY_SIZE(sections) + 5] = {"version", "name", "protected", "control"};
    int64_t version;
    int r;

    for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
        known[i + 4] = sections[i].name;
    r = json_need_integer(a->json, at, "version", 1, 1, &version, e);
    if (r >= 0)
        r = json_only(a->json, at, known, e);
    if (r >= 0)
        r = json_need_string(a->json, at, "name", &a->name, e);
    if (r >= 0 && !agent_name_valid(a->name))
        return error_setf(e, -EINVAL, "%s: name: \"%.100s\" must be of a-z, 0-9 and -, at most 32", at.file, a->name);
    if (r >= 0)
        r = json_want_bool(a->json, at, "control", &a->control, e);
    return r < 0 ? r : parse_protected(a, at, e);
}

/* The directory of the file, without a slash at its end. */
static char *base_directory(const char *path)
{
    _cleanup_free_ char *real = realpath(path, NULL);
    char *slash;

    if (!real)
        return NULL;
    slash = strrchr(real, '/');
    *slash = '\0';
    return TAKE_PTR(real);
}

static int load(int dirfd, const char *name, const char *base, Agent **ret, Error *e)
{
    _cleanup_(agent_freep) Agent *a = calloc(1, sizeof(*a));
    int r;

    if (!a)
        return error_errnof(e, -ENOMEM, "%s", name);
    r = json_read_at(dirfd, name, AGENT_FILE_MAX, &a->json, e);
    if (r >= 0)
        r = parse_top(a, (JsonAt){name, ""}, e);
    if (r >= 0)
        r = parse_sections(a, name, base, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(a);
    return 0;
}

int agent_load(const char *path, Agent **ret, Error *e)
{
    _cleanup_free_ char *base = base_directory(path);

    if (!base)
        return error_errnof(e, -errno, "%s", path);
    return load(AT_FDCWD, path, base, ret, e);
}

int agent_can_evolve(const Agent *a, Error *e)
{
    const char *missing = !a->sessions_directory ? "sessions"
                          : a->n_rules == 0      ? "evidence"
                          : !a->replay_argv      ? "replay"
                                                 : NULL;

    if (missing)
        return error_setf(e, -EINVAL, "agent %s cannot be evolved: its agent.json has no section \"%s\"", a->name,
                          missing);
    return 0;
}

/* ---- directories ---- */

int agent_open_directory(const char *store_path, const char *name, Error *e)
{
    _cleanup_free_ char *path = NULL;
    int fd;

    if (!agent_name_valid(name))
        return error_setf(e, -EINVAL, "\"%.100s\" is no name of an agent: a-z, 0-9 and -, at most 32", name);
    path = xasprintf("%s/agents/%s", store_path, name);
    if (!path)
        return error_errnof(e, -ENOMEM, "agent %s", name);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_setf(e, -ENOENT, "there is no agent %s in %s: `moss agent add FILE` adds one", name, store_path);
    return fd < 0 ? error_errnof(e, -errno, "%s", path) : fd;
}

int agent_load_named(const char *store_path, const char *name, Agent **ret, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(store_path, name, e);
    _cleanup_(agent_freep) Agent *a = NULL;
    _cleanup_free_ char *base = NULL;
    int r;

    if (dir < 0)
        return dir;
    base = xasprintf("%s/agents/%s", store_path, name);
    if (!base)
        return error_errnof(e, -ENOMEM, "agent %s", name);
    r = load(dir, "agent.json", base, &a, e);
    if (r < 0)
        return error_wrapf(e, r, "agent %s", name);
    if (!streq(a->name, name))
        return error_setf(e, -EINVAL, "%s/agent.json is that of an agent called %s", base, a->name);
    *ret = TAKE_PTR(a);
    return 0;
}

int agent_run_directory(const char *name, char **ret, Error *e)
{
    if (!agent_name_valid(name))
        return error_setf(e, -EINVAL, "\"%.100s\" is no name of an agent: a-z, 0-9 and -, at most 32", name);
    return run_directory(name, ret, e);
}

int agent_control_directory(const char *name, char **ret, Error *e)
{
    _cleanup_free_ char *run = NULL, *path = NULL;
    int r = agent_run_directory(name, &run, e);

    if (r < 0)
        return r;
    path = xasprintf("%s/control", run);
    if (!path)
        return error_errnof(e, -ENOMEM, "agent %s", name);
    r = mkdir_p(path, 0755);
    if (r >= 0 && chmod(path, 0755) < 0) /* whatever our umask is */
        r = -errno;
    if (r < 0)
        return error_errnof(e, r, "%s", path);
    *ret = TAKE_PTR(path);
    return 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_agent(const struct dirent *de)
{
    return agent_name_valid(de->d_name);
}

int agent_names(const char *store_path, char ***ret, Error *e)
{
    _cleanup_free_ char *path = xasprintf("%s/agents", store_path);
    struct dirent **found = NULL;
    char **names;
    bool failed = false;
    int n;

    if (!path)
        return error_errnof(e, -ENOMEM, "%s", store_path);
    n = scandir(path, &found, is_agent, compare_names);
    if (n < 0 && errno != ENOENT)
        return error_errnof(e, -errno, "%s", path);
    names = calloc((size_t) MAX(n, 0) + 1, sizeof(*names));
    for (int i = 0; i < n; i++) {
        if (names)
            failed |= !(names[i] = strdup(found[i]->d_name));
        free(found[i]);
    }
    free(found);
    if (!names || failed) {
        agent_names_free(names);
        return error_errnof(e, -ENOMEM, "%s", path);
    }
    *ret = names;
    return 0;
}

char **agent_names_free(char **names)
{
    for (char **p = names; p && *p; p++)
        free(*p);
    free(names);
    return NULL;
}
