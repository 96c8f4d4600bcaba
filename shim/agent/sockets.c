/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#include "sections.h"

#define NAME_LONGEST 255U

/* As sd_listen_fds_with_names(3) wants them: printable, without the colon that lies between two of them. */
static bool fd_name_valid(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < n; i++)
        if (name[i] <= ' ' || name[i] > '~' || name[i] == ':')
            return false;
    return n >= 1 && n <= NAME_LONGEST;
}

/* "192.0.2.1:80" or "[2001:db8::1]:80" */
static bool parse_tcp(const char *text, ListenSpec *l)
{
    struct sockaddr_in *v4 = (void *) &l->sa;
    struct sockaddr_in6 *v6 = (void *) &l->sa;
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t) (colon - text) : 0;
    char host[INET6_ADDRSTRLEN], *end;
    unsigned long port;

    if (!colon || !isdigit((unsigned char) colon[1]))
        return false;
    port = strtoul(colon + 1, &end, 10);
    if (*end || port < 1 || port > 65535)
        return false;
    if (text[0] == '[' && n >= 2 && text[n - 1] == ']') {
        text++;
        n -= 2;
        l->sa.ss_family = AF_INET6;
    } else
        l->sa.ss_family = AF_INET;
    if (n >= sizeof(host))
        return false;
    memcpy(host, text, n);
    host[n] = '\0';
    if (l->sa.ss_family == AF_INET) {
        v4->sin_port = htons((uint16_t) port);
        l->len = sizeof(*v4);
        return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
    }
    v6->sin6_port = htons((uint16_t) port);
    l->len = sizeof(*v6);
    return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
}

/* "/run/name.sock", a path on the host, or "@name" */
static bool parse_unix(const char *text, ListenSpec *l)
{
    struct sockaddr_un *un = (void *) &l->sa;
    size_t n = strlen(text);

    if (n < 2 || n >= sizeof(un->sun_path) || (text[0] != '@' && !path_is_clean_absolute(text)))
        return false;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, text, n);
    if (text[0] == '@')
        un->sun_path[0] = '\0';
    else
        n++; /* the kernel counts the NUL of a path, and only of a path */
    l->len = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n);
    return true;
}

static int parse_mode(const Section *s, ListenSpec *l, Error *e)
{
    const char *text = "0666";
    char *end;
    int r = json_want_string(s->o, s->at, "mode", &text, e);

    if (r < 0)
        return r;
    l->mode = (mode_t) strtoul(text, &end, 8);
    if (!isdigit((unsigned char) text[0]) || *end || l->mode > 0777)
        return section_error(s, "mode", e, "\"%.20s\" must be an octal mode, like \"0660\"", text);
    return 0;
}

static int parse_unix_members(const Section *s, const char *where, ListenSpec *l, Error *e)
{
    const char *type = "stream";
    int r = json_want_string(s->o, s->at, "type", &type, e);

    if (r < 0)
        return r;
    if (!streq(type, "stream") && !streq(type, "seqpacket"))
        return section_error(s, "type", e, "\"%.60s\" must be stream or seqpacket", type);
    l->type = streq(type, "stream") ? SOCK_STREAM : SOCK_SEQPACKET;
    if (!parse_unix(where, l))
        return section_error(s, "unix", e, "\"%.120s\" must be an absolute path of at most %zu bytes, or @ and a name",
                             where, sizeof(((struct sockaddr_un *) 0)->sun_path) - 1);
    if (where[0] == '@' && json_object_get(s->o, "mode"))
        return section_error(s, "mode", e, "is for sockets with a path");
    return parse_mode(s, l, e);
}

static int parse_listen(const Section *s, ListenSpec *l, Error *e)
{
    static const char *const known[] = {"name", "tcp", "unix", "type", "mode", NULL};
    const char *tcp = NULL, *unix_address = NULL;
    int r = json_only(s->o, s->at, known, e);

    if (r >= 0)
        r = json_need_string(s->o, s->at, "name", &l->name, e);
    if (r >= 0 && !fd_name_valid(l->name))
        return section_error(s, "name", e, "\"%.60s\" must be printable, without blanks and colons", l->name);
    if (r >= 0)
        r = json_want_string(s->o, s->at, "tcp", &tcp, e);
    if (r >= 0)
        r = json_want_string(s->o, s->at, "unix", &unix_address, e);
    if (r < 0)
        return r;
    if (!tcp == !unix_address)
        return section_error(s, "tcp", e, "either this or unix must be given");
    if (unix_address)
        return parse_unix_members(s, unix_address, l, e);
    if (json_object_get(s->o, "type") || json_object_get(s->o, "mode"))
        return section_error(s, "tcp", e, "type and mode are for unix");
    l->type = SOCK_STREAM;
    if (!parse_tcp(tcp, l))
        return section_error(s, "tcp", e, "\"%.60s\" must be an address and a port, like 192.0.2.1:80 or [::1]:80",
                             tcp);
    return 0;
}

static int parse_listeners(Agent *a, const Section *s, const json_t *list, Error *e)
{
    size_t n = json_array_size(list);

    if (n < 1 || n > LISTEN_MAX)
        return section_error(s, "listen", e, "has %zu entries, must have 1 to %u", n, LISTEN_MAX);
    a->listen = calloc(n, sizeof(*a->listen));
    if (!a->listen)
        return error_errnof(e, -ENOMEM, "%s", s->at.file);
    for (size_t i = 0; i < n; i++) {
        ListenSpec *l = &a->listen[i];
        char path[80];
        Section one = {json_array_get(list, i), {s->at.file, path}, s->base};
        int r;

        snprintf(path, sizeof(path), "%s.listen[%zu]", s->at.path, i);
        if (!json_is_object(one.o))
            return error_setf(e, -EINVAL, "%s: %s: must be an object", s->at.file, path);
        if ((r = parse_listen(&one, l, e)) < 0)
            return r;
        for (size_t k = 0; k < i; k++)
            if (l->len == a->listen[k].len && l->type == a->listen[k].type &&
                memcmp(&l->sa, &a->listen[k].sa, l->len) == 0)
                return error_setf(e, -EINVAL, "%s: %s: is the address of listen[%zu]", s->at.file, path, k);
        a->n_listen = i + 1;
    }
    return 0;
}

int agent_parse_sockets(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"mode", "listen", NULL};
    const char *mode = "transparent";
    json_t *listen = NULL;
    int r = json_only(s->o, s->at, known, e);

    if (r >= 0)
        r = json_want_string(s->o, s->at, "mode", &mode, e);
    if (r >= 0)
        r = json_want(s->o, s->at, "listen", JSON_ARRAY, &listen, e);
    if (r < 0)
        return r;
    if (streq(mode, "transparent"))
        a->sockets = SOCKETS_TRANSPARENT;
    else if (streq(mode, "listen-fds"))
        a->sockets = SOCKETS_LISTEN_FDS;
    else if (streq(mode, "none"))
        a->sockets = SOCKETS_NONE;
    else
        return section_error(s, "mode", e, "\"%.60s\" must be transparent, listen-fds or none", mode);
    if (a->sockets == SOCKETS_LISTEN_FDS && !listen)
        return section_error(s, "listen", e, "is missing: listen-fds needs addresses to listen at");
    if (a->sockets != SOCKETS_LISTEN_FDS && listen)
        return section_error(s, "listen", e, "is for listen-fds, mode is %s", mode);
    return listen ? parse_listeners(a, s, listen, e) : 0;
}
