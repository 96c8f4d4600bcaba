/* SPDX-License-Identifier: Apache-2.0 */
/* A request for consent, as it comes back from whoever signed it. */
#include "evolve/consent/request.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char digest[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const ConsentFacts facts = {"fuzz", "e-0001", "b-0001", digest, digest, digest, digest, digest, digest};
    _cleanup_free_ char *text = strndup((const char *) data, size);
    json_t *o;
    Error e = {};

    if (request_check(text, &facts, &o, &e) >= 0)
        json_decref(o);
    return 0;
}
