/* SPDX-License-Identifier: Apache-2.0 */
/* `search`: the embedded coding agent, the program moss-search beside our own or in the libexec directory. It is static, so its root holds nothing else. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "evolve/coder/adapter.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"

#define PROGRAM "moss-search"
#define PROGRAM_MAX ((size_t) 64 << 20)

/* Beside our own executable when that is where it was built or unpacked, else where it is installed. Returns an fd. */
static int search_open(Error *e)
{
    char path[PATH_MAX + sizeof(PROGRAM)];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    int fd = -ENOENT;

    if (n > 0) {
        char *slash;

        path[n] = '\0';
        slash = strrchr(path, '/');
        if (slash) {
            memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
            fd = open(path, O_RDONLY | O_CLOEXEC);
        }
    }
    if (fd < 0)
        fd = open(MOSS_LIBEXECDIR "/" PROGRAM, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errnof(e, -errno, "%s is neither beside this program nor in %s", PROGRAM, MOSS_LIBEXECDIR);
    return fd;
}

static int search_preflight(_unused_ const Agent *agent, Error *e)
{
    int fd = search_open(e);

    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

static int search_prepare(_unused_ const CoderSpec *spec, int frame, CoderBox *ret, Error *e)
{
    static const char *const argv[] = {"/" PROGRAM, NULL};
    _cleanup_close_ int fd = search_open(e);
    _cleanup_free_ char *program = NULL;
    size_t len;
    int r;

    if (fd < 0)
        return fd;
    r = file_read_fd(fd, PROGRAM_MAX, &program, &len);
    if (r >= 0)
        r = file_write_at(frame, PROGRAM, program, len, 0755, 0);
    if (r < 0)
        return error_errnof(e, r, "cannot copy %s into its root", PROGRAM);
    *ret = (CoderBox){.argv = argv};
    return 0;
}

const CoderAdapter coder_search = {"search", search_preflight, search_prepare};
