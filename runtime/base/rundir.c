/* SPDX-License-Identifier: Apache-2.0 */
#include "rundir.h"

#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "process.h"
#include "strbuf.h"

static char *run_path(const char *name)
{
    const char *v = getenv("MOSS_RUN");

    if (v && *v)
        return xasprintf("%s/%s", v, name);
    if (process_is_system())
        return xasprintf("/run/moss/%s", name);
    v = getenv("XDG_RUNTIME_DIR");
    if (v && v[0] == '/')
        return xasprintf("%s/moss/%s", v, name);
    return xasprintf("/tmp/moss-%u/%s", geteuid(), name);
}

/* Whoever can write the directory above could put another one into our place: both must be ours, or root's. */
static int check_owner(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 0022 && !(st.st_mode & S_ISVTX)))
        return -EPERM;
    return 0;
}

int run_directory(const char *name, char **ret, Error *e)
{
    _cleanup_free_ char *path = run_path(name), *parent = NULL;
    int r;

    parent = path ? strndup(path, (size_t) (strrchr(path, '/') - path)) : NULL;
    if (!parent)
        return error_errnof(e, -ENOMEM, "run directory %s", name);
    r = mkdir_p(path, 0700);
    if (r >= 0)
        r = check_owner(parent);
    if (r >= 0)
        r = check_owner(path);
    if (r < 0)
        return error_errnof(e, r, "cannot use %s", path);
    *ret = TAKE_PTR(path);
    return 0;
}
