/* SPDX-License-Identifier: Apache-2.0 */
#include "results.h"

static char *printable(const char *data, size_t len)
{
    char *text = malloc(len + 1);

    if (!text)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        char c = data[i];

        text[i] = (char) ((c >= ' ' && c <= '~') || c == '\n' || c == '\t' ? c : '?');
    }
    text[len] = '\0';
    return text;
}

static void drop(KeptResult *k)
{
    free(k->why);
    free(k->output);
    *k = (KeptResult){};
}

void results_add(Results *r, const ProbeResult *result, uint64_t began, uint64_t now)
{
    KeptResult k = {.ok = result->ok, .at = now, .took = now - began};

    if (!result->ok)
        k.why = printable(result->why, strlen(result->why));
    k.output = printable(result->output, MIN(result->output_len, (size_t) PROBE_OUTPUT_MAX));
    drop(&r->kept[RESULTS_MAX - 1]);
    memmove(r->kept + 1, r->kept, (RESULTS_MAX - 1) * sizeof(k));
    r->kept[0] = k;
    r->n = MIN(r->n + 1, RESULTS_MAX);
}

void results_done(Results *r)
{
    for (unsigned i = 0; i < RESULTS_MAX; i++)
        drop(&r->kept[i]);
    r->n = 0;
}

json_t *results_to_json(const Results *r, unsigned n, size_t output_max, uint64_t now)
{
    json_t *list = json_array();

    for (unsigned i = 0; list && i < MIN(r->n, n); i++) {
        const KeptResult *k = &r->kept[i];
        const char *output = k->output ? k->output : "";

        if (json_array_append_new(list, json_pack("{s:b,s:s?,s:s%,s:I,s:I}", "ok", (int) k->ok, "why", k->why, "output",
                                                  output, strnlen(output, output_max), "ago_usec",
                                                  (json_int_t) (now - k->at), "took_usec", (json_int_t) k->took)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}
