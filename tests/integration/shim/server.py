#!/usr/bin/python3
"""An agent for the tests of moss-shim: counts in its state what it is asked, and behaves as /opt/mode says.

    good          serves
    exits         ends at once
    never-ready   serves, but /readyz says 503
    sickens       is ready for 2 s, then is not
    crashes       is ready, and ends after 2 s
    devours       is ready, and takes all the memory there is after 2 s
    corrupts      overwrites the state, then is never ready
    stubborn      ignores SIGTERM

/sicken makes it fail /readyz from then on. /attempts says what comes of what Landlock rules may forbid.
"""

import errno
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# MODE or MODE:WRITER:MINREADER, the schema that it stamps its state with
MODE, *STAMP = open("/opt/mode").read().strip().split(":")
COUNTER = "/state/counter"
BORN = time.monotonic()
COUNTING = threading.Lock()
SICK = threading.Event()


def sync(fd):
    if os.environ.get("DURABLE"):  # what was answered outlives a cut of the power
        os.fsync(fd)


def count(step):
    try:
        n = int(open(COUNTER).read())
    except FileNotFoundError:
        n = 0
    if step:
        with open(COUNTER + ".new", "w") as f:
            f.write(str(n + step))
            f.flush()
            sync(f.fileno())
        os.rename(COUNTER + ".new", COUNTER)
        directory = os.open("/state", os.O_RDONLY)
        sync(directory)
        os.close(directory)
    return n + step


def outcome(function, *args):
    try:
        function(*args)
        return "done"
    except OSError as e:
        return errno.errorcode[e.errno]


def write(path):
    open(path, "w").close()


def run(path):
    if not os.path.exists(path):
        shutil.copy("/usr/bin/busybox", path)
    os.waitpid(os.posix_spawn(path, ["busybox", "true"], {}), 0)


def bind(port):
    with socket.socket() as s:
        s.bind(("127.0.0.1", port))


def listen(port):
    with socket.socket() as s:
        s.bind(("127.0.0.1", port))
        s.listen()


def connect(port):
    with socket.socket() as s:
        s.connect(("127.0.0.1", port))


def attempts():
    port = int(os.environ["PORT"])
    other = 10000 + port % 10000  # no port of the range that clients' own connections are given
    return {
        "write /state": outcome(write, "/state/f"),
        "write /tmp": outcome(write, "/tmp/f"),
        "run /usr": outcome(run, "/usr/bin/busybox"),
        "run /state": outcome(run, "/state/busybox"),
        "bind": outcome(bind, other),
        "listen": outcome(listen, other),
        "connect": outcome(connect, port),
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        age = time.monotonic() - BORN
        if self.path == "/sicken":
            SICK.set()
        ok = not (MODE in ("never-ready", "corrupts") or MODE == "sickens" and age > 2 or SICK.is_set())
        body = {"mode": MODE, "nonce": os.environ.get("MOSS_NONCE"), "generation": os.environ.get("MOSS_GENERATION")}
        if self.path == "/count":
            with COUNTING:
                body["counter"] = count(1)
        if self.path == "/attempts":
            body["attempts"] = attempts()
        status = 200 if ok or self.path in ("/count", "/sicken") else 503
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = False


if MODE == "exits":
    print("this candidate has no use for life", flush=True)
    sys.exit(7)
if MODE == "corrupts":
    with open(COUNTER, "w") as f:
        f.write("0")
if STAMP:
    os.makedirs("/state/.moss", exist_ok=True)
    with open("/state/.moss/schema", "w") as f:
        f.write('{"writer":%s,"minReader":%s}' % tuple(STAMP))
server = Server((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler)


def stop(*args):
    if MODE != "stubborn":
        raise SystemExit(0)


signal.signal(signal.SIGTERM, stop)
if MODE == "crashes":
    signal.signal(signal.SIGALRM, lambda *args: os._exit(9))
    signal.alarm(2)
if MODE == "devours":
    signal.signal(signal.SIGALRM, lambda *args: [bytearray(1 << 20) for _ in iter(int, 1)])
    signal.alarm(2)
print("serving as", MODE, flush=True)
if "NOTIFY_SOCKET" in os.environ:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.connect(os.environ["NOTIFY_SOCKET"])
        notify.send(b"READY=1")
server.serve_forever(poll_interval=0.05)
