/* SPDX-License-Identifier: Apache-2.0 */

/* `moss`: the operator's command. */

#include <stdio.h>

#include "command.h"
#include "evo.h"

static const struct {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"agent", "add, start, stop, restart, status, logs, list, remove the agents that are kept", agent_main},
    {"evo", "collect evidence, evolve an agent's source, apply what was found", evo_main},
    {"daemon", "collect evidence all the time, serve the agents' control sockets", daemon_main},
    {"collect", "remove the builds that no agent has to do with any more", collect_main},
    {"discard", "give up a state of an agent that is set aside", shim_main},
    {"generations", "the builds of an agent that could be run", generations_main},
    {"history", "the swaps of an agent", shim_main},
    {"recover", "start an agent that is halted", shim_main},
    {"rollback", "go back to an earlier generation of an agent", shim_main},
};

static void print_help(FILE *to)
{
    fprintf(to, "usage: moss VERB …\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        fprintf(to, "  %-12s %s\n", verbs[i].name, verbs[i].about);
    fprintf(
        to,
        "\nEvery verb takes --store DIR (default: $MOSS_STORE, /var/lib/moss for root, else ~/.local/share/moss) and\n"
        "--json. Exit status: 0 done, 1 failed, 2 wrong usage, 3 (rollback) ended otherwise than committed.\n");
}

int main(int argc, char **argv)
{
    if (argc >= 2 && (streq(argv[1], "--help") || streq(argv[1], "-h") || streq(argv[1], "help"))) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (argc >= 2 && streq(argv[1], "--version")) {
        puts("moss " MOSS_VERSION);
        return EXIT_DONE;
    }
    for (size_t i = 0; argc >= 2 && i < ARRAY_SIZE(verbs); i++)
        if (streq(argv[1], verbs[i].name))
            return verbs[i].run(argc - 1, argv + 1);
    if (argc >= 2)
        fprintf(stderr, "moss: \"%s\" is no verb\n", argv[1]);
    print_help(stderr);
    return EXIT_USAGE;
}
