"""As much of HTTP/1.1 as the clerk speaks: one request a connection, bodies with a length."""

import json
import socket

HEAD_LIMIT = 16 * 1024
BODY_LIMIT = 1024 * 1024

REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    413: "Content Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


class ProtocolError(Exception):
    """The peer does not speak HTTP, or says too much."""


def read_message(connection):
    """Read one request or response: (first line, headers with lower-case names, body)."""
    data = b""
    while True:
        head, separator, body = data.partition(b"\r\n\r\n")
        if separator:
            break
        if len(data) > HEAD_LIMIT:
            raise ProtocolError("the head is too long")
        received = connection.recv(65536)
        if not received:
            raise ProtocolError("the connection ended within the head")
        data += received
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return first, headers, _read_body(connection, headers, body)


def _read_body(connection, headers, body):
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > BODY_LIMIT:
        raise ProtocolError("the body is too long")
    missing = int(length) - len(body)
    parts = [body]
    while missing > 0:
        received = connection.recv(min(missing, 65536))
        if not received:
            raise ProtocolError("the connection ended within the body")
        parts.append(received)
        missing -= len(received)
    return b"".join(parts)


def respond(connection, status, document):
    body = json.dumps(document, ensure_ascii=False).encode()
    head = (
        f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    connection.sendall(head.encode() + body)


def post(address, path, document, headers, timeout):
    """POST a JSON document; returns (status, body)."""
    body = json.dumps(document, ensure_ascii=False).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {address[0]}:{address[1]}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(address, timeout=timeout) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        first, _, answer = read_message(connection)
    words = first.split(" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        raise ProtocolError("the answer has no status")
    return int(words[1]), answer
