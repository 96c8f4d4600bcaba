/* SPDX-License-Identifier: Apache-2.0 */
/* evidence/tried.jsonl: what was tried on the code that is worked on now. Line numbers in edits are those of that code, so the file begins anew when a better
 * candidate becomes what is worked on; what was in it stays in the history of the ledger. */
#include "evolve/stage/internal.h"
#include "runtime/base/json.h"

int tried_load(Engine *g, StrBuf *ret, Error *e)
{
    _cleanup_free_ char *text = NULL;
    Error why = {};
    size_t len;
    int r = ledger_read(g->ledger, g->p.evolution, "evidence/tried.jsonl", &text, &len, &why);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return error_setf(e, r, "%s", why.text);
    return strbuf_add(ret, text, len);
}

int tried_add(Engine *g, StrBuf *lines, const TriedRecord *t)
{
    _cleanup_json_ json_t *why = text_json(t->why);
    _cleanup_json_ json_t *o =
        json_pack("{s:s, s:i, s:i, s:s, s:f, s:f, s:s, s:O?, s:O?}", "candidate", t->candidate, "iteration",
                  (int) g->p.iteration, "round", (int) g->p.code_round, "outcome", t->outcome, "score", t->score,
                  "incumbent", t->incumbent, "base", g->p.work, "edits", t->edits, "why", why);
    _cleanup_free_ char *line = o ? json_canonical(o) : NULL;

    if (!line)
        return -ENOMEM;
    return strbuf_addf(lines, "%s\n", line);
}

void tried_put(LedgerStep *step, const StrBuf *lines)
{
    ledger_put(step, "evidence/tried.jsonl", lines->data ? lines->data : "", lines->len);
}

int tried_forget_failed(StrBuf *lines)
{
    _cleanup_(strbuf_done) StrBuf kept = {};
    const char *line = lines->data, *nl;

    for (; line && (nl = strchr(line, '\n')); line = nl + 1) {
        _cleanup_json_ json_t *o = NULL;

        if (json_parse(line, (size_t) (nl - line), "tried.jsonl", &o, NULL) >= 0 &&
            streq_ptr(json_string_value(json_object_get(o, "outcome")), "failed"))
            continue;
        strbuf_add(&kept, line, (size_t) (nl - line) + 1);
    }
    if (kept.failed)
        return -ENOMEM;
    strbuf_done(lines);
    *lines = kept;
    kept = (StrBuf){};
    return 0;
}
