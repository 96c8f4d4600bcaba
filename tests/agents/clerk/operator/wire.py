"""The little HTTP that the model server and the replay driver need; made to be imported fast."""

import json
import socket

HEAD_LIMIT = 16 * 1024
BODY_LIMIT = 4 * 1024 * 1024


class WireError(Exception):
    """The peer sent what is not HTTP, or too much of it."""


def receive(connection):
    """One message: (first line, lower-case headers, body)."""
    data = bytearray()
    end = -1
    while end < 0:
        if len(data) > HEAD_LIMIT:
            raise WireError("head too long")
        piece = connection.recv(65536)
        if not piece:
            raise WireError("connection closed in the head")
        data += piece
        end = data.find(b"\r\n\r\n")
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > BODY_LIMIT:
        raise WireError("body too long")
    body = data[end + 4 :]
    while len(body) < int(length):
        piece = connection.recv(65536)
        if not piece:
            raise WireError("connection closed in the body")
        body += piece
    return first, headers, bytes(body)


def send(connection, first, document):
    """One message with a JSON body; the connection ends after it."""
    body = json.dumps(document, ensure_ascii=False).encode()
    head = (
        f"{first}\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    connection.sendall(head.encode() + body)


def status_of(first):
    words = first.split(" ")
    if len(words) < 2 or not words[1].isdigit():
        raise WireError("no status line")
    return int(words[1])


def listen(port):
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener
