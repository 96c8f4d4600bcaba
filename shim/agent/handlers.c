/* SPDX-License-Identifier: Apache-2.0 */

/* What a probe does: httpGet, httpPost, tcpSocket, exec, grpc. */

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/un.h>

#include "sections.h"

#define SEND_MAX 65536U
#define UNIX_PREFIX "unix:"

static int parse_host(ProbeSpec *p, const Section *s, Error *e)
{
    struct in6_addr in6;
    struct in_addr in4;
    int r = json_want_string(s->o, s->at, "host", &p->host, e);

    if (r < 0 || !p->host)
        return r;
    /* A name would make the gate depend on a resolver outside the sandbox. */
    if (inet_pton(AF_INET, p->host, &in4) != 1 && inet_pton(AF_INET6, p->host, &in6) != 1)
        return section_error(s, "host", e, "\"%.100s\" must be an address, not a name", p->host);
    return 0;
}

static int parse_port(ProbeSpec *p, const Section *s, Error *e)
{
    int64_t port = 0;
    int r = json_need_integer(s->o, s->at, "port", 1, 65535, &port, e);

    p->port = (uint16_t) port;
    return r < 0 ? r : parse_host(p, s, e);
}

/* "unix:/path" or "unix:@name" in place of an address and a port. */
static int parse_peer(ProbeSpec *p, const Section *s, Error *e)
{
    const char *host = json_string_value(json_object_get(s->o, "host"));

    p->socket = host ? startswith(host, UNIX_PREFIX) : NULL;
    if (!p->socket)
        return parse_port(p, s, e);
    if (json_object_get(s->o, "port"))
        return section_error(s, "port", e, "is not for a UNIX socket");
    if (!path_is_clean_absolute(p->socket) && (p->socket[0] != '@' || !p->socket[1]))
        return section_error(s, "host", e, "\"%.100s\": must be unix: and an absolute path, or unix:@ and a name",
                             host);
    if (strlen(p->socket) >= sizeof(((struct sockaddr_un *) NULL)->sun_path))
        return section_error(s, "host", e, "\"%.40s…\" is too long for a UNIX socket", host);
    return 0;
}

static int check_path(const ProbeSpec *p, const Section *s, Error *e)
{
    for (const char *c = p->path; *c; c++)
        if (*c <= ' ' || *c > '~')
            return section_error(s, "path", e, "must be printable ASCII without spaces");
    if (p->path[0] != '/' || strlen(p->path) > 1024)
        return section_error(s, "path", e, "must start with / and have at most 1024 characters");
    return 0;
}

static int parse_request(ProbeSpec *p, const Section *s, Error *e)
{
    int64_t status = 0;
    int r = parse_peer(p, s, e);

    p->kind = PROBE_HTTP;
    p->path = "/";
    if (r >= 0)
        r = json_want_string(s->o, s->at, "path", &p->path, e);
    if (r >= 0)
        r = check_path(p, s, e);
    if (r >= 0)
        r = json_want_integer(s->o, s->at, "status", 200, 599, &status, e);
    if (r >= 0)
        r = json_want_string(s->o, s->at, "body", &p->body, e);
    if (r >= 0)
        r = json_want_string(s->o, s->at, "contains", &p->contains, e);
    if (r >= 0)
        r = json_want(s->o, s->at, "jsonBody", JSON_OBJECT, &p->json_body, e);
    p->status = (unsigned) status;
    return r;
}

static int parse_get(ProbeSpec *p, const Section *s, Error *e)
{
    static const char *const known[] = {"host", "port", "path", "status", "body", "contains", "jsonBody", NULL};
    int r = json_only(s->o, s->at, known, e);

    return r < 0 ? r : parse_request(p, s, e);
}

/* A string is sent as it is, an object or an array as JSON. */
static int parse_send(ProbeSpec *p, const Section *s, Error *e)
{
    const json_t *send = json_object_get(s->o, "send");

    p->sends_json = json_is_object(send) || json_is_array(send);
    if (send && !json_is_string(send) && !p->sends_json)
        return section_error(s, "send", e, "must be a string, an object or an array");
    p->send = !send ? strdup("") : p->sends_json ? json_canonical(send) : strdup(json_string_value(send));
    if (!p->send)
        return error_errnof(e, -ENOMEM, "%s", s->at.file);
    if (strlen(p->send) > SEND_MAX)
        return section_error(s, "send", e, "has more than %u bytes", SEND_MAX);
    return 0;
}

static int parse_post(ProbeSpec *p, const Section *s, Error *e)
{
    static const char *const known[] = {"host", "port", "path", "send", "status", "body", "contains", "jsonBody", NULL};
    int r = json_only(s->o, s->at, known, e);

    if (r >= 0)
        r = parse_request(p, s, e);
    return r < 0 ? r : parse_send(p, s, e);
}

static int parse_tcp(ProbeSpec *p, const Section *s, Error *e)
{
    static const char *const known[] = {"host", "port", NULL};
    int r = json_only(s->o, s->at, known, e);

    p->kind = PROBE_TCP;
    return r < 0 ? r : parse_port(p, s, e);
}

static int parse_exec(ProbeSpec *p, const Section *s, Error *e)
{
    static const char *const known[] = {"command", NULL};
    int r = json_only(s->o, s->at, known, e);

    p->kind = PROBE_EXEC;
    return r < 0 ? r : section_command(s, "command", true, &p->argv, e);
}

static int parse_grpc(ProbeSpec *p, const Section *s, Error *e)
{
    static const char *const known[] = {"host", "port", "service", NULL};
    int r = json_only(s->o, s->at, known, e);

    p->kind = PROBE_GRPC;
    p->service = "";
    if (r >= 0)
        r = parse_port(p, s, e);
    if (r >= 0)
        r = json_want_string(s->o, s->at, "service", &p->service, e);
    if (r >= 0 && strlen(p->service) > 200)
        return section_error(s, "service", e, "has more than 200 bytes");
    return r;
}

int section_http_post(const Section *s, ProbeSpec *p, Error *e)
{
    return parse_post(p, s, e);
}

int section_handler(const Section *s, bool may_post, ProbeSpec *p, Error *e)
{
    static const struct {
        const char *key;
        int (*parse)(ProbeSpec *p, const Section *s, Error *e);
    } handlers[] = {{"httpGet", parse_get},
                    {"tcpSocket", parse_tcp},
                    {"exec", parse_exec},
                    {"grpc", parse_grpc},
                    {"httpPost", parse_post}};
    const char *names = may_post ? "httpGet, httpPost, tcpSocket, exec and grpc" : "httpGet, tcpSocket, exec and grpc";
    unsigned n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
        char path[120];
        json_t *o = NULL;
        int r = json_want(s->o, s->at, handlers[i].key, JSON_OBJECT, &o, e);

        if (r < 0)
            return r;
        if (!o)
            continue;
        if (n++)
            return section_error(s, handlers[i].key, e, "a probe has one of %s", names);
        snprintf(path, sizeof(path), "%s.%s", s->at.path, handlers[i].key);
        r = handlers[i].parse(p, &(Section){o, {s->at.file, path}, s->base}, e);
        if (r < 0)
            return r;
    }
    return n ? 0 : error_setf(e, -EINVAL, "%s: %s: needs one of %s", s->at.file, s->at.path, names);
}
