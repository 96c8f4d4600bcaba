/* SPDX-License-Identifier: Apache-2.0 */
/* `linux.seccomp`: a profile, to BPF. Nothing is kept: there is no run directory. */
#include "fuzz.h"
#include "runtime/box/seccomp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_json_ json_t *o = fuzz_json(data, size);
    SeccompFilter f = {};
    Error e = {};

    if (setenv("MOSS_RUN", "/proc/nowhere", 1) < 0)
        abort();
    if (json_is_object(o) && seccomp_compile(o, &f, &e) >= 0)
        seccomp_filter_done(&f);
    return 0;
}
