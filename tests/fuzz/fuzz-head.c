/* SPDX-License-Identifier: Apache-2.0 */
/* head.json of an agent, as it is and with its digest put right, as by someone who knows how. */
#include "fuzz.h"
#include "runtime/base/hash.h"
#include "shim/swap/head.h"

static void load(const char *data, size_t size)
{
    HeadFile file = {.dir = fuzz_directory()};
    Head head = {};
    bool fresh;
    Error e = {};

    fuzz_file("head.json", data, size);
    if (head_load(fuzz_directory(), &head, &fresh, &e) >= 0 && head_save(&file, &head, true, &e) < 0)
        abort(); /* what can be loaded can be written */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_json_ json_t *o = fuzz_json(data, size);
    _cleanup_free_ char *text = NULL, *whole = NULL;
    char digest[DIGEST_SIZE];

    load((const char *) data, size);
    if (!json_is_object(o))
        return 0;
    json_object_del(o, "sha256");
    text = json_canonical(o);
    if (!text)
        return 0;
    hash_buffer(text, strlen(text), digest);
    json_object_set_new(o, "sha256", json_string(digest));
    whole = json_canonical(o);
    if (whole)
        load(whole, strlen(whole));
    return 0;
}
