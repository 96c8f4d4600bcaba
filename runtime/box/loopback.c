/* SPDX-License-Identifier: Apache-2.0 */
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "net.h"
#include "runtime/base/fd.h"

/* Two calls instead of rtnetlink, in a file of its own: this is on the path of every box and container, and a program that needs no more of links does
 * not carry libnl with all that it drags in. */
int net_loopback_up(Error *e)
{
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq lo = {.ifr_name = "lo"};

    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo) < 0)
        return error_errnof(e, -errno, "cannot bring the loopback up");
    lo.ifr_flags |= IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, &lo) < 0 ? error_errnof(e, -errno, "cannot bring the loopback up") : 0;
}
