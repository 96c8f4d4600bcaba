/* SPDX-License-Identifier: Apache-2.0 */
#include "sections.h"

#define URL_MAX 2048U
#define TIMEOUT_DEFAULT 3U
#define TIMEOUT_MAX 30U

static int check_url(const Section *s, const char *url, Error *e)
{
    const char *host = startswith(url, "https://");
    size_t n;

    if (!host)
        host = startswith(url, "http://");
    if (!host)
        return section_error(s, "url", e, "\"%.100s\" must start with http:// or https://", url);
    if (strlen(url) > URL_MAX)
        return section_error(s, "url", e, "has more than %u bytes", URL_MAX);
    for (const char *c = url; *c; c++)
        if (*c <= ' ' || *c > '~')
            return section_error(s, "url", e, "must be printable ASCII without spaces");
    n = strcspn(host, "/?#");
    if (n == 0 || *host == ':')
        return section_error(s, "url", e, "names no host");
    /* agent.json is no place for secrets: it is shown, copied and compared. */
    if (memchr(host, '@', n))
        return section_error(s, "url", e, "must hold no user and no password: tokenFile is for the token");
    return 0;
}

int agent_parse_webhooks(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"url", "tokenFile", "timeoutSeconds", NULL};
    int64_t timeout = TIMEOUT_DEFAULT;
    int r = json_only(s->o, s->at, known, e);

    if (r >= 0)
        r = json_need_string(s->o, s->at, "url", &a->webhook_url, e);
    if (r >= 0)
        r = check_url(s, a->webhook_url, e);
    if (r >= 0)
        r = section_host_path(s, "tokenFile", false, &a->webhook_token_file, e);
    if (r >= 0)
        r = json_want_integer(s->o, s->at, "timeoutSeconds", 1, TIMEOUT_MAX, &timeout, e);
    a->webhook_timeout_seconds = (unsigned) timeout;
    return r;
}
