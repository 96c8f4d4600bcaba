#!/usr/bin/python3
"""An agent for the tests of sockets that MOSS listens at (LISTEN_FDS): answers at each with "NAME MODE\n". Mode "takes-none" ends at once."""

import os
import socket
import subprocess
import sys
import threading

MODE = open("/opt/mode").read().strip()
NAMES = os.environ["LISTEN_FDNAMES"].split(":")

assert int(os.environ["LISTEN_PID"]) == os.getpid(), os.environ
assert int(os.environ["LISTEN_FDS"]) == len(NAMES), os.environ
assert sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[: 3 + len(NAMES)] == list(range(3 + len(NAMES)))
if MODE == "takes-none":
    sys.exit(3)


def serve(name, sock):
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    assert sock.getblocking()
    while True:
        conn, _ = sock.accept()
        with conn:
            try:
                conn.recv(4096)
                conn.sendall(f"{name} {MODE}\n".encode())
            except OSError:
                pass


for i, name in enumerate(NAMES):
    sock = socket.socket(fileno=3 + i)
    threading.Thread(target=serve, args=(name, sock), daemon=True).start()
sys.exit(subprocess.Popen(["/usr/bin/python3", "-S", "-E", "/opt/server.py"]).wait())
