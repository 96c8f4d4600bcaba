/* SPDX-License-Identifier: Apache-2.0 */
#include "consent.h"

#include <stdio.h>
#include <sys/file.h>

#include "request.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

/* <agent directory>/consents, made if missing, locked: one consent at a time. */
static int open_consents(const ConsentPlace *place, char **ret_path, Error *e)
{
    _cleanup_close_ int agent = open(place->agent_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir = -EBADF;
    _cleanup_free_ char *path = xasprintf("%s/consents", place->agent_directory);
    int r = agent < 0 ? -errno : mkdirat_p(agent, "consents", 0700);

    if (r >= 0 && path) {
        dir = openat(agent, "consents", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = dir < 0 || flock(dir, LOCK_EX) < 0 ? -errno : 0;
    }
    if (r < 0 || !path)
        return error_errnof(e, r < 0 ? r : -ENOMEM, "%s/consents", place->agent_directory);
    *ret_path = TAKE_PTR(path);
    return TAKE_FD(dir);
}

static int used_before(int dir, const char *name, Error *e)
{
    _cleanup_json_ json_t *record = NULL;
    const char *used = NULL;

    if (json_read_at(dir, name, JSON_FILE_MAX, &record, NULL) >= 0)
        used = json_string_value(json_object_get(record, "used"));
    return error_setf(e, -EALREADY, "the consent was used already, at %s: a consent is good for one swap",
                      used ? used : "a time that its record does not say");
}

/* From here on the consent is spent, whatever becomes of the swap. */
static int spend(int dir, const json_t *request, const char *by, const char *signature, ConsentGrant *ret, Error *e)
{
    const char *nonce = json_string_value(json_object_get(request, "nonce"));
    _cleanup_free_ char *name = xasprintf("%s.json", nonce), *text = NULL;
    _cleanup_json_ json_t *record = NULL;
    Error why = {};
    char now[21];
    int r;

    clock_iso8601(now);
    record =
        json_pack("{si ss ss ss? sO}", "version", 1, "used", now, "by", by, "signature", signature, "request", request);
    text = record ? json_canonical(record) : NULL;
    if (!name || !text)
        return error_setf(e, -ENOMEM, "out of memory");
    r = json_write_at(dir, name, record, 0600, FILE_DURABLE | FILE_EXCLUSIVE, &why);
    if (r == -EEXIST)
        return used_before(dir, name, e);
    if (r < 0)
        return error_setf(e, r, "the consent cannot be recorded, so it cannot be used: consents/%s", why.text);
    hash_buffer(text, strlen(text), ret->digest);
    ret->record = TAKE_PTR(record);
    return 0;
}

int consent_by_signature(const ConsentPlace *place, const ConsentFacts *facts, const char *request,
                         const char *signature, ConsentGrant *ret, Error *e)
{
    _cleanup_json_ json_t *checked = NULL;
    _cleanup_free_ char *path = NULL, *principal = NULL;
    _cleanup_close_ int dir = -EBADF;
    int r;

    if (!place->allowed_signers)
        return error_setf(e, -EPERM, "%s: agent.json names no allowed signers", facts->agent);
    dir = open_consents(place, &path, e);
    if (dir < 0)
        return dir;
    /* The signature first: nothing else in the request means anything before. */
    r = signature_verify(path, place->allowed_signers, request, signature, &principal, e);
    if (r >= 0)
        r = request_check(request, facts, &checked, e);
    return r < 0 ? r : spend(dir, checked, principal, signature, ret, e);
}

int consent_by_typing(const ConsentPlace *place, const ConsentFacts *facts, const char *typed, ConsentGrant *ret,
                      Error *e)
{
    _cleanup_json_ json_t *request = NULL;
    _cleanup_free_ char *path = NULL;
    _cleanup_close_ int dir = -EBADF;
    char by[40];
    int r;

    if (place->allowed_signers)
        return error_setf(e, -EPERM, "%s: agent.json names allowed signers: a typed confirmation is not enough",
                          facts->agent);
    if (strlen(typed) != CONSENT_TYPED_DIGITS || strlen(facts->generation) < CONSENT_TYPED_DIGITS ||
        strncmp(typed, facts->generation, CONSENT_TYPED_DIGITS) != 0)
        return error_setf(e, -EPERM, "not confirmed: what was typed is not %.*s", CONSENT_TYPED_DIGITS,
                          facts->generation);
    dir = open_consents(place, &path, e);
    if (dir < 0)
        return dir;
    r = request_make(facts, 0, &request, e);
    if (r < 0)
        return r;
    snprintf(by, sizeof(by), "terminal, uid %u", (unsigned) getuid());
    return spend(dir, request, by, NULL, ret, e);
}

void consent_grant_done(ConsentGrant *grant)
{
    json_decref(grant->record);
    *grant = (ConsentGrant){};
}
