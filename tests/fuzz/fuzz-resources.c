/* SPDX-License-Identifier: Apache-2.0 */
/* `linux.resources`, also as `update` gets it: for a container without a cgroup, and as systemd's properties. */
#include "fuzz.h"
#include "runtime/oci/resources.h"
#include "runtime/oci/scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_json_ json_t *o = fuzz_json(data, size);
    _cleanup_(strbuf_done) StrBuf b = {};
    ContainerCgroup none = CONTAINER_CGROUP_INIT;
    Error e = {};

    if (!json_is_object(o))
        return 0;
    (void) resources_apply(&none, o, &e);
    scope_put_limits(&b, o);
    return 0;
}
