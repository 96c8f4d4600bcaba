/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/uid_map, as the kernel or a test's stand-in writes it. */
#include "evolve/control/peer.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = strndup((const char *) data, size);
    uid_t uid;

    (void) peer_map_uid(text, 0, &uid);
    (void) peer_map_uid(text, UINT32_MAX - 1, &uid);
    return 0;
}
