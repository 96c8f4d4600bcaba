/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/fd.h"

#define SELF "/proc/self/exe"
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static bool guarded(int self)
{
    struct statvfs fs;
    int seals = fcntl(self, F_GET_SEALS);

    if (seals >= 0)
        return (seals & SEALS) == SEALS;
    if (fstatvfs(self, &fs) == 0 && (fs.f_flag & ST_RDONLY))
        return true;
    return faccessat(AT_FDCWD, SELF, W_OK, AT_EACCESS) < 0 && geteuid() != 0;
}

/* When its fd is closed by the exec, the mount leaves its namespace for good: it can be neither found nor changed by then. */
static int read_only_mount(void)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    _cleanup_close_ int tree = open_tree(AT_FDCWD, SELF, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return -errno;
    return TAKE_FD(tree);
}

static int sealed_copy(int self)
{
    _cleanup_close_ int fd = (int) syscall(SYS_memfd_create, "moss-runtime", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct stat st;
    off_t left;

    if (fd < 0 || fstat(self, &st) < 0)
        return -errno;
    for (left = st.st_size; left > 0;) {
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

    if (self < 0)
        return error_errnof(e, -errno, "the runtime's own executable");
    if (guarded(self)) {
        (void) prctl(PR_SET_NAME, "moss-runtime", 0, 0, 0);
        return 0;
    }
    safe = read_only_mount();
    if (safe < 0)
        safe = sealed_copy(self);
    if (safe < 0)
        return error_errnof(e, safe, "cannot guard the runtime's own executable");
    execveat(safe, "", argv, environ, AT_EMPTY_PATH);
    return error_errnof(e, -errno, "cannot execute the guarded runtime");
}
