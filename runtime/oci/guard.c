/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/fd.h"

#define SELF "/proc/self/exe"
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* See guard.h for what the open says that asking does not. */
static bool on_read_only(void)
{
    _cleanup_close_ int fd = open(SELF, O_WRONLY | O_CLOEXEC);

    return fd < 0 && errno == EROFS;
}

/* Being refused counts only where the owner is another one: an owner could give itself the permission. */
static bool guarded(int self, const struct stat *st)
{
    int seals = fcntl(self, F_GET_SEALS);

    if (seals >= 0 && (seals & SEALS) == SEALS) /* files of a tmpfs have seals, too */
        return true;
    if (faccessat(AT_FDCWD, SELF, W_OK, AT_EACCESS) == 0)
        return false;
    return (errno == EACCES && st->st_uid != geteuid()) || (errno == EROFS && on_read_only());
}

static int sealed_copy(int self, const struct stat *st)
{
    _cleanup_close_ int fd = (int) syscall(SYS_memfd_create, "moss-runtime", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    off_t left;

    if (fd < 0)
        return -errno;
    for (left = st->st_size; left > 0;) {
        ssize_t n = sendfile(fd, self, NULL, (size_t) left);

        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        left -= n;
    }
    if (fchmod(fd, 0700) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int guard_self(char **argv, Error *e)
{
    _cleanup_close_ int self = open(SELF, O_RDONLY | O_CLOEXEC), safe = -EBADF;
    struct stat st;

    if (self < 0 || fstat(self, &st) < 0)
        return error_errnof(e, -errno, "the runtime's own executable");
    if (guarded(self, &st)) {
        (void) prctl(PR_SET_NAME, "moss-runtime", 0, 0, 0);
        return 0;
    }
    safe = sealed_copy(self, &st);
    if (safe < 0)
        return error_errnof(e, safe, "cannot guard the runtime's own executable");
    execveat(safe, "", argv, environ, AT_EMPTY_PATH);
    return error_errnof(e, -errno, "cannot execute the guarded runtime");
}
