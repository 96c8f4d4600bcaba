/* SPDX-License-Identifier: Apache-2.0 */
#include "lock.h"

#include <sys/file.h>

#include "runtime/base/fd.h"

int evidence_lock(int agent_dir, EvidenceLock *ret, Error *e)
{
    _cleanup_close_ int dir = -EBADF, lock = -EBADF;
    int r = mkdirat_p(agent_dir, "evidence", 0700);

    if (r < 0)
        return error_errnof(e, r, "cannot make the directory \"evidence\"");
    dir = openat(agent_dir, "evidence", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return error_errnof(e, -errno, "evidence");
    lock = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (lock < 0)
        return error_errnof(e, -errno, "evidence/lock");
    do
        r = flock(lock, LOCK_EX) < 0 ? -errno : 0;
    while (r == -EINTR);
    if (r < 0)
        return error_errnof(e, r, "evidence/lock");
    *ret = (EvidenceLock){TAKE_FD(dir), TAKE_FD(lock)};
    return 0;
}

void evidence_unlock(EvidenceLock *l)
{
    fd_closep(&l->lock);
    fd_closep(&l->dir);
}
