/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_DBUS_H
#define MOSS_OCI_DBUS_H

/* As much of a D-Bus client as it takes to ask systemd for something and to hear of the outcome: method calls, their replies and signals over a
 * UNIX socket, with one deadline for a connection's whole life.
 *
 *     _cleanup_(bus_done) Bus bus = BUS_INIT;
 *     _cleanup_(strbuf_done) StrBuf body = {};
 *     _cleanup_(bus_message_done) BusMessage reply = {};
 *     r = bus_connect("unix:path=/run/systemd/private", true, clock_now() + 30 * USEC_PER_SEC, &bus, e);
 *     bus_put_string(&body, "x.scope");
 *     r = bus_call(&bus, &call, &body, &reply, e);        call.signature is that of the body: "s"
 *
 * The peer is trusted to mean well, not to be well: each length is checked, a message has an upper limit, nothing is waited for beyond the deadline.
 * Messages must have this machine's byte order, as those of a peer on this machine do. No file descriptors are passed.
 *
 * Sources: D-Bus Specification 0.43 (message format; "AUTH EXTERNAL" without an identity, for which the server takes that of the socket's other end: in a
 * user namespace ours has another number). */

#include "runtime/base/error.h"
#include "runtime/base/strbuf.h"

#define BUS_MESSAGE_MAX ((size_t) 1 << 20)

typedef struct Bus {
    int fd;
    bool direct; /* the other end is the service itself, with no bus in between */
    uint32_t serial;
    uint64_t deadline;
} Bus;

#define BUS_INIT                                                                                                       \
    (Bus)                                                                                                              \
    {                                                                                                                  \
        .fd = -EBADF                                                                                                   \
    }

typedef enum BusMessageType {
    BUS_CALL = 1,
    BUS_RETURN,
    BUS_ERROR,
    BUS_SIGNAL,
} BusMessageType;

/* Strings belong to the message and are "" where they are missing. */
typedef struct BusMessage {
    char *data;
    BusMessageType type;
    uint32_t serial, reply_serial;
    const char *path, *interface, *member, *error, *destination, *sender, *signature;
    const char *body;
    size_t body_len;
    size_t at; /* where bus_get_* goes on */
} BusMessage;

typedef struct BusCall {
    const char *destination, *path, *interface, *member;
    const char *signature; /* NULL: there is no body */
} BusCall;

/* `address`: "unix:path=…" or "unix:abstract=…", several of them with ";" in between; the first that answers is taken. */
int bus_connect(const char *address, bool direct, uint64_t deadline, Bus *ret, Error *e);
void bus_done(Bus *bus);

/* Sends the call and waits for its answer; signals that come before it are lost. An error of the other side becomes -EREMOTEIO, its name is
 * `ret->error` then. `body` may be NULL. */
int bus_call(Bus *bus, const BusCall *call, const StrBuf *body, BusMessage *ret, Error *e);
/* Any message of a type other than `type` gets the members that BusMessage has: calls of the tests' own service, for one. Sends; sets m->serial. */
int bus_send(Bus *bus, BusMessage *m, Error *e);
/* The next message, whatever it is. -ETIMEDOUT after the deadline, -ECONNRESET at the end of the stream. */
int bus_receive(Bus *bus, BusMessage *ret, Error *e);
void bus_message_done(BusMessage *m);

/* ---- bodies ---- */

/* Values in D-Bus's form: each is aligned to its size. An object path goes for a string. Errors are StrBuf's. */
void bus_put_align(StrBuf *b, size_t size);
void bus_put_byte(StrBuf *b, uint8_t v);
void bus_put_u16(StrBuf *b, uint16_t v);
void bus_put_u32(StrBuf *b, uint32_t v);
void bus_put_u64(StrBuf *b, uint64_t v);
void bus_put_string(StrBuf *b, const char *s);
void bus_put_signature(StrBuf *b, const char *s);
/* An array of elements that are aligned to `size` (8 for a structure): what is put between both calls. */
size_t bus_open_array(StrBuf *b, size_t size);
void bus_close_array(StrBuf *b, size_t start, size_t size);

/* In the order of the message's signature, which the caller has compared. -EBADMSG where the body ends too early. */
int bus_get_u32(BusMessage *m, uint32_t *ret);
int bus_get_string(BusMessage *m, const char **ret);

#endif
