/* SPDX-License-Identifier: Apache-2.0 */
#include "sections.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "runtime/base/strbuf.h"

#define SECONDS_MAX 86400
#define UID_HIGHEST 4294967294LL

int section_error(const Section *s, const char *key, Error *e, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_setf(e, -EINVAL, "%s: %s%s%s: %s", s->at.file, s->at.path, *s->at.path ? "." : "", key, text);
}

int section_seconds(const Section *s, const char *key, unsigned min, unsigned *ret, Error *e)
{
    int64_t v = *ret;
    int r = json_want_integer(s->o, s->at, key, min, SECONDS_MAX, &v, e);

    *ret = (unsigned) v;
    return r;
}

static bool clean_components(const char *p)
{
    for (;;) {
        size_t n = strcspn(p, "/");

        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        if (!p[n])
            return true;
        p += n + 1;
    }
}

bool path_is_clean_absolute(const char *path)
{
    return path[0] == '/' && strlen(path) < PATH_MAX && clean_components(path + 1);
}

bool path_is_clean_relative(const char *path)
{
    return strlen(path) < PATH_MAX && clean_components(path);
}

int section_command(const Section *s, const char *key, bool needed, const char ***ret, Error *e)
{
    _cleanup_free_ const char **argv = NULL;
    int r = json_want_strings(s->o, s->at, key, &argv, e);

    if (r < 0)
        return r;
    if (!argv && !needed)
        return 0;
    if (!argv)
        return section_error(s, key, e, "is missing");
    if (!argv[0])
        return section_error(s, key, e, "is empty, must be a program and its arguments");
    if (!path_is_clean_absolute(argv[0]))
        return section_error(s, key, e, "\"%.100s\" must be an absolute path", argv[0]);
    *ret = TAKE_PTR(argv);
    return 0;
}

int section_host_path(const Section *s, const char *key, bool needed, const char **ret, Error *e)
{
    _cleanup_free_ char *absolute = NULL;
    const char *path = NULL;
    int r = needed ? json_need_string(s->o, s->at, key, &path, e) : json_want_string(s->o, s->at, key, &path, e);

    if (r < 0 || !path)
        return r;
    if (!*path)
        return section_error(s, key, e, "is empty");
    if (path[0] != '/') {
        absolute = xasprintf("%s/%s", s->base, path);
        if (!absolute || json_object_set_new((json_t *) s->o, key, json_string(absolute)) < 0)
            return error_errnof(e, -ENOMEM, "%s", s->at.file);
    }
    return json_need_string(s->o, s->at, key, ret, e);
}

int agent_parse_source(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"repository", "branch", NULL};
    int r = json_only(s->o, s->at, known, e);

    a->branch = "main";
    if (r >= 0)
        r = section_host_path(s, "repository", true, &a->repository, e);
    if (r >= 0)
        r = json_want_string(s->o, s->at, "branch", &a->branch, e);
    if (r >= 0 && (!path_is_clean_relative(a->branch) || a->branch[0] == '-' || strpbrk(a->branch, " ~^:?*[\\")))
        return section_error(s, "branch", e, "\"%.100s\" is no name of a branch", a->branch);
    return r;
}

int agent_parse_root(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"directory", NULL};
    int r = json_only(s->o, s->at, known, e);

    return r < 0 ? r : section_host_path(s, "directory", true, &a->root_directory, e);
}

int agent_parse_build(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"command", "timeoutSeconds", NULL};
    int r = json_only(s->o, s->at, known, e);

    a->build_timeout_seconds = 600;
    if (r >= 0)
        r = section_command(s, "command", true, &a->build_argv, e);
    if (r >= 0)
        r = section_seconds(s, "timeoutSeconds", 1, &a->build_timeout_seconds, e);
    return r;
}

/* ---- run ---- */

static bool env_name_valid(const char *name)
{
    if (!isalpha((unsigned char) name[0]) && name[0] != '_')
        return false;
    while (isalnum((unsigned char) *name) || *name == '_')
        name++;
    return *name == '\0';
}

static int parse_env(Agent *a, const Section *s, Error *e)
{
    json_t *env = NULL, *value;
    const char *key;
    size_t n = 0;
    int r = json_want(s->o, s->at, "env", JSON_OBJECT, &env, e);

    if (r < 0)
        return r;
    a->run_env = calloc(json_object_size(env) + 1, sizeof(*a->run_env));
    if (!a->run_env)
        return error_errnof(e, -ENOMEM, "%s", s->at.file);
    json_object_foreach (env, key, value) {
        if (!env_name_valid(key))
            return section_error(s, "env", e, "\"%.100s\" is no name of a variable", key);
        if (startswith(key, "MOSS_"))
            return section_error(s, "env", e, "%.100s: names that start with MOSS_ are set by MOSS", key);
        if (!json_is_string(value))
            return section_error(s, "env", e, "%.100s: must be a string", key);
        a->run_env[n] = xasprintf("%s=%s", key, json_string_value(value));
        if (!a->run_env[n++])
            return error_errnof(e, -ENOMEM, "%s", s->at.file);
    }
    return 0;
}

int agent_parse_run(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"command", "env", "cwd", "uid", "gid", NULL};
    int64_t uid = 0, gid = 0;
    int r = json_only(s->o, s->at, known, e);

    a->run_cwd = "/";
    if (r >= 0)
        r = section_command(s, "command", true, &a->run_argv, e);
    if (r >= 0)
        r = parse_env(a, s, e);
    if (r >= 0)
        r = json_want_string(s->o, s->at, "cwd", &a->run_cwd, e);
    if (r >= 0 && !streq(a->run_cwd, "/") && !path_is_clean_absolute(a->run_cwd))
        return section_error(s, "cwd", e, "\"%.100s\" must be an absolute path", a->run_cwd);
    if (r >= 0)
        r = json_want_integer(s->o, s->at, "uid", 0, UID_HIGHEST, &uid, e);
    if (r >= 0)
        r = json_want_integer(s->o, s->at, "gid", 0, UID_HIGHEST, &gid, e);
    a->run_uid = (uid_t) uid;
    a->run_gid = (gid_t) gid;
    return r;
}

static int parse_state_policy(Agent *a, const Section *s, Error *e)
{
    static const char *const names[] = {
        [STATE_AUTO] = "auto", [STATE_KEEP] = "keep", [STATE_RESTORE] = "restore", [STATE_HALT] = "halt"};
    const char *policy = names[STATE_AUTO];
    int r = json_want_string(s->o, s->at, "policy", &policy, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (streq(policy, names[i])) {
            a->state_policy = (StatePolicy) i;
            return 0;
        }
    return section_error(s, "policy", e, "\"%.60s\" must be auto, keep, restore or halt", policy);
}

int agent_parse_state(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"path", "directory", "policy", NULL};
    static const char *const taken[] = {"/proc", "/sys", "/dev", "/moss", "/src"};
    int r = json_only(s->o, s->at, known, e);

    a->state_path = "/state";
    if (r >= 0)
        r = json_want_string(s->o, s->at, "path", &a->state_path, e);
    if (r >= 0)
        r = parse_state_policy(a, s, e);
    if (r < 0)
        return r;
    if (!path_is_clean_absolute(a->state_path))
        return section_error(s, "path", e, "\"%.100s\" must be an absolute path below /", a->state_path);
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
        const char *rest = startswith(a->state_path, taken[i]);

        if (rest && (*rest == '\0' || *rest == '/'))
            return section_error(s, "path", e, "\"%.100s\": %s is MOSS's own", a->state_path, taken[i]);
    }
    return section_host_path(s, "directory", false, &a->state_directory, e);
}

/* ---- network ---- */

/* Splits at the last `separator` into an IPv4 address and a number from 1 to `max`. */
static bool ipv4_and_number(const char *text, char separator, unsigned long max)
{
    const char *at = strrchr(text, separator);
    char address[INET_ADDRSTRLEN], *end;
    struct in_addr in;
    unsigned long n;

    if (!at || (size_t) (at - text) >= sizeof(address) || !isdigit((unsigned char) at[1]))
        return false;
    memcpy(address, text, (size_t) (at - text));
    address[at - text] = '\0';
    n = strtoul(at + 1, &end, 10);
    return inet_pton(AF_INET, address, &in) == 1 && *end == '\0' && n >= 1 && n <= max;
}

static int parse_veth(Agent *a, const Section *s, Error *e)
{
    int r = json_need_string(s->o, s->at, "address", &a->network_address, e);

    if (r < 0)
        return r;
    if (!ipv4_and_number(a->network_address, '/', 30) || !endswith(a->network_address, "/30"))
        return section_error(s, "address", e, "\"%.60s\" must be an IPv4 address with /30", a->network_address);
    r = json_want_strings(s->o, s->at, "allow", &a->network_allow, e);
    for (size_t i = 0; r >= 0 && a->network_allow && a->network_allow[i]; i++)
        if (!ipv4_and_number(a->network_allow[i], ':', 65535))
            return section_error(s, "allow", e, "\"%.60s\" must be an IPv4 address and a port, like 192.0.2.1:443",
                                 a->network_allow[i]);
    return r;
}

int agent_parse_network(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"mode", "address", "allow", NULL};
    const char *mode = "none";
    int r = json_only(s->o, s->at, known, e);

    if (r >= 0)
        r = json_want_string(s->o, s->at, "mode", &mode, e);
    if (r < 0)
        return r;
    if (streq(mode, "veth")) {
        a->network = NETWORK_VETH;
        return parse_veth(a, s, e);
    }
    if (!streq(mode, "none") && !streq(mode, "host") && !streq(mode, "engine"))
        return section_error(s, "mode", e, "\"%.60s\" must be none, host, veth or engine", mode);
    if (json_object_get(s->o, "address") || json_object_get(s->o, "allow"))
        return section_error(s, "mode", e, "is %s, address and allow are for veth", mode);
    a->network = streq(mode, "host") ? NETWORK_HOST : streq(mode, "engine") ? NETWORK_ENGINE : NETWORK_NONE;
    return 0;
}

/* ---- limits, coder, consent ---- */

int agent_parse_limits(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"memoryBytes", "processes", "diskBytes", "generations", NULL};
    int64_t memory = 512 << 20, processes = 256, disk = 256 << 20, generations = 10;
    int r = json_only(s->o, s->at, known, e);

    if (r >= 0)
        r = json_want_integer(s->o, s->at, "memoryBytes", 8 << 20, 1LL << 46, &memory, e);
    if (r >= 0)
        r = json_want_integer(s->o, s->at, "processes", 2, 1 << 20, &processes, e);
    if (r >= 0)
        r = json_want_integer(s->o, s->at, "diskBytes", 1 << 20, 1LL << 46, &disk, e);
    if (r >= 0)
        r = json_want_integer(s->o, s->at, "generations", 2, 1000, &generations, e);
    a->limit_memory = (uint64_t) memory;
    a->limit_processes = (uint64_t) processes;
    a->limit_disk = (uint64_t) disk;
    a->limit_generations = (unsigned) generations;
    return r;
}

int agent_parse_coder(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"adapter", "command", "directory", "timeoutSeconds", NULL};
    int r = json_only(s->o, s->at, known, e);

    a->coder_adapter = "search";
    a->coder_timeout_seconds = 3600;
    if (r >= 0)
        r = json_want_string(s->o, s->at, "adapter", &a->coder_adapter, e);
    if (r >= 0)
        r = section_seconds(s, "timeoutSeconds", 1, &a->coder_timeout_seconds, e);
    if (r < 0)
        return r;
    if (!streq(a->coder_adapter, "search") && !streq(a->coder_adapter, "command"))
        return section_error(s, "adapter", e, "\"%.60s\" must be search or command", a->coder_adapter);
    /* Allowed beside "search" too: an evolution may be started with the other adapter. */
    r = section_command(s, "command", streq(a->coder_adapter, "command"), &a->coder_argv, e);
    return r < 0 ? r : section_host_path(s, "directory", false, &a->coder_directory, e);
}

int agent_parse_consent(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"allowedSigners", NULL};
    int r = json_only(s->o, s->at, known, e);

    return r < 0 ? r : section_host_path(s, "allowedSigners", false, &a->allowed_signers, e);
}
