/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define NONCE_BYTES 16

/* The facts by the names that they have in a request. */
typedef struct Fact {
    const char *key, *value;
} Fact;

#define N_FACTS 9

static void facts_list(const ConsentFacts *f, Fact ret[static N_FACTS])
{
    const Fact facts[N_FACTS] = {
        {"agent", f->agent},
        {"evolution", f->evolution},
        {"batch", f->batch},
        {"generation", f->generation},
        {"commit", f->commit},
        {"base_generation", f->base_generation},
        {"diff_digest", f->diff_digest},
        {"evidence_digest", f->evidence_digest},
        {"scores_digest", f->scores_digest},
    };

    memcpy(ret, facts, sizeof(facts));
}

static int nonce_make(char ret[static 2 * NONCE_BYTES + 1])
{
    unsigned char bytes[NONCE_BYTES];

    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        return -EIO;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

static bool nonce_valid(const char *s)
{
    return strlen(s) == 2 * NONCE_BYTES && strspn(s, "0123456789abcdef") == 2 * NONCE_BYTES;
}

int request_make(const ConsentFacts *facts, unsigned valid_seconds, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *request = json_object();
    char nonce[2 * NONCE_BYTES + 1], expires[21];
    time_t until = time(NULL) + (time_t) valid_seconds;
    Fact list[N_FACTS];
    struct tm tm;
    int r = nonce_make(nonce);

    if (r < 0 || !request)
        return error_setf(e, -EIO, "no random numbers for a request");
    gmtime_r(&until, &tm);
    strftime(expires, sizeof(expires), "%Y-%m-%dT%H:%M:%SZ", &tm);
    facts_list(facts, list);
    for (size_t i = 0; i < N_FACTS; i++)
        if (!list[i].value || json_object_set_new(request, list[i].key, json_string(list[i].value)) < 0)
            return error_setf(e, -EINVAL, "a request without \"%s\" cannot be made", list[i].key);
    json_object_set_new(request, "version", json_integer(1));
    json_object_set_new(request, "nonce", json_string(nonce));
    json_object_set_new(request, "expires", json_string(expires));
    *ret = TAKE_PTR(request);
    return 0;
}

int consent_request(const ConsentFacts *facts, unsigned valid_seconds, char **ret_text, Error *e)
{
    _cleanup_json_ json_t *request = NULL;
    _cleanup_free_ char *line = NULL, *text = NULL;
    int r = request_make(facts, valid_seconds, &request, e);

    if (r < 0)
        return r;
    line = json_canonical(request);
    text = line ? xasprintf("%s\n", line) : NULL;
    if (!text)
        return error_setf(e, -ENOMEM, "out of memory");
    *ret_text = TAKE_PTR(text);
    return 0;
}

/* Two texts that parse alike could be shown as two different things: only the one canonical form is a request. */
static int parse(const char *text, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *request = NULL;
    _cleanup_free_ char *line = NULL, *canonical = NULL;
    int r;

    if (strlen(text) > CONSENT_REQUEST_MAX)
        return error_setf(e, -EBADMSG, "the request is larger than %zu bytes", CONSENT_REQUEST_MAX);
    r = json_parse(text, strlen(text), "request", &request, e);
    if (r < 0)
        return r;
    line = json_canonical(request);
    canonical = line ? xasprintf("%s\n", line) : NULL;
    if (!canonical)
        return error_setf(e, -ENOMEM, "out of memory");
    if (!json_is_object(request) || !streq(canonical, text))
        return error_setf(e, -EBADMSG, "the request is not in the form in which it was written");
    *ret = TAKE_PTR(request);
    return 0;
}

static int check_expiry(const char *expires, Error *e)
{
    struct tm tm = {};
    const char *end = strptime(expires, "%Y-%m-%dT%H:%M:%SZ", &tm);

    if (!end || *end)
        return error_setf(e, -EBADMSG, "request: expires: \"%.40s\" is no time", expires);
    if (timegm(&tm) < time(NULL))
        return error_setf(e, -ETIME, "the consent expired at %s", expires);
    return 0;
}

int request_check(const char *text, const ConsentFacts *facts, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *request = NULL;
    const char *nonce, *expires;
    JsonAt at = {"request", ""};
    Fact list[N_FACTS];
    int64_t version;
    int r;

    r = parse(text, &request, e);
    if (r < 0)
        return r;
    r = json_need_integer(request, at, "version", 1, 1, &version, e);
    if (r >= 0)
        r = json_need_string(request, at, "nonce", &nonce, e);
    if (r >= 0)
        r = json_need_string(request, at, "expires", &expires, e);
    if (r < 0)
        return r;
    if (!nonce_valid(nonce) || json_object_size(request) != N_FACTS + 3)
        return error_setf(e, -EBADMSG, "the request has a nonce or members that no request has");
    facts_list(facts, list);
    for (size_t i = 0; i < N_FACTS; i++) {
        const char *value;

        r = json_need_string(request, at, list[i].key, &value, e);
        if (r < 0)
            return r;
        if (!streq_ptr(value, list[i].value))
            return error_setf(e, -ESTALE, "the consent is for another %s: it says %.70s, now it is %.70s", list[i].key,
                              value, list[i].value ? list[i].value : "none");
    }
    r = check_expiry(expires, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(request);
    return 0;
}
