/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "runtime/base/fd.h"

int notify_manager(const char *state)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    const char *name = getenv("NOTIFY_SOCKET");
    _cleanup_close_ int fd = -EBADF;
    size_t n;

    if (!name || !*name)
        return 0;
    n = strlen(name);
    if ((*name != '/' && *name != '@') || n >= sizeof(sa.sun_path))
        return -EINVAL;
    memcpy(sa.sun_path, name, n);
    if (*name == '@')
        sa.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *) &sa,
               (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n)) < 0)
        return -errno;
    return 0;
}
