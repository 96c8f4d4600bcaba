/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/base/strbuf.h"
#include "runtime/store/store.h"

#define LINES_MAX 1000000U
#define GRACE_MAX 1000000000U

void command_done(Command *c)
{
    free(c->store_path);
}

static int usage(const char *text)
{
    fprintf(stderr, "usage: moss %s\n", text);
    return EXIT_USAGE;
}

int command_number(const char *text, unsigned max, unsigned *ret)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end || n == 0 || n > max)
        return -EINVAL;
    *ret = (unsigned) n;
    return 0;
}

/* The shim, to which it is handed on, has a working directory of its own. */
static char *absolute(const char *path)
{
    _cleanup_free_ char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);

    if (path[0] == '/')
        return strdup(path);
    return cwd ? xasprintf("%s/%s", cwd, path) : NULL;
}

int command_parse(int argc, char **argv, int min, const char *text, Command *ret)
{
    static const struct option options[] = {
        {"store", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
        {"replace", no_argument, NULL, 'r'},     {"force", no_argument, NULL, 'f'},
        {"lines", required_argument, NULL, 'n'}, {"dry-run", no_argument, NULL, 'd'},
        {"grace", required_argument, NULL, 'g'}, {},
    };
    _cleanup_free_ char *fallback = NULL;
    const char *store = NULL;
    int c;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "n:", options, NULL)) >= 0)
        switch (c) {
        case 's':
            store = optarg;
            break;
        case 'j':
            ret->json = true;
            break;
        case 'r':
            ret->replace = true;
            break;
        case 'f':
            ret->force = true;
            break;
        case 'd':
            ret->dry_run = true;
            break;
        case 'g':
            ret->grace_given = true;
            if (streq(optarg, "0") || command_number(optarg, GRACE_MAX, &ret->grace) >= 0)
                break;
            return usage(text);
        case 'n':
            if (command_number(optarg, LINES_MAX, &ret->lines) >= 0)
                break;
            return usage(text);
        default:
            return usage(text);
        }
    if (argc - optind < min || argc - optind > 1)
        return usage(text);
    ret->name = argv[optind];
    fallback = store_default_path();
    ret->store_path = store || fallback ? absolute(store ? store : fallback) : NULL;
    return ret->store_path ? 0 : EXIT_FAILED;
}

int command_fail(const Command *c, const Error *e)
{
    const char *text = e->code ? e->text : "failed";

    fprintf(stderr, "moss: %s\n", text);
    if (c->json)
        (void) command_print(json_pack("{s:s}", "error", text));
    return EXIT_FAILED;
}

int command_print(json_t *value)
{
    int r = value ? json_dumpf(value, stdout, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY) : -1;

    json_decref(value);
    putchar('\n');
    return r < 0 || fflush(stdout) < 0 ? EXIT_FAILED : EXIT_DONE;
}

int command_find_shim(char *path, Error *e)
{
    static const char name[] = "/moss-shim";
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof(name));
    char *slash;

    if (n > 0) {
        path[n] = '\0';
        slash = strrchr(path, '/');
        memcpy(slash, name, sizeof(name));
        if (access(path, X_OK) == 0)
            return 0;
    }
    snprintf(path, PATH_MAX, "%s%s", MOSS_LIBEXECDIR, name);
    if (access(path, X_OK) < 0)
        return error_errnof(e, -errno, "moss-shim is neither beside this program nor in %s", MOSS_LIBEXECDIR);
    return 0;
}
