/* SPDX-License-Identifier: Apache-2.0 */
#include "probes.h"

#include <stdio.h>

#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "shim/client/client.h"

#define ANSWER_TIMEOUT (10 * USEC_PER_SEC)

/* Probe by probe: all that is kept of all would not fit into one answer. A probe may be gone by then, with its incarnation. */
static int ask_each(const char *agent, const json_t *probes, json_t *list, Error *e)
{
    const json_t *probe;
    size_t i;

    json_array_foreach (probes, i, probe) {
        _cleanup_json_ json_t *request = json_pack("{s:s,s:O}", "op", "probe", "name", json_object_get(probe, "name")),
                              *answer = NULL;
        int r = shim_call(agent, request, ANSWER_TIMEOUT, NULL, NULL, &answer, e);

        if (r < 0)
            return r;
        json_object_del(answer, "ok");
        json_array_append(list, answer);
    }
    return 0;
}

static void print_result(const json_t *result)
{
    const char *why = json_string_value(json_object_get(result, "why"));
    const char *output = json_string_value(json_object_get(result, "output"));

    printf("  %s, %.1f s ago, took %.1f ms%s%s\n", json_is_true(json_object_get(result, "ok")) ? "passed" : "failed",
           (double) json_integer_value(json_object_get(result, "ago_usec")) / (double) USEC_PER_SEC,
           (double) json_integer_value(json_object_get(result, "took_usec")) / (double) USEC_PER_MSEC, why ? ": " : "",
           why ? why : "");
    while (output && *output) {
        size_t n = strcspn(output, "\n");

        printf("    | %.*s\n", (int) n, output);
        output += n + (output[n] == '\n');
    }
}

static void print_probe(const json_t *probe)
{
    const json_t *results = json_object_get(probe, "results"), *result;
    size_t i;

    printf("%s%s\n", json_string_value(json_object_get(probe, "name")),
           json_array_size(results) ? "" : ": was not run yet");
    json_array_foreach (results, i, result)
        print_result(result);
}

int probes_show(const char *agent, bool json, Error *e)
{
    _cleanup_json_ json_t *request = json_pack("{s:s}", "op", "status"), *status = NULL, *list = json_array();
    const json_t *probe;
    size_t i;
    int r = shim_call(agent, request, ANSWER_TIMEOUT, NULL, NULL, &status, e);

    if (r >= 0)
        r = ask_each(agent, json_object_get(status, "probes"), list, e);
    if (r < 0)
        return r;
    if (json) {
        json_dumpf(list, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
        putchar('\n');
        return 0;
    }
    json_array_foreach (list, i, probe)
        print_probe(probe);
    return 0;
}
