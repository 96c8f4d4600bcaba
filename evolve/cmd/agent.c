/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "command.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"add", agent_add},       {"start", agent_start}, {"stop", agent_stop}, {"restart", agent_restart},
    {"status", agent_status}, {"logs", agent_logs},   {"list", agent_list}, {"remove", agent_remove},
};

int agent_main(int argc, char **argv)
{
    for (size_t i = 0; argc >= 2 && i < ARRAY_SIZE(verbs); i++)
        if (streq(argv[1], verbs[i].name))
            return verbs[i].run(argc - 1, argv + 1);
    fprintf(stderr, "usage: moss agent add FILE [--replace]\n"
                    "       moss agent start|stop|restart|status|remove NAME\n"
                    "       moss agent logs NAME [--lines N]\n"
                    "       moss agent list\n");
    return EXIT_USAGE;
}
