/* SPDX-License-Identifier: Apache-2.0 */
/* moss evo flag: says that a session went badly. */
#include <getopt.h>
#include <stdio.h>

#include "evolve/cmd/command.h"
#include "evolve/cmd/evo.h"
#include "evolve/evidence/evidence.h"
#include "runtime/base/json.h"

#define TURN_MAX 1000000U

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
    int o, r = 0;

    optind = 0;
    while (r >= 0 && (o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (o == 's')
            ret->session = optarg;
        else if (o == 'u')
            ret->user = optarg;
        else if (o == 'e')
            ret->expect = optarg;
        else if (o == 'w')
            ret->words = optarg;
        else if (o == 't')
            r = command_number(optarg, TURN_MAX, &ret->turn);
        else
            r = -EINVAL;
    }
    return r < 0 || optind < argc || !ret->session ? -EINVAL : 0;
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
