/* SPDX-License-Identifier: Apache-2.0 */
/* moss evo catch-up: reads what is new in the sessions. */
#include <stdio.h>

#include "evolve/cmd/evo.h"
#include "evolve/evidence/evidence.h"
#include "runtime/base/json.h"

static long long count(const json_t *report, const char *what)
{
    return json_integer_value(json_object_get(report, what));
}

static void print_trouble(const json_t *report)
{
    static const struct {
        const char *count, *words;
    } troubles[] = {
        {"malformed", "lines are no JSON objects"},
        {"too_long", "lines are too long and were skipped"},
        {"cut_off", "files end within a line, which is left for the next time"},
        {"truncated", "files were truncated or written anew and were read from their start"},
        {"too_large", "sessions are too large to be replayed"},
    };
    json_t *skipped;
    size_t i;

    for (size_t k = 0; k < ARRAY_SIZE(troubles); k++)
        if (count(report, troubles[k].count) > 0)
            printf("%lld %s\n", count(report, troubles[k].count), troubles[k].words);
    json_array_foreach (json_object_get(report, "skipped"), i, skipped) {
        const char *file = json_string_value(json_object_get(skipped, "file"));

        Error shown = {}; /* names are the agent's: what a terminal would act on is defused */

        error_setf(&shown, 0, "skipped %s: %s", file ? file : "a file",
                   json_string_value(json_object_get(skipped, "why")));
        printf("%s\n", shown.text);
    }
}

int evo_catch_up(const EvoContext *c, int argc, char **argv _unused_)
{
    _cleanup_json_ json_t *report = NULL;
    Error e = {};
    int r;

    if (argc != 1)
        return evo_usage(
            "catch-up [--json]\n\nReads what is new in the session files and keeps what users complained about.");
    r = evidence_catch_up(c->store_path, c->agent, &report, &e);
    if (r < 0)
        return evo_fail(c, r, &e);
    if (c->json)
        return evo_print(report);
    printf("%lld new lines in %lld of %lld files; %lld new complaints\n", count(report, "lines"), count(report, "read"),
           count(report, "files"), count(report, "new_chunks"));
    print_trouble(report);
    return 0;
}
