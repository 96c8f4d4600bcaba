/* SPDX-License-Identifier: Apache-2.0 */
/* moss evo apply: shows what would change, takes a human's consent, has the shim swap it in. */
#include <getopt.h>
#include <stdio.h>

#include "evolve/cmd/hook.h"
#include "evolve/cmd/ready.h"
#include "evolve/stage/engine.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"
#include "shim/client/client.h"

#define USAGE                                                                                                          \
    "apply [BATCH] [--request FILE] [--consent FILE.sig] [--json]\n\n"                                                 \
    "  apply --request FILE                      writes what is to be consented to; sign it with\n"                    \
    "                                            ssh-keygen -Y sign -f KEY -n moss-consent FILE\n"                     \
    "  apply --request FILE --consent FILE.sig   checks the signature and swaps\n"                                     \
    "  apply                                     asks at the terminal, where no allowed signers are configured"

#define FILE_MAX ((size_t) 64 << 10)

typedef struct ApplyOptions {
    const char *batch, *request, *consent;
} ApplyOptions;

static int options_parse(int argc, char **argv, ApplyOptions *ret)
{
    static const struct option options[] = {
        {"request", required_argument, NULL, 'r'},
        {"consent", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {},
    };
    int o;

    optind = 0;
    while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (o == 'r')
            ret->request = optarg;
        else if (o == 'c')
            ret->consent = optarg;
        else
            return -EINVAL;
    }
    if (argc - optind > 1 || (ret->consent && !ret->request))
        return -EINVAL;
    ret->batch = optind < argc ? argv[optind] : NULL;
    return 0;
}

static void show(const Ready *r)
{
    const ConsentFacts *f = &r->facts;

    printf("batch        %s, evolution %s\n", f->batch, f->evolution);
    printf("change       commit %.12s: %zu %s, +%zu -%zu\n", f->commit, r->diff.files,
           r->diff.files == 1 ? "file" : "files", r->diff.insertions, r->diff.deletions);
    printf("score        %.2f before, %.2f after\n", r->before, r->after);
    printf("generation   %.12s replaces %.12s\n", f->generation, f->base_generation);
    printf("consent      binds diff %.12s, evidence %.12s, scores %.12s\n", f->diff_digest, f->evidence_digest,
           f->scores_digest);
    fflush(stdout);
}

/* ---- consent ---- */

static int write_request(const Ready *r, const char *path, Error *e)
{
    _cleanup_close_ int fd = -EBADF;
    _cleanup_free_ char *text = NULL;
    int q = consent_request(&r->facts, CONSENT_SECONDS, &text, e);

    if (q < 0)
        return q;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_errnof(e, -errno, "cannot write the request to %s", path);
    q = fd_write_all(fd, text, strlen(text));
    if (q >= 0 && fsync(fd) < 0)
        q = -errno;
    return q < 0 ? error_errnof(e, q, "cannot write the request to %s", path) : 0;
}

static int read_text(const char *path, char **ret, Error *e)
{
    size_t len;
    int q = file_read_at(AT_FDCWD, path, FILE_MAX, ret, &len);

    if (q < 0)
        return error_errnof(e, q, "%s", path);
    if (strlen(*ret) == len)
        return 0;
    free(TAKE_PTR(*ret));
    return error_setf(e, -EBADMSG, "%s: holds NULs", path);
}

static int by_signature(const ConsentPlace *place, const Ready *r, const ApplyOptions *o, ConsentGrant *ret, Error *e)
{
    _cleanup_free_ char *request = NULL, *signature = NULL;
    int q = read_text(o->request, &request, e);

    if (q >= 0)
        q = read_text(o->consent, &signature, e);
    return q < 0 ? q : consent_by_signature(place, &r->facts, request, signature, ret, e);
}

static int at_terminal(const EvoContext *c, const ConsentPlace *place, const Ready *r, ConsentGrant *ret, Error *e)
{
    char typed[80] = "";

    if (place->allowed_signers)
        return error_setf(
            e, -EPERM,
            "%s wants a signed consent: `moss evo apply %s --request FILE`, sign FILE, then `moss evo apply %s "
            "--request FILE --consent FILE.sig`",
            c->agent_name, r->facts.batch, r->facts.batch);
    if (c->json || !isatty(STDIN_FILENO))
        return error_setf(e, -EPERM, "%s wants a confirmation typed at a terminal, and this is none", c->agent_name);
    printf("Type the first %d digits of the new generation to swap it in: ", CONSENT_TYPED_DIGITS);
    fflush(stdout);
    if (!fgets(typed, sizeof(typed), stdin))
        return error_setf(e, -ECANCELED, "not confirmed");
    typed[strcspn(typed, "\r\n")] = '\0';
    return consent_by_typing(place, &r->facts, typed, ret, e);
}

static int take_consent(const EvoContext *c, const Ready *r, const ApplyOptions *o, ConsentGrant *ret, Error *e)
{
    ConsentPlace place = {.agent_directory = c->agent_directory, .allowed_signers = c->agent->allowed_signers};
    int q = o->consent ? by_signature(&place, r, o, ret, e) : at_terminal(c, &place, r, ret, e);

    if (q < 0)
        return q;
    return ledger_append(r->ledger, r->facts.evolution, "consents.jsonl", ret->record, "consent was given", e);
}

/* ---- the swap ---- */

static void show_event(const json_t *event, void *userdata)
{
    const EvoContext *c = userdata;
    const char *name = json_string_value(json_object_get(event, "event"));

    if (c->json || !name)
        return;
    printf("             %s\n", name);
    fflush(stdout);
}

static int record(const EvoContext *c, const Ready *r, const char *consent, const json_t *answer, const char *failure,
                  json_t **ret, Error *e)
{
    _cleanup_json_ json_t *o = ready_summary(r);
    char now[21];

    clock_iso8601(now);
    if (!o || (answer && json_object_update_missing(o, (json_t *) answer) < 0))
        return error_setf(e, -ENOMEM, "out of memory");
    json_object_set_new(o, "agent", json_string(c->agent_name));
    json_object_set_new(o, "at", json_string(now));
    json_object_set_new(o, "consent", json_string(consent));
    if (failure) {
        json_object_set_new(o, "outcome", json_string("failed"));
        json_object_set_new(o, "reason", json_string(failure));
    }
    *ret = json_incref(o);
    return ledger_append(r->ledger, r->facts.evolution, "swaps.jsonl", o, failure ? "swap failed" : "swap", e);
}

/* Everything that follows a swap that stays. May be repeated: a killed apply is brought to its end by the next. */
static int settle(const EvoContext *c, const Ready *r, bool committed, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(c->store_path, c->agent_name, e);
    int q = dir < 0 ? dir : 0;

    if (q >= 0 && committed)
        q = stage_after_apply(c->store_path, c->agent, r->facts.evolution, e);
    return q < 0 ? q : batch_set_state(dir, r->facts.batch, committed ? BATCH_APPLIED : BATCH_ROLLED_BACK, NULL, e);
}

static uint64_t silence_limit(const GateSpec *g)
{
    return (g->gate_timeout_seconds + g->drain_timeout_seconds + g->swap_budget_seconds + g->bake_seconds + 60ULL) *
           USEC_PER_SEC;
}

static int swap(const EvoContext *c, const Ready *r, const char *consent, json_t **ret_record, Error *e)
{
    _cleanup_json_ json_t *request = NULL, *answer = NULL, *failed = NULL;
    Error why = {};
    int q;

    request = json_pack("{ss ss ss}", "op", "swap", "generation", r->facts.generation, "consent", consent);
    if (!request)
        return error_setf(e, -ENOMEM, "out of memory");
    q = shim_call(c->agent_name, request, silence_limit(&c->agent->gate), show_event, (void *) c, &answer, &why);
    if (q < 0) {
        if (record(c, r, consent, NULL, why.code ? why.text : strerror(-q), &failed, e) >= 0)
            hook_applied(c, failed);
        return error_setf(e, q, "the swap failed: %s", why.code ? why.text : strerror(-q));
    }
    return record(c, r, consent, answer, NULL, ret_record, e);
}

static int finish(const EvoContext *c, const Ready *r, const json_t *outcome, Error *e)
{
    const char *name = json_string_value(json_object_get(outcome, "outcome"));
    const char *reason = json_string_value(json_object_get(outcome, "reason"));
    bool committed = streq_ptr(name, "committed");
    int q = settle(c, r, committed, e);

    hook_applied(c, outcome);
    if (q < 0)
        return q;
    if (c->json)
        return evo_print(outcome) || !committed;
    printf("outcome      %s%s%s; pause %.1f ms\n", name ? name : "unknown", reason ? ": " : "", reason ? reason : "",
           (double) json_integer_value(json_object_get(outcome, "pause_usec")) / 1000);
    return committed ? 0 : 1;
}

/* A consent is spent when it is taken: not for an agent that nobody could swap. */
static int check_shim(const EvoContext *c, Error *e)
{
    _cleanup_json_ json_t *request = json_pack("{ss}", "op", "status"), *answer = NULL;

    if (!request)
        return error_setf(e, -ENOMEM, "out of memory");
    return shim_call(c->agent_name, request, 10 * USEC_PER_SEC, NULL, NULL, &answer, e);
}

static int apply(const EvoContext *c, const Ready *r, const ApplyOptions *o, Error *e)
{
    _cleanup_(consent_grant_done) ConsentGrant grant = {};
    _cleanup_json_ json_t *outcome = NULL;
    int q = check_shim(c, e);

    if (q >= 0)
        q = take_consent(c, r, o, &grant, e);
    if (q >= 0)
        q = swap(c, r, grant.digest, &outcome, e);
    return q < 0 ? q : finish(c, r, outcome, e);
}

static int request_only(const EvoContext *c, const Ready *r, const char *path, Error *e)
{
    _cleanup_json_ json_t *summary = NULL;
    int q;

    if (!c->agent->allowed_signers)
        return error_setf(e, -EPERM, "agent.json of %s names no allowed signers who could sign a request",
                          c->agent_name);
    q = write_request(r, path, e);
    if (q < 0)
        return q;
    if (c->json) {
        summary = ready_summary(r);
        json_object_set_new(summary, "request", json_string(path));
        return evo_print(summary);
    }
    printf("request      %s: sign it with ssh-keygen -Y sign -f KEY -n " CONSENT_NAMESPACE " %s\n", path, path);
    return 0;
}

static int already(const EvoContext *c, const Ready *r, Error *e)
{
    int q = settle(c, r, true, e);

    if (q < 0)
        return q;
    if (c->json) {
        _cleanup_json_ json_t *summary = ready_summary(r);

        json_object_set_new(summary, "outcome", json_string("committed"));
        return evo_print(summary);
    }
    printf("batch %s runs already; its records are complete now\n", r->facts.batch);
    return 0;
}

int evo_apply(const EvoContext *c, int argc, char **argv)
{
    _cleanup_(ready_done) Ready ready = {};
    ApplyOptions o = {};
    Error e = {};
    int q;

    if (options_parse(argc, argv, &o) < 0)
        return evo_usage(USAGE);
    q = ready_load(c, o.batch, &ready, &e);
    if (q < 0)
        return evo_fail(c, q, &e);
    if (!c->json)
        show(&ready);
    if (ready.applied)
        q = already(c, &ready, &e);
    else if (o.request && !o.consent)
        q = request_only(c, &ready, o.request, &e);
    else
        q = apply(c, &ready, &o, &e);
    return q < 0 ? evo_fail(c, q, &e) : q;
}
