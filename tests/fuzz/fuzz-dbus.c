/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the bus, one after the other, as they come from its socket. */
#include <sys/socket.h>

#include "fuzz.h"
#include "runtime/base/clock.h"
#include "runtime/oci/dbus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(bus_done) Bus bus = BUS_INIT;
    Error e = {};
    int pair[2];

    if (size > 65536 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return 0;
    bus.fd = pair[0];
    bus.deadline = clock_now() + 10 * USEC_PER_SEC;
    (void) fd_write_all(pair[1], data, size);
    close(pair[1]);
    for (;;) {
        _cleanup_(bus_message_done) BusMessage m = {};
        const char *text;
        uint32_t n;

        if (bus_receive(&bus, &m, &e) < 0)
            return 0;
        while (bus_get_u32(&m, &n) >= 0 && bus_get_string(&m, &text) >= 0)
            if (strlen(text) > m.body_len)
                abort();
    }
}
