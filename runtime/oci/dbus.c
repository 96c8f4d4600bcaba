/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"

#define LINE_LIMIT 256
#define FIXED_HEADER 16 /* up to the length of the array of fields, which belongs to it */
#define PROTOCOL_VERSION 1
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BYTE_ORDER_MARK 'l'
#else
#define BYTE_ORDER_MARK 'B'
#endif

enum {
    FIELD_PATH = 1,
    FIELD_INTERFACE,
    FIELD_MEMBER,
    FIELD_ERROR,
    FIELD_REPLY_SERIAL,
    FIELD_DESTINATION,
    FIELD_SENDER,
    FIELD_SIGNATURE,
};

void bus_done(Bus *bus)
{
    fd_closep(&bus->fd);
}

void bus_message_done(BusMessage *m)
{
    free(m->data);
    *m = (BusMessage){};
}

/* ---- writing values ---- */

void bus_put_align(StrBuf *b, size_t size)
{
    static const char zeros[8];

    (void) strbuf_add(b, zeros, -b->len & (size - 1));
}

void bus_put_byte(StrBuf *b, uint8_t v)
{
    (void) strbuf_add(b, &v, sizeof(v));
}

void bus_put_u16(StrBuf *b, uint16_t v)
{
    bus_put_align(b, sizeof(v));
    (void) strbuf_add(b, &v, sizeof(v));
}

void bus_put_u32(StrBuf *b, uint32_t v)
{
    bus_put_align(b, sizeof(v));
    (void) strbuf_add(b, &v, sizeof(v));
}

void bus_put_u64(StrBuf *b, uint64_t v)
{
    bus_put_align(b, sizeof(v));
    (void) strbuf_add(b, &v, sizeof(v));
}

void bus_put_string(StrBuf *b, const char *s)
{
    size_t n = strlen(s);

    if (n > BUS_MESSAGE_MAX) /* the sum is checked when it is sent */
        b->failed = true;
    bus_put_u32(b, (uint32_t) n);
    (void) strbuf_add(b, s, n + 1);
}

void bus_put_signature(StrBuf *b, const char *s)
{
    bus_put_byte(b, (uint8_t) strlen(s));
    (void) strbuf_add(b, s, strlen(s) + 1);
}

size_t bus_open_array(StrBuf *b, size_t size)
{
    size_t start;

    bus_put_u32(b, 0);
    start = b->len - sizeof(uint32_t);
    bus_put_align(b, size); /* which the length does not count */
    return start;
}

void bus_close_array(StrBuf *b, size_t start, size_t size)
{
    size_t first = (start + sizeof(uint32_t) + size - 1) & ~(size - 1);
    uint32_t n = (uint32_t) (b->len - first);

    if (!b->failed)
        memcpy(b->data + start, &n, sizeof(n));
}

/* ---- reading values ---- */

static int get(BusMessage *m, size_t align, size_t size, const char **ret)
{
    size_t at = (m->at + align - 1) & ~(align - 1);

    if (at > m->body_len || size > m->body_len - at)
        return -EBADMSG;
    *ret = m->body + at;
    m->at = at + size;
    return 0;
}

int bus_get_u32(BusMessage *m, uint32_t *ret)
{
    const char *p;
    int r = get(m, sizeof(*ret), sizeof(*ret), &p);

    if (r >= 0)
        memcpy(ret, p, sizeof(*ret));
    return r;
}

static int get_text(BusMessage *m, size_t n, const char **ret)
{
    const char *p;
    int r = get(m, 1, n + 1, &p);

    if (r < 0)
        return r;
    if (memchr(p, '\0', n + 1) != p + n)
        return -EBADMSG;
    *ret = p;
    return 0;
}

int bus_get_string(BusMessage *m, const char **ret)
{
    uint32_t n;
    int r = bus_get_u32(m, &n);

    return r < 0 ? r : get_text(m, n, ret);
}

static int get_signature(BusMessage *m, const char **ret)
{
    const char *p;
    int r = get(m, 1, 1, &p);

    return r < 0 ? r : get_text(m, (uint8_t) *p, ret);
}

/* ---- the stream ---- */

/* After a call that failed: 0 when it may be tried again. */
static int await(const Bus *bus, short events)
{
    struct pollfd p = {.fd = bus->fd, .events = events};

    if (errno != EAGAIN && errno != EINTR)
        return -errno;
    if (clock_now() >= bus->deadline)
        return -ETIMEDOUT;
    return poll(&p, 1, clock_poll_timeout(bus->deadline)) < 0 && errno != EINTR ? -errno : 0;
}

static int read_exactly(Bus *bus, void *buf, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = recv(bus->fd, (char *) buf + done, n - done, MSG_DONTWAIT);
        int r;

        if (got == 0)
            return -ECONNRESET;
        if (got > 0) {
            done += (size_t) got;
            continue;
        }
        r = await(bus, POLLIN);
        if (r < 0)
            return r;
    }
    return 0;
}

static int write_all(Bus *bus, const void *data, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(bus->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        int r;

        if (sent >= 0) {
            data = (const char *) data + sent;
            n -= (size_t) sent;
            continue;
        }
        r = await(bus, POLLOUT);
        if (r < 0)
            return r;
    }
    return 0;
}

/* One line of the handshake, without its end. Byte by byte, as what is behind the last one is no line. */
static int read_line(Bus *bus, char line[static LINE_LIMIT])
{
    for (size_t n = 0; n < LINE_LIMIT; n++) {
        int r = read_exactly(bus, line + n, 1);

        if (r < 0)
            return r;
        if (line[n] != '\n')
            continue;
        line[n > 0 && line[n - 1] == '\r' ? n - 1 : n] = '\0';
        return 0;
    }
    return -EBADMSG;
}

/* Everything is said at once: each answer is known in advance. */
static int authenticate(Bus *bus)
{
    static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
    char line[LINE_LIMIT];
    int r;

    if ((r = write_all(bus, hello, sizeof(hello) - 1)) < 0 || (r = read_line(bus, line)) < 0)
        return r;
    if (startswith(line, "DATA"))
        r = read_line(bus, line);
    return r < 0 ? r : startswith(line, "OK ") ? 0 : -EACCES;
}

/* ---- connecting ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* "unix:path=/a%20b,guid=…" up to ";" or the end. */
static int parse_address(const char *p, struct sockaddr_un *ret, socklen_t *ret_len)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    const char *path = startswith(p, "unix:path="), *abstract = startswith(p, "unix:abstract=");
    size_t n = abstract ? 1 : 0;

    p = path ? path : abstract;
    if (!p)
        return -EAFNOSUPPORT;
    for (; *p && *p != ',' && *p != ';'; p++) {
        int high = *p == '%' ? hex(p[1]) : -1, low = high >= 0 ? hex(p[2]) : -1;

        if (n + 1 >= sizeof(sa.sun_path))
            return -ENAMETOOLONG;
        if (*p == '%' && low < 0)
            return -EINVAL;
        sa.sun_path[n++] = *p == '%' ? (char) (high << 4 | low) : *p;
        p += *p == '%' ? 2 : 0;
    }
    *ret = sa;
    *ret_len = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n + (path ? 1 : 0));
    return 0;
}

static int connect_one(const char *address, Bus *bus)
{
    _cleanup_close_ int fd = -EBADF;
    struct sockaddr_un sa;
    struct timeval limit;
    uint64_t now = clock_now(), left = bus->deadline > now ? bus->deadline - now : 1;
    socklen_t len;
    int r = parse_address(address, &sa, &len);

    if (r < 0)
        return r;
    limit = (struct timeval){.tv_sec = (time_t) (left / USEC_PER_SEC), .tv_usec = (suseconds_t) (left % USEC_PER_SEC)};
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* a connect(2) waits where the queue of the other side is full */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(fd, (struct sockaddr *) &sa, len) < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    bus->fd = fd;
    r = authenticate(bus);
    if (r < 0)
        bus->fd = -EBADF;
    else
        TAKE_FD(fd);
    return r;
}

/* A bus gives its clients names before it does anything else for them. */
static int say_hello(Bus *bus, Error *e)
{
    static const BusCall hello = {"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello",
                                  NULL};
    _cleanup_(bus_message_done) BusMessage reply = {};

    return bus->direct ? 0 : bus_call(bus, &hello, NULL, &reply, e);
}

int bus_connect(const char *address, bool direct, uint64_t deadline, Bus *ret, Error *e)
{
    Bus bus = {.fd = -EBADF, .direct = direct, .deadline = deadline};
    int r = -EINVAL;

    for (const char *p = address; bus.fd < 0 && *p; p += strcspn(p, ";"), p += *p == ';')
        r = connect_one(p, &bus);
    if (r < 0)
        return error_errnof(e, r, "D-Bus at %s", address);
    r = say_hello(&bus, e);
    if (r < 0) {
        bus_done(&bus);
        return error_wrapf(e, r, "D-Bus at %s", address);
    }
    *ret = bus;
    return 0;
}

/* ---- messages ---- */

static void put_field(StrBuf *b, uint8_t code, const char *signature, const char *value)
{
    if (!value || !*value)
        return;
    bus_put_align(b, 8);
    bus_put_byte(b, code);
    bus_put_signature(b, signature);
    if (*signature == 'g')
        bus_put_signature(b, value);
    else
        bus_put_string(b, value);
}

int bus_send(Bus *bus, BusMessage *m, Error *e)
{
    _cleanup_(strbuf_done) StrBuf b = {};
    size_t fields;
    int r;

    m->serial = ++bus->serial;
    bus_put_byte(&b, BYTE_ORDER_MARK);
    bus_put_byte(&b, (uint8_t) m->type);
    bus_put_byte(&b, 0); /* flags */
    bus_put_byte(&b, PROTOCOL_VERSION);
    bus_put_u32(&b, (uint32_t) m->body_len);
    bus_put_u32(&b, m->serial);
    fields = bus_open_array(&b, 8);
    put_field(&b, FIELD_PATH, "o", m->path);
    put_field(&b, FIELD_INTERFACE, "s", m->interface);
    put_field(&b, FIELD_MEMBER, "s", m->member);
    put_field(&b, FIELD_ERROR, "s", m->error);
    put_field(&b, FIELD_DESTINATION, "s", m->destination);
    put_field(&b, FIELD_SIGNATURE, "g", m->signature);
    if (m->reply_serial) {
        bus_put_align(&b, 8);
        bus_put_byte(&b, FIELD_REPLY_SERIAL);
        bus_put_signature(&b, "u");
        bus_put_u32(&b, m->reply_serial);
    }
    bus_close_array(&b, fields, 8);
    bus_put_align(&b, 8);
    if (m->body_len > 0)
        (void) strbuf_add(&b, m->body, m->body_len);
    if (b.failed || b.len > BUS_MESSAGE_MAX)
        return error_setf(e, -EMSGSIZE, "D-Bus: a message has more than %zu bytes", BUS_MESSAGE_MAX);
    r = write_all(bus, b.data, b.len);
    return r < 0 ? error_errnof(e, r, "D-Bus: cannot send %s", m->member ? m->member : "a reply") : 0;
}

/* `m` reads the header's fields as if they were its body. */
static int parse_fields(BusMessage *m)
{
    const char *strings[FIELD_SIGNATURE + 1];

    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        strings[i] = "";
    while (m->at < m->body_len) {
        const char *code, *signature, *value = "";
        uint32_t number = 0;
        int r;

        if ((r = get(m, 8, 1, &code)) < 0 || (r = get_signature(m, &signature)) < 0)
            return r;
        if (streq(signature, "g"))
            r = get_signature(m, &value);
        else if (streq(signature, "u"))
            r = bus_get_u32(m, &number);
        else
            r = streq(signature, "s") || streq(signature, "o") ? bus_get_string(m, &value) : -EBADMSG;
        if (r < 0)
            return r;
        if (*code == FIELD_REPLY_SERIAL)
            m->reply_serial = number;
        else if (*code >= 0 && *code <= FIELD_SIGNATURE)
            strings[(size_t) *code] = value;
    }
    m->path = strings[FIELD_PATH];
    m->interface = strings[FIELD_INTERFACE];
    m->member = strings[FIELD_MEMBER];
    m->error = strings[FIELD_ERROR];
    m->destination = strings[FIELD_DESTINATION];
    m->sender = strings[FIELD_SENDER];
    m->signature = strings[FIELD_SIGNATURE];
    return 0;
}

static int receive(Bus *bus, BusMessage *ret)
{
    _cleanup_(bus_message_done) BusMessage m = {};
    unsigned char head[FIXED_HEADER];
    uint32_t body, fields, serial;
    size_t padded;
    int r = read_exactly(bus, head, sizeof(head));

    if (r < 0)
        return r;
    memcpy(&body, head + 4, sizeof(body));
    memcpy(&serial, head + 8, sizeof(serial));
    memcpy(&fields, head + 12, sizeof(fields));
    if (head[0] != BYTE_ORDER_MARK || head[1] < BUS_CALL || head[1] > BUS_SIGNAL || head[3] != PROTOCOL_VERSION)
        return -EBADMSG;
    if (body > BUS_MESSAGE_MAX || fields > BUS_MESSAGE_MAX)
        return -EMSGSIZE;
    padded = ((size_t) fields + 7) & ~(size_t) 7; /* the fixed header is aligned, so what follows is as well */
    m.data = malloc(padded + body + 1);
    if (!m.data)
        return -ENOMEM;
    r = read_exactly(bus, m.data, padded + body);
    if (r < 0)
        return r;
    m.type = (BusMessageType) head[1];
    m.serial = serial;
    m.body = m.data;
    m.body_len = fields;
    r = parse_fields(&m);
    if (r < 0)
        return r;
    m.body = m.data + padded;
    m.body_len = body;
    m.at = 0;
    *ret = m;
    m = (BusMessage){};
    return 0;
}

int bus_receive(Bus *bus, BusMessage *ret, Error *e)
{
    int r = receive(bus, ret);

    return r < 0 ? error_errnof(e, r, "D-Bus") : 0;
}

static int remote_error(BusMessage *m, const char *member, Error *e)
{
    const char *text = "";

    if (m->signature[0] == 's')
        (void) bus_get_string(m, &text);
    return error_setf(e, -EREMOTEIO, "%s: %s (%s)", member, *text ? text : "refused", m->error);
}

int bus_call(Bus *bus, const BusCall *call, const StrBuf *body, BusMessage *ret, Error *e)
{
    BusMessage m = {.type = BUS_CALL,
                    .path = call->path,
                    .interface = call->interface,
                    .member = call->member,
                    .destination = call->destination,
                    .signature = call->signature,
                    .body = body ? body->data : NULL,
                    .body_len = body ? body->len : 0};
    int r;

    if (body && body->failed)
        return error_errnof(e, -ENOMEM, "D-Bus: %s", call->member);
    r = bus_send(bus, &m, e);
    while (r >= 0) {
        _cleanup_(bus_message_done) BusMessage got = {};

        r = bus_receive(bus, &got, e);
        if (r < 0)
            return error_wrapf(e, r, "%s", call->member);
        if ((got.type != BUS_RETURN && got.type != BUS_ERROR) || got.reply_serial != m.serial)
            continue;
        if (got.type == BUS_ERROR)
            r = remote_error(&got, call->member, e);
        *ret = got;
        got = (BusMessage){};
        return r;
    }
    return r;
}
