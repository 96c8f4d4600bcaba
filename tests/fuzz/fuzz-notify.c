/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent says of itself. */
#include "fuzz.h"
#include "shim/probe/notify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *datagram = malloc(MAX(size, (size_t) 1)); /* with nothing behind it */
    NotifyMessage m;

    if (size > NOTIFY_DATAGRAM_MAX)
        return 0;
    memcpy(datagram, data, size);
    if (notify_parse(datagram, size, &m) >= 0 && strlen(m.status) > NOTIFY_STATUS_MAX)
        abort();
    return 0;
}
