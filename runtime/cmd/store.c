/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/base/process.h"

static int usage(const char *verb, const StoreAction *actions)
{
    for (const StoreAction *a = actions; a->name; a++)
        fprintf(stderr, "%s moss-runtime %s %s %s\n", a == actions ? "usage:" : "      ", verb, a->name, a->usage);
    fprintf(stderr, "       --store DIR: another store than %s; --json\n",
            process_is_system() ? "/var/lib/moss" : "~/.local/share/moss");
    return 2;
}

static bool parse_size(const char *text, uint64_t *ret)
{
    char *end;
    unsigned long long n;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    n = strtoull(text, &end, 10);
    if (errno || *end || n == 0)
        return false;
    *ret = n;
    return true;
}

static int parse_options(int argc, char **argv, StoreCall *call, const char **ret_store)
{
    static const struct option options[] = {
        {"store", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
        {"agent", required_argument, NULL, 'a'}, {"commit", required_argument, NULL, 'c'},
        {"upper", required_argument, NULL, 'u'}, {"size", required_argument, NULL, 'b'},
        {"read-only", no_argument, NULL, 'r'},   {},
    };
    int c;

    optind = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
        switch (c) {
        case 's':
            *ret_store = optarg;
            break;
        case 'j':
            call->json = true;
            break;
        case 'a':
            call->agent = optarg;
            break;
        case 'c':
            call->commit = optarg;
            break;
        case 'u':
            call->upper = optarg;
            break;
        case 'b':
            if (!parse_size(optarg, &call->size))
                return -EINVAL;
            break;
        case 'r':
            call->read_only = true;
            break;
        default:
            return -EINVAL;
        }
    return 0;
}

static int report(const StoreCall *call, int r, const Error *e)
{
    if (r >= 0)
        return fflush(stdout) == 0 ? 0 : 1;
    fprintf(stderr, "moss-runtime: %s\n", e->text);
    if (call->json) {
        json_t *answer = json_pack("{s:s}", "error", e->text);

        json_dumpf(answer, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
        putchar('\n');
        json_decref(answer);
    }
    return 1;
}

int store_verb(int argc, char **argv, const StoreAction *actions)
{
    _cleanup_free_ char *fallback = store_default_path();
    _cleanup_(store_freep) Store *store = NULL;
    const char *path = fallback;
    const StoreAction *a = actions;
    StoreCall call = {};
    Error e = {};
    int r;

    if (parse_options(argc, argv, &call, &path) < 0 || optind >= argc)
        return usage(argv[0], actions);
    call.action = argv[optind];
    call.args = (const char *const *) argv + optind + 1;
    call.n_args = (size_t) (argc - optind - 1);
    while (a->name && !streq(a->name, call.action))
        a++;
    if (!a->name || call.n_args < a->min_args || call.n_args > a->max_args)
        return usage(argv[0], actions);
    r = path ? store_open(path, &store, &e) : error_errnof(&e, -ENOMEM, "cannot open the store");
    call.store = store;
    if (r >= 0)
        r = a->run(&call, &e);
    return report(&call, r, &e);
}

void store_print_digest(const StoreCall *call, const char *digest)
{
    printf(call->json ? "{\"digest\":\"%s\"}\n" : "%s\n", digest);
}
