#!/usr/bin/python3
"""An agent for the tests of probes. /opt/mode is a list of words, apart by commas; without any it serves, over TCP at $PORT and over UNIX at /state/agent.sock.

    idle             listens nowhere
    refuses          /readyz says 503, with a body
    late-body        the body of /readyz comes 0.2 s after its head
    slow-body        /readyz gives a byte of its body every 0.3 s
    endless-body     /readyz gives a body without end
    long-head        /readyz gives a megabyte of headers
    ready            says READY=1
    ends             ends 0.3 s after that
    heart            says WATCHDOG=1 ten times a second
    heart-stops      the same, for 2 s
    slow-end         /drain is answered, 6 s later the agent has ended, having asked for as much
    endless-end      /drain is answered, and the agent asks for an hour again and again
    deaf             no signal ends it
    no-health        removes /opt/health
    grpc=STATUS      a gRPC health service at $GRPC_PORT that gives this number

`server.py say TEXT` sends TEXT to NOTIFY_SOCKET, `server.py serve` is the HTTP server alone, `server.py knock` waits until something listens at $PORT.
"""

import json
import os
import signal
import socket
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler

MODE = open("/opt/mode").read().strip().split(",")


def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(os.environ["NOTIFY_SOCKET"])
        s.send(text.encode())


def end_slowly():
    say("STOPPING=1\nSTATUS=on its way out\nEXTEND_TIMEOUT_USEC=10000000")
    time.sleep(6)
    with open("/state/drained", "w") as f:
        f.write("all of it")
    os._exit(0)


def end_never():
    while True:
        say("STOPPING=1\nEXTEND_TIMEOUT_USEC=3600000000")
        time.sleep(0.1)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def address_string(self):
        return ""

    def head(self, status, length):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def answer(self, status, body):
        self.head(status, len(body))
        self.wfile.write(body)

    def do_GET(self):
        body = json.dumps({"nonce": os.environ.get("MOSS_NONCE"), "padding": "p" * 100}).encode()
        if self.path != "/readyz":
            self.answer(200, body)
        elif "refuses" in MODE:
            self.answer(503, b"the model is not loaded\x00\xff")
        elif "late-body" in MODE:
            self.head(200, len(body))
            self.wfile.flush()
            time.sleep(0.2)
            self.wfile.write(body)
        elif "slow-body" in MODE:
            self.head(200, len(body))
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(0.3)
        elif "endless-body" in MODE:
            self.head(200, None)
            while True:
                self.wfile.write(b"x" * 4096)
        elif "long-head" in MODE:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 170000 + b"\r\n")
        else:
            self.answer(200, body)

    def do_POST(self):
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, b"%s, %s" % (self.headers["Content-Type"].encode(), sent))
        if self.path == "/drain" and "slow-end" in MODE:
            threading.Thread(target=end_slowly).start()
        elif self.path == "/drain" and "endless-end" in MODE:
            threading.Thread(target=end_never).start()


class Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, *args):
        pass


class Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def handle_error(self, *args):
        pass


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


class Grpc(socketserver.StreamRequestHandler):
    """As much of HTTP/2 as one call of grpc.health.v1.Health/Check takes."""

    def handle(self):
        assert self.rfile.read(24) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        self.wfile.write(frame(4, 0, 0, b""))
        while True:
            head = self.rfile.read(9)
            payload = self.rfile.read(int.from_bytes(head[:3], "big"))
            if head[3] == 1:
                assert b"/grpc.health.v1.Health/Check" in payload
            if head[3] == 0:
                assert payload[7:] == b"probed", payload
                break
        status = int(next(word for word in MODE if word.startswith("grpc="))[5:])
        # :status 200 and, behind the message, grpc-status 0
        self.wfile.write(frame(1, 4, 1, b"\x88") + frame(0, 0, 1, bytes([0, 0, 0, 0, 2, 8, status])))
        self.wfile.write(frame(1, 5, 1, b"\x00\x0bgrpc-status\x010"))


def serve_in_thread(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()


def serve():
    if os.path.exists("/state/agent.sock"):
        os.unlink("/state/agent.sock")
    serve_in_thread(Unix("/state/agent.sock", Handler))
    serve_in_thread(Tcp(("127.0.0.1", int(os.environ["PORT"])), Handler))
    if any(word.startswith("grpc=") for word in MODE):
        serve_in_thread(Tcp(("127.0.0.1", int(os.environ["GRPC_PORT"])), Grpc))


if sys.argv[1:2] == ["say"]:
    say(sys.argv[2])
    sys.exit(0)
if sys.argv[1:2] == ["serve"]:
    Tcp(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
if sys.argv[1:2] == ["knock"]:
    while socket.socket().connect_ex(("127.0.0.1", int(os.environ["PORT"]))):
        time.sleep(0.05)
    sys.exit(0)
if "deaf" in MODE:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "no-health" in MODE:
    os.unlink("/opt/health")
if "idle" not in MODE:
    serve()
if "ready" in MODE:
    say("READY=1\nSTATUS=serves")
if "ends" in MODE:
    time.sleep(0.3)
    sys.exit(3)
start = time.monotonic()
while True:
    if "heart" in MODE or "heart-stops" in MODE and time.monotonic() - start < 2:
        say("WATCHDOG=1")
    time.sleep(0.1)
