/* SPDX-License-Identifier: Apache-2.0 */
/* moss evo report: the page of an evolution. */
#include <stdio.h>

#include "evolve/cmd/evo.h"
#include "evolve/report/report.h"
#include "runtime/base/json.h"

static int last_evolution(const char *agent_directory, char ret[static LEDGER_ID_SIZE], Error *e)
{
    _cleanup_(ledger_freep) Ledger *ledger = NULL;
    _cleanup_json_ json_t *all = NULL;
    const char *id;
    int r = ledger_open(agent_directory, &ledger, e);

    if (r >= 0)
        r = ledger_evolutions(ledger, &all, e);
    if (r < 0)
        return r;
    id = json_string_value(json_array_get(all, json_array_size(all) - 1));
    if (!id)
        return error_setf(e, -ENOENT, "there was no evolution yet");
    snprintf(ret, LEDGER_ID_SIZE, "%s", id);
    return 0;
}

int evo_report(const EvoContext *c, int argc, char **argv)
{
    _cleanup_free_ char *path = NULL;
    _cleanup_json_ json_t *o = NULL;
    char id[LEDGER_ID_SIZE] = "";
    Error e = {};
    int r = 0;

    if (argc > 2 || (argc == 2 && !ledger_id_valid(argv[1])))
        return evo_usage("report [EVOLUTION] [--json]\n\nWrites the page of an evolution (the last one, if none is "
                         "named) and prints its path.");
    if (argc == 2)
        snprintf(id, sizeof(id), "%s", argv[1]);
    else
        r = last_evolution(c->agent_directory, id, &e);
    if (r >= 0)
        r = report_write(c->agent_directory, c->agent_name, id, &path, &e);
    if (r < 0)
        return evo_fail(c, r, &e);
    if (!c->json) {
        printf("%s\n", path);
        return 0;
    }
    o = json_pack("{s:b s:s s:s}", "ok", 1, "evolution", id, "report", path);
    return evo_print(o);
}
