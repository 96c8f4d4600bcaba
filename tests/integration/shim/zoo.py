#!/usr/bin/python3
"""An agent for the tests of held sockets: servers of many makes, each at an address of its own.

A server answers every connection with "KIND MODE\n", or with that in the body of an HTTP answer. Modes are those of server.py, which runs beside them for the probes.
"""

import asyncio
import http.server
import os
import selectors
import signal
import socket
import socketserver
import subprocess
import sys
import time

MODE = open("/opt/mode").read().strip()
MPTCP = 262


def answer(kind, conn):
    with conn:
        try:
            conn.recv(4096)
            conn.sendall(f"{kind} {MODE}\n".encode())
        except OSError:
            pass


def accept_for_ever(kind, sock):
    while True:
        answer(kind, sock.accept()[0])


def forked(function, *args):
    if os.fork() == 0:
        try:
            function(*args)
        finally:
            os._exit(1)


def tcp(port, host="127.0.0.1", family=socket.AF_INET, protocol=0, reuse_port=False):
    sock = socket.socket(family, socket.SOCK_STREAM, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((host, port))
    return sock


# ---- the servers ----


def threading_http(kind):
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            body = f"{kind} {MODE}\n".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    http.server.ThreadingHTTPServer(("127.0.0.1", 8001), Handler).serve_forever()


def asyncio_streams(kind, **where):
    async def client(reader, writer):
        try:
            await reader.read(4096)
            writer.write(f"{kind} {MODE}\n".encode())
            await writer.drain()
            writer.close()
        except OSError:
            pass

    async def main():
        server = await asyncio.start_server(client, **where)
        await server.serve_forever()

    asyncio.run(main())


def asyncio_ipv6(kind):
    asyncio_streams(kind, host="::1", port=8002)


def asyncio_dual_stack(kind):
    sock = socket.create_server(("", 8003), family=socket.AF_INET6, dualstack_ipv6=True)
    asyncio_streams(kind, sock=sock)


def prefork(kind):
    """Bound, listening in the parent; accepted in the children."""
    sock = tcp(8004)
    sock.listen()
    for _ in range(2):
        forked(accept_for_ever, kind, sock)
    accept_for_ever(kind, sock)


def group(kind):
    """A listener of its own for each worker."""

    def worker():
        sock = tcp(8005, reuse_port=True)
        sock.listen()
        accept_for_ever(kind, sock)

    for _ in range(2):
        forked(worker)
    worker()


def mptcp(kind):
    sock = tcp(8006, protocol=MPTCP)
    sock.listen()
    accept_for_ever(kind, sock)


def late_listeners(kind):
    """Bound in the parent; each worker listens, later."""

    def worker():
        time.sleep(0.5)
        sock.listen()
        accept_for_ever(kind, sock)

    sock = tcp(8007)
    forked(worker)
    worker()


def epoll(kind):
    """Known to epoll before it listens."""
    sock = tcp(8008)
    sock.setblocking(False)
    selector = selectors.EpollSelector()
    selector.register(sock, selectors.EVENT_READ)
    sock.listen(16)
    while True:
        selector.select()
        try:
            conn, _ = sock.accept()
        except BlockingIOError:
            continue
        conn.setblocking(True)
        answer(kind, conn)


def abstract(kind, type=socket.SOCK_STREAM):
    sock = socket.socket(socket.AF_UNIX, type)
    sock.bind(f"\0{kind}")
    sock.listen(64)
    accept_for_ever(kind, sock)


def packets(kind):
    abstract(kind, socket.SOCK_SEQPACKET)


def state_path(kind):
    """A path in the state, of which this incarnation has a copy. It is not unlinked first: in that moment a client would find nothing."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(f"/state/{kind}")
    sock.listen()
    accept_for_ever(kind, sock)


def any_port(kind):
    """The kernel's choice, asked for before it listens."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(4096)
            self.request.sendall(f"{kind} {MODE}\n".encode())

    socketserver.TCPServer.allow_reuse_address = True
    server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
    with open("/state/port.new", "w") as f:
        f.write(str(server.server_address[1]))
    os.rename("/state/port.new", "/state/port")
    assert server.socket.getsockname() == server.server_address
    server.serve_forever()


def client_first(kind):
    """A client with a source address, of which no listener becomes."""
    port = 0
    while not port:
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        try:
            sock.connect(("127.0.0.1", 8000))
            port = sock.getsockname()[1]
        except ConnectionRefusedError:
            time.sleep(0.05)
    sock.close()
    sock = tcp(8009)
    sock.listen()
    accept_for_ever(kind, sock)


def late(kind):
    """Starts to listen long after the others."""
    time.sleep(1.5)
    sock = tcp(8010)
    sock.listen()
    accept_for_ever(kind, sock)


def busybox(kind):
    os.makedirs("/tmp/www", exist_ok=True)
    with open("/tmp/www/index.html", "w") as f:
        f.write(f"{kind} {MODE}\n")
    os.execl("/usr/bin/busybox", "busybox", "httpd", "-f", "-p", "127.0.0.1:8011", "-h", "/tmp/www")


def run_node(kind, program):
    serve = """
        const cluster = require("cluster");
        const serve = (port) => require("http").createServer((q, a) => a.end("ANSWER\\n")).listen(port, "127.0.0.1");
    """
    path = f"/tmp/{kind}.js"
    with open(path, "w") as f:
        f.write(serve.replace("ANSWER", f"{kind} {MODE}") + program)
    os.execl("/usr/bin/node", "node", path)


def node(kind):
    run_node(kind, "serve(8012);")


def node_cluster(kind):
    run_node(kind, "if (cluster.isPrimary) { cluster.fork(); cluster.fork(); } else serve(8013);")


KINDS = [
    threading_http, asyncio_ipv6, asyncio_dual_stack, prefork, group, mptcp, late_listeners, epoll, abstract, packets,
    state_path, any_port, client_first, late, busybox, node, node_cluster,
]  # fmt: skip


def main():
    wanted = os.environ["KINDS"].split()
    for kind in KINDS:
        if kind.__name__ in wanted:
            forked(kind, kind.__name__)
    server = subprocess.Popen(["/usr/bin/python3", "-S", "-E", "/opt/server.py"])
    signal.signal(signal.SIGTERM, lambda *args: os._exit(0))
    sys.exit(server.wait())


main()
