#!/usr/bin/python3
"""A candidate that means no good. It serves over HTTP as it should, and does what /opt/mode says, words apart by commas, as soon as it listens. It prints "did WORD" when
it has, so that a test knows that it could:

    faults=N          ends by SIGSEGV when its readiness is asked for the Nth time
    exits=N           ends well, then
    lives=N           ends by SIGALRM N seconds later
    ready             says READY=1
    ends              ends well
    escapes           leaves children in sessions of their own, that ignore every signal and write to the state for ever; then it ends
    multiplies        the same, with children that fork without end, each older one ending
    traces            leaves /opt/tracer (tests/helpers/tracer.c), and ends
    fills             writes to the state until there is no room, never removes it, and says so by HTTP status 507: the log may have no room either
    spoils            spoils every file of the state that there is
    litters           leaves in the state what nobody wants to walk or to remove
    stamp=KIND        stamps the state with a fifo, symlink, directory, giant, text, deep or secret
    stub=NONCE        answers its probes with what another incarnation would have said
    unlinks-probe     removes /opt/health
    unlinks-itself    removes its interpreter and its program, and what else it may, and ends
    closes            closes its listening socket
    keeps             a child in a session of its own accepts whatever comes, and answers nothing
    deaf              no signal ends it
    floods            prints, and notifies, without end, with descriptors in the messages
    eats              takes memory without end
    sick              /readyz says 503

Words are done one after the other.
"""

import array
import errno
import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODE = [word.partition("=") for word in open("/opt/mode").read().strip().split(",")]
WORDS = {word: value for word, _, value in MODE}
asked = 0
status = 503 if "sick" in WORDS else 200


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        global asked
        asked += self.path == "/readyz"
        if asked == int(WORDS.get("faults", -1)):
            os.kill(os.getpid(), signal.SIGSEGV)
        nonce = WORDS.get("stub", os.environ.get("MOSS_NONCE"))
        data = json.dumps({"mode": "bad", "nonce": nonce, "generation": os.environ.get("MOSS_GENERATION")}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()
        if asked == int(WORDS.get("exits", -1)):
            os._exit(0)


class Server(ThreadingHTTPServer):
    daemon_threads = True


def ignore_signals():
    for number in range(1, signal.NSIG):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass


def daemon(function):
    """Runs it in a grandchild that is of no session, no group and no parent that anybody knows."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            ignore_signals()
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            try:
                function()
            finally:
                os._exit(0)
        os._exit(0)


def scribble():
    n = 0
    while True:
        n += 1
        for name in ("counter", f"late-{n % 50}"):
            try:
                with open(f"/state/{name}", "w") as f:
                    f.write("-1")
            except OSError:
                pass


def ends():
    print("did", "ends", flush=True)
    os._exit(0)


def escapes():
    for _ in range(8):
        daemon(scribble)
    print("did", "escapes", flush=True)
    os._exit(0)


def multiply():
    while True:
        try:
            if os.fork() != 0:
                os._exit(0)
        except OSError:
            pass


def multiplies():
    for _ in range(8):
        daemon(multiply)
    print("did", "multiplies", flush=True)
    os._exit(0)


def traces():
    os.posix_spawn("/opt/tracer", ["tracer"], os.environ)
    time.sleep(0.2)
    print("did", "traces", flush=True)
    os._exit(0)


def fills():
    global status
    size = 1 << 20
    n = 0
    while size:
        n += 1
        try:
            with open(f"/state/fill-{n}", "wb", buffering=0) as f:
                while True:
                    f.write(b"x" * size)
        except OSError as e:
            size //= 2
            status = 507 if e.errno == errno.ENOSPC else 500


def spoils():
    for directory, _, names in os.walk("/state"):
        for name in names:
            with open(f"{directory}/{name}", "w") as f:
                f.write("no number")


def litters():
    os.chdir("/state")
    os.mkfifo("pipe")
    os.symlink("/", "root")
    os.symlink("/proc/1/root", "out")
    os.symlink("loop", "loop")
    with open("hidden", "w") as f:
        f.write("x")
    os.chmod("hidden", 0)
    os.mkdir("closed")
    open("closed/f", "w").close()
    os.chmod("closed", 0)
    socket.socket(socket.AF_UNIX).bind("socket")
    with open("hole", "w") as f:
        f.truncate(1 << 40)
    for n in range(300):
        open("long-" + "x" * 240 + str(n), "w").close()
    for _ in range(1000):
        os.mkdir("d" * 100)
        os.chdir("d" * 100)


def stamp(kind):
    path = "/state/.moss/schema"
    os.makedirs("/state/.moss", exist_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "symlink":
        os.symlink("/opt/stamp", path)
    elif kind == "directory":
        os.mkdir(path)
    else:
        with open(path, "w") as f:
            if kind == "giant":
                f.truncate(1 << 40)
            elif kind == "deep":
                f.write("[" * 4000)
            elif kind == "text":
                f.write("writer 1")
            else:
                f.write('{"writer":1,"minReader":1}')
    if kind == "secret":
        os.chmod(path, 0)
        os.chmod("/state/.moss", 0)


def unlinks_itself():
    for top in ("/opt", "/usr"):
        for directory, _, names in os.walk(top, topdown=False):
            for name in names:
                try:
                    os.unlink(f"{directory}/{name}")
                except OSError:
                    pass
    if not os.path.exists(sys.executable) and not os.path.exists(__file__):
        print("did", "unlinks-itself", flush=True)
    os._exit(0)


def hold_clients(listener):
    held = []
    while True:
        held.append(listener.accept())


def notify(text, fds=()):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(os.environ["NOTIFY_SOCKET"])
        s.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


def print_for_ever():
    line = ("\x1b[2J\0" + "x" * 60000 + "\n").encode()
    while True:
        os.write(1, line)


def notify_for_ever():
    with open("/dev/null") as null:
        while True:
            for text in (b"READY=0\n" * 400, b"STATUS=" + b"\xff" * 3000, b"EXTEND_TIMEOUT_USEC=99999999999999999999", b"FDSTORE=1", b"\0"):
                try:
                    notify(text, [null.fileno()] * 50)
                except OSError:
                    pass


def floods():
    for function in (print_for_ever, notify_for_ever):
        threading.Thread(target=function, daemon=True).start()


def eats():
    eaten = []
    while True:
        eaten.append(bytearray(os.urandom(4096)) * 1024)


ACTIONS = {
    "lives": lambda: signal.alarm(int(WORDS["lives"])),
    "ready": lambda: notify(b"READY=1"),
    "ends": ends,
    "escapes": escapes,
    "multiplies": multiplies,
    "traces": traces,
    "fills": fills,
    "spoils": spoils,
    "litters": litters,
    "unlinks-probe": lambda: os.unlink("/opt/health"),
    "unlinks-itself": unlinks_itself,
    "deaf": ignore_signals,
    "floods": floods,
    "eats": eats,
}

server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
print("bad", flush=True)
for word, equals, value in MODE:
    if word == "stamp":
        stamp(value)
    elif word == "closes":
        server.socket.close()
    elif word == "keeps":
        daemon(lambda: hold_clients(server.socket))
    elif word in ACTIONS:
        ACTIONS[word]()
    print("did", word + equals + value, flush=True)
    while word in ("closes", "keeps"):
        time.sleep(60)
if "deaf" not in WORDS:
    signal.signal(signal.SIGTERM, lambda *args: sys.exit(0))
server.serve_forever(poll_interval=0.05)
