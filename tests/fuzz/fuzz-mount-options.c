/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a mount, a line each, in the smallest configuration that can have them. */
#include "fuzz.h"
#include "runtime/oci/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(config_freep) Config *c = NULL;
    json_t *options = json_array(), *o;
    char *line;
    Error e = {};

    while ((line = fuzz_line(&data, &size))) {
        (void) json_array_append_new(options, json_string(line)); /* which refuses what is no UTF-8 */
        free(line);
    }
    o = json_pack("{s:s, s:{s:s}, s:[{s:s, s:s, s:s, s:o}], s:{s:[{s:s}, {s:s}]}}", "ociVersion", "1.3.0", "root",
                  "path", "rootfs", "mounts", "destination", "/mnt", "type", "tmpfs", "source", "tmpfs", "options",
                  options, "linux", "namespaces", "type", "mount", "type", "pid");
    if (o)
        (void) config_parse(o, &c, &e);
    return 0;
}
