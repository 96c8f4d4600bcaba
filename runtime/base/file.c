/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <limits.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "fd.h"

static int temporary_create(int dirfd, const char *name, mode_t mode, char tmp[static NAME_MAX + 1])
{
    uint64_t salt;
    int fd;

    if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
        return -EIO;
    if (snprintf(tmp, NAME_MAX + 1, ".%.200s.%016llx.tmp", name, (unsigned long long) salt) > NAME_MAX)
        return -ENAMETOOLONG;
    fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, mode) < 0) { /* not the umask's business: the caller said which mode */
        int r = -errno;

        close(fd);
        unlinkat(dirfd, tmp, 0);
        return r;
    }
    return fd;
}

static int publish(int dirfd, const char *tmp, const char *name, FileFlags flags)
{
    if (renameat2(dirfd, tmp, dirfd, name, flags & FILE_EXCLUSIVE ? RENAME_NOREPLACE : 0) < 0)
        return -errno;
    if (flags & FILE_DURABLE) {
        _cleanup_close_ int dir = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (dir < 0 || fsync(dir) < 0)
            return -EINPROGRESS;
    }
    return 0;
}

int file_write_at(int dirfd, const char *name, const void *data, size_t len, mode_t mode, FileFlags flags)
{
    _cleanup_close_ int fd = -EBADF;
    char tmp[NAME_MAX + 1];
    int r;

    if (strchr(name, '/'))
        return -EINVAL;
    fd = temporary_create(dirfd, name, mode, tmp);
    if (fd < 0)
        return fd;
    r = fd_write_all(fd, data, len);
    if (r >= 0 && (flags & FILE_DURABLE) && fsync(fd) < 0)
        r = -errno;
    if (r >= 0)
        r = publish(dirfd, tmp, name, flags);
    if (r < 0 && r != -EINPROGRESS)
        unlinkat(dirfd, tmp, 0);
    return r;
}

int file_read_fd(int fd, size_t max, char **ret_data, size_t *ret_len)
{
    _cleanup_free_ char *data = NULL;
    size_t size = 4096, len = 0;
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
        size = (size_t) st.st_size + 1;
    for (;;) {
        ssize_t n;
        char *p;

        size = MIN(size, max + 1); /* one more than allowed, to see that there is more */
        p = realloc(data, size + 1);
        if (!p)
            return -ENOMEM;
        data = p;
        n = fd_read_full(fd, data + len, size - len);
        if (n < 0)
            return (int) n;
        len += (size_t) n;
        if (len > max)
            return -E2BIG;
        if (len < size)
            break;
        size *= 2;
    }
    data[len] = '\0';
    if (ret_len)
        *ret_len = len;
    *ret_data = TAKE_PTR(data);
    return 0;
}

int file_read_at(int dirfd, const char *name, size_t max, char **ret_data, size_t *ret_len)
{
    _cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    return file_read_fd(fd, max, ret_data, ret_len);
}
