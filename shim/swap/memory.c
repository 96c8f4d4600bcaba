/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "runtime/base/fd.h"

static int map(int fd, Memory **ret)
{
    void *p = mmap(NULL, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED)
        return -errno;
    *ret = p;
    return 0;
}

/* Its size is sealed: a page that can be cut off would kill whoever reads it. */
static int make(Memory **ret, int *ret_fd)
{
    _cleanup_close_ int fd = memfd_create("moss-shim", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r;

    if (fd < 0 || ftruncate(fd, sizeof(Memory)) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) < 0)
        return -errno;
    r = map(fd, ret);
    if (r < 0)
        return r;
    memcpy((*ret)->format, MEMORY_FORMAT, sizeof((*ret)->format));
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static bool is_ours(int fd)
{
    char format[sizeof(((Memory *) NULL)->format)];
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_size == sizeof(Memory) &&
           pread(fd, format, sizeof(format), 0) == sizeof(format) && memcmp(format, MEMORY_FORMAT, sizeof(format)) == 0;
}

int memory_open(int kept, Memory **ret, int *ret_fd)
{
    _cleanup_close_ int fd = kept;
    int r;

    if (fd < 0 || !is_ours(fd))
        return make(ret, ret_fd);
    r = map(fd, ret);
    if (r < 0)
        return r;
    (*ret)->generation[DIGEST_SIZE - 1] = (*ret)->nonce[sizeof((*ret)->nonce) - 1] = '\0';
    *ret_fd = TAKE_FD(fd);
    return 0;
}

Memory *memory_close(Memory *memory)
{
    if (memory)
        munmap(memory, sizeof(*memory));
    return NULL;
}
