/* SPDX-License-Identifier: Apache-2.0 */

/* `moss history|rollback|recover|discard`: verbs of moss-shim(1), which is run in our place. */

#include <limits.h>
#include <unistd.h>

#include "command.h"

int shim_main(int argc, char **argv)
{
    char path[PATH_MAX];
    Command none = {};
    Error e = {};

    (void) argc;
    if (command_find_shim(path, &e) < 0)
        return command_fail(&none, &e);
    argv[-1] = path; /* argv[0] is the verb: there is the program's name before it */
    execv(path, argv - 1);
    error_errnof(&e, -errno, "%s", path);
    return command_fail(&none, &e);
}
