/* SPDX-License-Identifier: Apache-2.0 */
#include "inuse.h"

#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"

#define PROCS_MAX 65536U

static bool process_has(long pid, dev_t dev, ino_t ino)
{
    _cleanup_closedir_ DIR *d = NULL;
    struct dirent *de;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%ld/fd", pid);
    d = opendir(path);
    if (!d)
        return false; /* it has just ended */
    while ((de = readdir(d))) {
        struct stat st;

        if (fstatat(dirfd(d), de->d_name, &st, 0) == 0 && st.st_dev == dev && st.st_ino == ino)
            return true;
    }
    return false;
}

bool socket_in_use(int sock, int cgroup)
{
    _cleanup_close_ int fd = openat(cgroup, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *text = NULL;
    struct stat st;
    char *p, *end;

    if (fd < 0 || fstat(sock, &st) < 0 || file_read_fd(fd, PROCS_MAX, &text, NULL) < 0)
        return true;
    for (p = text; *p; p = end) {
        long pid = strtol(p, &end, 10);

        if (end == p)
            break;
        if (process_has(pid, st.st_dev, st.st_ino))
            return true;
    }
    return false;
}
