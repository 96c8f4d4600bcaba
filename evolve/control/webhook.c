/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook.h"

#include <curl/curl.h>
#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define TOKEN_MAX ((size_t) 4 << 10)
#define ANSWER_MAX ((size_t) 64 << 10)

DEFINE_TRIVIAL_CLEANUP(CURL *, curl_easy_cleanup)
DEFINE_TRIVIAL_CLEANUP(struct curl_slist *, curl_slist_free_all)

const char *webhook_event_name(WebhookEvent event)
{
    static const char *const names[] = {
        [WEBHOOK_CONVERGED] = "evolution-converged",
        [WEBHOOK_FAILED] = "evolution-failed",
        [WEBHOOK_APPLIED] = "apply-complete",
    };

    return names[event];
}

json_t *webhook_body(WebhookEvent event, const char *agent, const char *summary, const json_t *details)
{
    _cleanup_json_ json_t *payload =
        json_pack("{s:s, s:s, s:s}", "event", webhook_event_name(event), "agent", agent, "human_summary", summary);

    if (!payload || json_object_update_missing(payload, (json_t *) details) < 0)
        return NULL;
    return json_pack("{s:s, s:O}", "source", "moss", "payload", payload);
}

/* ---- the token ---- */

static int open_token(const char *path, Error *e)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errnof(e, -errno, "token file %s", path);
    if (!S_ISREG(st.st_mode))
        return error_setf(e, -EINVAL, "token file %s: is no regular file", path);
    if (st.st_mode & 0007)
        return error_setf(e, -EPERM, "token file %s: has mode %03o, so that others can read or write it", path,
                          st.st_mode & 0777);
    return TAKE_FD(fd);
}

int webhook_token(const char *path, char **ret, Error *e)
{
    _cleanup_close_ int fd = open_token(path, e);
    _cleanup_free_ char *text = NULL;
    size_t len;
    int r;

    if (fd < 0)
        return fd;
    r = file_read_fd(fd, TOKEN_MAX, &text, &len);
    if (r < 0)
        return error_errnof(e, r, "token file %s", path);
    if (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    if (len == 0)
        return error_setf(e, -EINVAL, "token file %s: is empty", path);
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return error_setf(e, -EINVAL, "token file %s: must hold printable ASCII without spaces, in one line", path);
    *ret = TAKE_PTR(text);
    return 0;
}

/* ---- the request ---- */

static int make_headers(const Agent *a, struct curl_slist **ret, Error *e)
{
    _cleanup_(curl_slist_free_allp) struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
    _cleanup_free_ char *token = NULL, *line = NULL;
    struct curl_slist *longer;
    int r;

    if (!list)
        return error_errnof(e, -ENOMEM, "webhook");
    if (a->webhook_token_file) {
        r = webhook_token(a->webhook_token_file, &token, e);
        if (r < 0)
            return r;
        line = xasprintf("Authorization: Bearer %s", token);
        longer = line ? curl_slist_append(list, line) : NULL;
        if (!longer)
            return error_errnof(e, -ENOMEM, "webhook");
        list = longer;
    }
    *ret = TAKE_PTR(list);
    return 0;
}

/* Nobody reads the answer; whoever sends one without end is cut off. */
static size_t drop_answer(_unused_ char *data, size_t size, size_t n, void *userdata)
{
    size_t *seen = userdata;

    *seen += size * n;
    return *seen > ANSWER_MAX ? 0 : size * n;
}

static int set_options(CURL *curl, const Agent *a, const char *body, struct curl_slist *headers, size_t *seen)
{
    const CURLcode codes[] = {
        curl_easy_setopt(curl, CURLOPT_URL, a->webhook_url),
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https"),
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L),
        curl_easy_setopt(curl, CURLOPT_PROXY, ""),
        curl_easy_setopt(curl, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED),
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L),
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 1000L * (long) a->webhook_timeout_seconds),
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "moss/" MOSS_VERSION),
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers),
        curl_easy_setopt(curl, CURLOPT_POST, 1L),
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body),
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long) strlen(body)),
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop_answer),
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, seen),
    };

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (codes[i] != CURLE_OK)
            return -EINVAL;
    return 0;
}

static int perform(const Agent *a, const char *body, struct curl_slist *headers, long *ret_status, Error *e)
{
    _cleanup_(curl_easy_cleanupp) CURL *curl = curl_easy_init();
    char why[CURL_ERROR_SIZE] = "";
    size_t seen = 0;
    CURLcode code;

    if (!curl || set_options(curl, a, body, headers, &seen) < 0)
        return error_setf(e, -EINVAL, "the web hook's request cannot be made");
    (void) curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    code = curl_easy_perform(curl);
    (void) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
    /* A body that was cut off does not take back the answer before it. */
    if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && seen > ANSWER_MAX))
        return error_setf(e, code == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -ECONNABORTED,
                          "the web hook was not reached: %s", *why ? why : curl_easy_strerror(code));
    if (*ret_status < 200 || *ret_status > 299)
        return error_setf(e, -EREMOTEIO, "the web hook answered with status %ld", *ret_status);
    return 0;
}

int webhook_post(const Agent *a, const json_t *body, long *ret_status, Error *e)
{
    _cleanup_(curl_slist_free_allp) struct curl_slist *headers = NULL;
    _cleanup_free_ char *text = json_canonical(body);
    int r;

    *ret_status = 0;
    if (!text)
        return error_errnof(e, -ENOMEM, "webhook");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_setf(e, -EIO, "libcurl cannot be used");
    r = make_headers(a, &headers, e);
    if (r >= 0)
        r = perform(a, text, headers, ret_status, e);
    curl_global_cleanup();
    return r;
}
