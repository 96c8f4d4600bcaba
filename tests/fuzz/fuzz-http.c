/* SPDX-License-Identifier: Apache-2.0 */
/* What a probe is answered. The first byte says whether more may come. */
#include "fuzz.h"
#include "shim/probe/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_json_ json_t *want = json_pack("{s:s, s:s}", "nonce", "$MOSS_NONCE", "generation", "$MOSS_GENERATION");
    ProbeSpec any = {.kind = PROBE_HTTP}, body = {.kind = PROBE_HTTP, .json_body = want};
    _cleanup_free_ char *answer = NULL;
    static HttpAnswer got;
    Error e = {};
    bool end;

    if (size == 0 || size > HTTP_ANSWER_MAX)
        return 0;
    end = data[0] & 1;
    answer = malloc(MAX(size - 1, (size_t) 1)); /* with nothing behind it */
    memcpy(answer, data + 1, size - 1);
    if (http_read(answer, size - 1, end, &got, &e) >= 0) {
        (void) http_judge(&any, &got, "n", "g", &e);
        (void) http_judge(&body, &got, "n", "g", &e);
    }
    return 0;
}
