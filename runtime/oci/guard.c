/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/box/userns.h"

#define SELF "/proc/self/exe"
#define STACK_SIZE 16384U
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Being refused counts only where the owner is another one: an owner could give itself the permission. */
static bool guarded(int self, const struct stat *st)
{
    int seals = fcntl(self, F_GET_SEALS);

    if (seals >= 0)
        return (seals & SEALS) == SEALS;
    return faccessat(AT_FDCWD, SELF, W_OK, AT_EACCESS) < 0 && errno == EACCES && st->st_uid != geteuid();
}

typedef struct Unmapping {
    uid_t uid, outer_uid;
    gid_t gid, outer_gid;
    int fd;
} Unmapping;

/* Runs in the memory and with the files of the runtime, which waits: the namespace is opened from within, as that is where it is known. */
static int open_unmapping(void *arg)
{
    Unmapping *u = arg;

    if (userns_map_self(u->uid, u->outer_uid, u->gid, u->outer_gid, NULL) == 0)
        u->fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
    return 0;
}

/* A user namespace in which the owner of the executable has no id. */
static int without_owner(const struct stat *st)
{
    _Alignas(16) char stack[STACK_SIZE];
    Unmapping u = {.uid = st->st_uid == 0, .outer_uid = geteuid(), .gid = st->st_gid == 0, .outer_gid = getegid(), .fd = -EBADF};
    pid_t pid = clone(open_unmapping, stack + sizeof(stack), CLONE_NEWUSER | CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD, &u);

    if (pid < 0)
        return -errno;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return u.fd < 0 ? -EPERM : u.fd;
}

/* When its fd is closed by the exec, the mount leaves its namespace for good: it can be neither found nor changed by then. */
static int unwritable_mount(const struct stat *st)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_IDMAP};
    _cleanup_close_ int tree = open_tree(AT_FDCWD, SELF, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), userns = -EBADF;

    if (tree < 0)
        return -errno;
    userns = without_owner(st);
    if (userns < 0)
        return userns;
    attr.userns_fd = (uint64_t) userns;
    if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return -errno;
    return TAKE_FD(tree);
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
    safe = unwritable_mount(&st);
    if (safe < 0)
        safe = sealed_copy(self, &st);
    if (safe < 0)
        return error_errnof(e, safe, "cannot guard the runtime's own executable");
    execveat(safe, "", argv, environ, AT_EMPTY_PATH);
    return error_errnof(e, -errno, "cannot execute the guarded runtime");
}
