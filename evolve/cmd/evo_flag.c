/* SPDX-License-Identifier: Apache-2.0 */
/* moss evo flag: says that a session went badly. */
#include <getopt.h>
#include <stdio.h>

#include "evolve/cmd/evo.h"
#include "evolve/evidence/evidence.h"
#include "runtime/base/json.h"

#define USAGE                                                                                                          \
    "flag --session S [--user U] [--turn N] [--expect TEXT] [--words TEXT] [--json]\n\n"                               \
    "The answer to message N (from 1; the last one by default) of session S was bad. TEXT of --expect is what it\n"    \
    "should have held; without it any other answer will do."

static int options_parse(int argc, char **argv, FlagSpec *ret)
{
    static const struct option options[] = {
        {"session", required_argument, NULL, 's'},
        {"user", required_argument, NULL, 'u'},
        {"turn", required_argument, NULL, 't'},
        {"expect", required_argument, NULL, 'e'},
        {"words", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {},
    };
    unsigned long turn;
    char *end;
    int o;

    optind = 0;
    while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (o == 's')
            ret->session = optarg;
        else if (o == 'u')
            ret->user = optarg;
        else if (o == 'e')
            ret->expect = optarg;
        else if (o == 'w')
            ret->words = optarg;
        else if (o == 't') {
            turn = strtoul(optarg, &end, 10);
            if (*end || end == optarg || *optarg == '-' || turn == 0 || turn > 1000000)
                return -EINVAL;
            ret->turn = (unsigned) turn;
        } else
            return -EINVAL;
    }
    return optind < argc || !ret->session ? -EINVAL : 0;
}

int evo_flag(const EvoContext *c, int argc, char **argv)
{
    _cleanup_free_ char *chunk = NULL;
    FlagSpec spec = {};
    Error e = {};
    int r;

    if (options_parse(argc, argv, &spec) < 0)
        return evo_usage(USAGE);
    r = evidence_flag(c->store_path, c->agent, &spec, &chunk, &e);
    if (r < 0)
        return evo_fail(c, r, &e);
    if (c->json) {
        _cleanup_json_ json_t *o = json_pack("{sb ss}", "ok", 1, "chunk", chunk);

        return evo_print(o);
    }
    printf("kept as chunk %.12s\n", chunk);
    return 0;
}
