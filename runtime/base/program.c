/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "fd.h"
#include "strbuf.h"

/* Helpers are no commands, so they are installed elsewhere. */
static const char *const places[] = {MOSS_BINDIR, MOSS_LIBEXECDIR};

int program_find(const char *self, const char *name, char **ret, Error *e)
{
    const char *slash = self ? strrchr(self, '/') : NULL;
    _cleanup_free_ char *beside = slash ? xasprintf("%.*s/%s", (int) (slash - self), self, name) : NULL;

    if (slash && !beside)
        return error_errnof(e, -ENOMEM, "%s", name);
    if (beside && access(beside, X_OK) == 0) {
        *ret = TAKE_PTR(beside);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", places[i], name);

        if (!path)
            return error_errnof(e, -ENOMEM, "%s", name);
        if (access(path, X_OK) == 0) {
            *ret = TAKE_PTR(path);
            return 0;
        }
    }
    return error_setf(e, -ENOENT, "%s is neither %s%sin " MOSS_BINDIR " or " MOSS_LIBEXECDIR, name,
                      beside ? beside : "", beside ? " nor " : "");
}

int program_seal(const char *path, Error *e)
{
    _cleanup_close_ int from = open(path, O_RDONLY | O_CLOEXEC), to = -EBADF;
    const char *slash = strrchr(path, '/');
    struct stat st;
    off_t at = 0;

    if (from < 0 || fstat(from, &st) < 0)
        return error_errnof(e, -errno, "%s", path);
    to = memfd_create(slash ? slash + 1 : path, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (to < 0)
        return error_errnof(e, -errno, "%s", path);
    while (at < st.st_size)
        if (sendfile(to, from, &at, (size_t) (st.st_size - at)) <= 0)
            return error_errnof(e, -errno, "%s", path);
    if (fchmod(to, 0555) < 0 || fcntl(to, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return error_errnof(e, -errno, "%s", path);
    return TAKE_FD(to);
}
