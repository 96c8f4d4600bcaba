/* SPDX-License-Identifier: Apache-2.0 */
/* What a grpc probe is answered. The first byte says whether more may come. */
#include "fuzz.h"
#include "shim/probe/grpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *answer = NULL;
    Error e = {};

    if (size == 0)
        return 0;
    answer = malloc(MAX(size - 1, (size_t) 1)); /* with nothing behind it */
    memcpy(answer, data + 1, size - 1);
    (void) grpc_judge(answer, size - 1, data[0] & 1, &e);
    return 0;
}
